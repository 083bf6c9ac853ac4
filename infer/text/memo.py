"""Strings → lists of integers, each worked out once and remembered in bounded memory."""

import threading
from collections.abc import Callable
from itertools import count, repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_FIRST_CAPACITY: Final = 1_024


class Memo:
    """A function from strings to lists of int32 that remembers; threads may share it.

    It forgets everything where it has grown too large. A Python dictionary finds a string's place,
    at a cost that does not grow with what is remembered.
    """

    def __init__(
        self, compute: Callable[[pa.Array], pa.LargeListArray], most_strings: int, most_bytes: int
    ) -> None:
        """Begin without a memory.

        Args:
            compute: distinct strings → their lists.
            most_strings: how many are remembered before all are forgotten.
            most_bytes: the same for the bytes of the strings and the lists.
        """
        self._compute = compute
        self._most_strings, self._most_bytes = most_strings, most_bytes
        self._lock = threading.Lock()
        self._forget()

    def __len__(self) -> int:
        """Return the number of strings that are remembered."""
        return len(self._places)

    def __call__(self, strings: pa.Array) -> pa.LargeListArray:
        """Return the lists of distinct strings (C,) of large_string."""
        names = strings.to_numpy(zero_copy_only=False)
        with self._lock:
            places = self._find(names)
            unseen = np.flatnonzero(places < 0)
            if len(unseen) and self._is_full(len(unseen)):
                self._forget()
                unseen = np.arange(len(names))
            if len(unseen):
                new = strings.take(pa.array(unseen))
                places[unseen] = np.arange(len(unseen)) + len(self._places)
                self._append(new, names[unseen].tolist())
            lists = pa.LargeListArray.from_arrays(self._offsets.filled(), self._values.filled())
        return lists.take(pa.array(places))

    def _find(self, names: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return np.fromiter(map(self._places.get, names, repeat(-1)), np.int64, len(names))

    def _append(self, new: pa.Array, names: list[str]) -> None:
        """Compute the lists first: where that fails, nothing is remembered by half."""
        lists = self._compute(new)
        offsets = lists.offsets.to_numpy()
        values = lists.values.to_numpy()[offsets[0] : offsets[-1]]
        self._offsets.append(offsets[1:] - offsets[0] + len(self._values.filled()))
        self._values.append(values)
        self._bytes += new.nbytes + values.nbytes
        self._places.update(zip(names, count(len(self._places)), strict=False))

    def _is_full(self, new: int) -> bool:
        remembered = len(self._places)
        return remembered > 0 and (
            remembered + new > self._most_strings or self._bytes > self._most_bytes
        )

    def _forget(self) -> None:
        self._places: dict[str, int] = {}
        self._values = _Growing(np.dtype(np.int32))
        self._offsets = _Growing(np.dtype(np.int64))
        self._offsets.append(np.zeros(1, np.int64))
        self._bytes = 0


class _Growing:
    """A numpy array that grows behind; what has been handed out of it stays as it is."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._array = np.empty(_FIRST_CAPACITY, dtype)
        self._size = 0

    def filled(self) -> npt.NDArray[Any]:
        return self._array[: self._size]

    def append(self, values: npt.NDArray[Any]) -> None:
        size = self._size + len(values)
        if size > len(self._array):
            larger = np.empty(max(size, 2 * len(self._array)), self._array.dtype)
            larger[: self._size] = self.filled()
            self._array = larger
        self._array[self._size : size] = values
        self._size = size

"""Equal token sequences are run once: found within a window, and remembered from window to window.

A score hangs on a text's tokens alone, so what is equal need not be computed again. Legend: R rows,
U distinct sequences, K labels.
"""

import math
import threading
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.text.batching import Logits, Rows
from infer.text.encoding import EncodedTexts

# What repeats in tables is short: "Good", "Five stars". A longer sequence would cost memory.
MOST_TOKENS: Final = 128
# What a sequence takes beside its ids and logits: two Python objects, places in a dictionary.
ENTRY_BYTES: Final = 150
MOST_BYTES: Final = 32 << 20


@dataclass(frozen=True)
class Distinct:
    """The distinct token sequences of R rows.

    Attributes:
        sequences: (U,) large_binary, the bytes of their ids.
        rows: (U,) the first row of each.
        places: (R,) which of them each row is.
    """

    sequences: pa.LargeBinaryArray
    rows: Rows
    places: npt.NDArray[np.int32]


def distinct(encoded: EncodedTexts) -> Distinct:
    """Find the distinct token sequences, in the order of their first rows."""
    ids = np.ascontiguousarray(encoded.ids)
    offsets = encoded.offsets * ids.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ids)]
    found = pa.Array.from_buffers(pa.large_binary(), len(encoded), buffers).dictionary_encode()
    places = found.indices.to_numpy()
    rows = np.empty(len(found.dictionary), np.int64)
    rows[places[::-1]] = np.arange(len(places) - 1, -1, -1)  # of several the last one stays
    return Distinct(found.dictionary, rows, places)


class Known:
    """The logits of token sequences that were run, in bounded memory; threads may share it.

    It forgets everything where it has grown too large.
    """

    def __init__(self, shape: tuple[int, ...] = (), most_bytes: int = MOST_BYTES) -> None:
        """Begin without a memory.

        Args:
            shape: of one text's logits: () or (K,).
            most_bytes: how much is remembered before all is forgotten.
        """
        self._shape, self._most_bytes = shape, most_bytes
        self._lock = threading.Lock()
        self._places: dict[bytes, int] = {}
        self._logits: Logits = np.zeros((0, *shape), np.float32)
        self._entry_bytes = ENTRY_BYTES + math.prod(shape) * self._logits.itemsize
        self._bytes = 0

    def __len__(self) -> int:
        """Return the number of sequences that are remembered."""
        return len(self._places)

    def find(self, sequences: pa.LargeBinaryArray) -> Logits:
        """Return the logits of sequences, (U,) or (U, K), NaN where they are not known."""
        logits = np.full((len(sequences), *self._shape), np.nan, np.float32)
        if not self._places:
            return logits
        names = sequences.to_pylist()
        with self._lock:
            places = np.fromiter(map(self._places.get, names, repeat(-1)), np.int64, len(names))
            known = places >= 0
            logits[known] = self._logits[places[known]]
        return logits

    def add(self, sequences: pa.LargeBinaryArray, lengths: Rows, logits: Logits) -> None:
        """Remember the logits of sequences (U,), those of at most `MOST_TOKENS` tokens."""
        short = np.flatnonzero(lengths <= MOST_TOKENS)
        names: list[Any] = sequences.take(pa.array(short)).to_pylist()
        size = self._entry_bytes * len(names) + sum(map(len, names))
        with self._lock:
            if self._bytes + size > self._most_bytes:
                self._places, self._logits, self._bytes = {}, self._logits[:0], 0
            self._places.update(zip(names, count(len(self._logits)), strict=False))
            self._logits = np.concatenate((self._logits, logits[short]))
            self._bytes += size

"""Where chunks are cut, worked out once for all chunks of the same shape.

No rule of spaCy's for English looks at which letters a word is made of, only at their case next to
marks; except for words that its rules name ("dont", "Mr", "km"). So "wonderful," is cut where
"qqqq," is: each unnamed run of ASCII letters becomes at most four, which keep the case of its first
letter and its last two, and tell whether there is a capital between. Digits become four as well,
except where they could be an address on the internet. 100,000 film reviews have some 50,000 shapes.
In other languages a chunk is its own shape.
Legend: C chunks, R runs, L letters and digits, N tokens.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.lean_import import lean_spacy
from infer.text.ranges import ranges
from infer.text.rules import Rules

with lean_spacy():
    from spacy.lang import char_classes as chars

_KEPT: Final = 4  # bytes of a run
# The rule for a URL counts letters, up to 63, and in an address of numbers it reads the digits.
_LONGEST_URL: Final = 60
_DOTS_OF_ADDRESS: Final = 3

_FIRST_NOT_ASCII: Final = 0x80
_LOWER, _CAPITAL, _DIGIT = 1, 2, 3
_KINDS: Final = np.zeros(256, np.uint8)
_KINDS[ord("a") : ord("z") + 1] = _LOWER
_KINDS[ord("A") : ord("Z") + 1] = _CAPITAL
_KINDS[ord("0") : ord("9") + 1] = _DIGIT
_STAND_INS: Final = np.frombuffer(b"?qQ7", np.uint8).take(_KINDS)


@dataclass(frozen=True)
class Shapes:
    """Shapes of C chunks, and the way back from their bytes to the chunks'.

    Attributes:
        values: (C,) large_string, without the space at a chunk's end.
        offsets: (C + 1,) int64, where each shape begins among the shapes' bytes.
        places: (bytes of all shapes,) int64, where each byte stands in `data`.
        data: the chunks' bytes, uint8.
    """

    values: pa.Array
    offsets: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]

    def tokens(self, cuts: pa.LargeListArray) -> tuple[pa.DictionaryArray, npt.NDArray[np.int64]]:
        """Cut the chunks where their shapes are.

        Args:
            cuts: (C,) lists of int32: bytes of each token of the shape, negative where white
                space stands between.

        Returns:
            The tokens of all chunks, (N,), and how many each chunk has, (C,).
        """
        bounds, lengths = self.bounds(cuts)
        return _between(bounds, self.data), lengths

    def bounds(
        self, cuts: pa.LargeListArray
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the tokens begin and end in `data`, (N, 2), and how many a chunk has, (C,).

        Args:
            cuts: see `tokens`.
        """
        ends_of_lists = cuts.offsets.to_numpy()
        steps = cuts.values.to_numpy()[ends_of_lists[0] : ends_of_lists[-1]]
        in_list = np.diff(ends_of_lists)
        behind = np.concatenate(([0], np.cumsum(np.abs(steps, dtype=np.int64))))
        firsts = behind[ends_of_lists[:-1] - ends_of_lists[0]]
        low = behind[:-1] + np.repeat(self.offsets[:-1] - firsts, in_list)
        is_token = steps > 0
        low, sizes = low[is_token], steps[is_token]
        bounds = np.empty((len(low), 2), np.int64)
        bounds[:, 0] = self.places.take(low)
        bounds[:, 1] = self.places.take(low + sizes - 1) + 1
        tokens_before = np.concatenate(([0], np.cumsum(is_token)))
        lengths = np.diff(tokens_before[ends_of_lists - ends_of_lists[0]])
        return bounds, lengths


class Shaper:
    """Turns chunks into shapes."""

    def __init__(self, rules: Rules | None) -> None:
        """Note the words and numbers that English rules name; None: each chunk is its shape."""
        self._collapses = rules is not None
        if rules is None:
            return
        named = set(_words(_literal_sources(rules)))
        self._named = pa.array(sorted(named), pa.large_string())

    def shapes(self, chunks: pa.Array) -> Shapes:
        """Return the shapes of chunks (C,) of large_string."""
        _, offsets_buffer, data_buffer = chunks.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int64)
        offsets = offsets[chunks.offset : chunks.offset + len(chunks) + 1]
        data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
        offsets = offsets - offsets[0]
        if self._collapses:
            shaped, kept = self._collapse(data, offsets)
        else:
            shaped, kept = data, np.ones(len(data), bool)
        ends = offsets[1:][np.diff(offsets) > 0] - 1
        kept[ends[data[ends] == ord(" ")]] = False
        places = np.flatnonzero(kept)
        starts = np.searchsorted(places, offsets)
        values = pa.LargeStringArray.from_buffers(
            len(chunks), pa.py_buffer(starts), pa.py_buffer(shaped[kept])
        )
        return Shapes(values, starts, places, data)

    def _collapse(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Return the bytes with stand-ins in unnamed runs, and which bytes a shape keeps."""
        shaped, kept = data.copy(), np.ones(len(data), bool)
        starts, sizes = self._unnamed_runs(data, offsets)
        within = ranges(starts, sizes)
        shaped[within] = _STAND_INS.take(data[within])
        is_long = sizes > _KEPT
        starts, sizes = starts[is_long], sizes[is_long]
        left_out = ranges(starts + 2, sizes - _KEPT)
        kept[left_out] = False
        capital = left_out[_KINDS.take(data[left_out]) == _CAPITAL]
        # The second letter of a run tells whether one of those left out is a capital.
        shaped[starts[np.searchsorted(starts, capital, side="right") - 1] + 1] = ord("Q")
        return shaped, kept

    def _unnamed_runs(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where runs (R,) of letters or of digits begin that any other could replace."""
        places = np.flatnonzero(_KINDS.take(data))  # (L,)
        chunk = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[places]
        is_digit = _KINDS.take(data[places]) == _DIGIT
        is_first = np.ones(len(places), bool)
        is_first[1:] = (np.diff(places) > 1) | (np.diff(chunk) > 0) | np.diff(is_digit)
        first = np.flatnonzero(is_first)  # (R,), into the places
        starts, sizes = places[first], np.diff(first, append=len(places))
        letters_count, digits_count = _urls(data, offsets)
        counts = np.where(is_digit[first], digits_count[chunk[first]], letters_count[chunk[first]])
        is_free = ~counts & ~self._is_named(starts, sizes, data)
        return starts[is_free], sizes[is_free]

    def _is_named(
        self,
        starts: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
        data: npt.NDArray[np.uint8],
    ) -> npt.NDArray[np.bool_]:
        """Tell which runs (R,) the rules name; a single letter or digit counts as named."""
        runs = _between(np.stack([starts, starts + sizes], axis=1), data)
        known = pc.is_in(runs.dictionary, value_set=self._named).to_numpy(zero_copy_only=False)
        is_named: npt.NDArray[np.bool_] = known[runs.indices.to_numpy()] | (sizes == 1)
        return is_named


def _urls(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell in which chunks (C,) the rule for a URL could count letters, and read digits."""
    lengths = np.diff(offsets)
    dots = np.flatnonzero(data == ord("."))
    chunk = np.searchsorted(offsets, dots, side="right") - 1
    behind = data.take(dots + 1, mode="clip")
    ends_name = (_KINDS.take(behind) % _DIGIT > 0) | (behind >= _FIRST_NOT_ASCII)
    n_dots = np.bincount(chunk, minlength=len(lengths))
    n_names = np.bincount(chunk[ends_name], minlength=len(lengths))
    return (n_dots > 0) & (lengths > _LONGEST_URL), (n_names > 0) | (n_dots >= _DOTS_OF_ADDRESS)


def _between(bounds: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> pa.DictionaryArray:
    """Return the strings between ascending pairs of bounds (N, 2), as a dictionary array.

    What stands between the pairs is in the dictionary as well.
    """
    if not len(bounds):
        return pa.array([], pa.large_string()).dictionary_encode()
    strings = pa.LargeStringArray.from_buffers(
        2 * len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(data)
    ).dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        strings.indices.to_numpy()[::2].copy(), strings.dictionary
    )


def _literal_sources(rules: Rules) -> Iterable[str]:
    """Give all texts in which a rule names letters or digits."""
    yield from rules.cases
    yield from chars.LIST_UNITS
    yield from chars.LIST_CURRENCY


def _words(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        yield from re.findall("[A-Za-z]+|[0-9]+", text)

"""Texts → chunks, each of which is cut into tokens on its own.

spaCy cuts a text at white space first and works on each piece alone, so a text is cut behind white
space. A chunk keeps the white space it ends with. All steps work on the bytes of a whole column.
Legend: R rows, C chunks, W places in the bytes.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.text.settings import TextSettings

HTML_BREAK: Final = r"(?i)<br\s*/?>"
# A longer chunk, such as a line of base64, is cut, so that no step takes long: spaCy's pipelines
# refuse a text of more than 1,000,000 characters as well.
MAX_CHUNK: Final = 1_000_000

_SPACE: Final = ord(" ")
_FIRST_LEAD: Final = 0xC2  # of a character of two bytes
_FIRST_OF_THREE: Final = 0xE0

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]


class Characters:
    """A set of characters of at most three bytes, to be found in UTF-8."""

    def __init__(self, characters: str) -> None:
        """Note the bytes of each."""
        encoded = [character.encode() for character in characters]
        self._short = np.isin(np.arange(256), [c[0] for c in encoded if len(c) == 1])
        self._leads = np.isin(np.arange(256), [c[0] for c in encoded if len(c) > 1])
        self._long = np.array([_key(*c) for c in encoded if len(c) > 1], np.int32)

    def find(self, data: _Bytes) -> tuple[_Places, _Places]:
        """Return where in `data` the characters begin (W,), and their sizes in bytes (W,)."""
        short = np.flatnonzero(data < _SPACE)  # no other character of one byte is looked for
        short = short[self._short.take(data[short])]
        leads = np.flatnonzero(data >= _FIRST_LEAD)
        leads = leads[self._leads.take(data[leads])]
        last = np.minimum(leads + 2, len(data) - 1)
        first, second, third = (data[i].astype(np.int32) for i in (leads, leads + 1, last))
        sizes = np.where(first < _FIRST_OF_THREE, 2, 3)
        found = np.isin(_key(first, second, np.where(sizes == 3, third, 0)), self._long)
        sizes = np.concatenate((np.ones(len(short), np.int64), sizes[found]))
        return np.concatenate((short, leads[found])), sizes


def _key(first: Any, second: Any, third: Any = 0) -> Any:
    return first << 16 | second << 8 | third


_WHITE_SPACE: Final = Characters(
    "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)  # what `str.isspace` takes for it, but the space
# Byte order mark, zero-width characters, soft hyphen, marks of direction: nobody sees them, and
# a word that one is glued to would be an unknown word. Joiners are seen in most scripts: they tell
# how letters are shaped.
_JOINERS: Final = "\u200c\u200d"
_UNSEEN: Final = (
    "\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
    "\u2066\u2067\u2068\u2069\ufeff"
)
_INVISIBLE: Final = Characters(_UNSEEN)
_INVISIBLE_IN_ENGLISH: Final = Characters(_UNSEEN + _JOINERS)


@dataclass(frozen=True)
class Chunks:
    """Texts cut behind white space, flat: row `i` owns `values[offsets[i]:offsets[i + 1]]`.

    Attributes:
        values: (C,) large_string; a chunk ends with its white space, and may hold single spaces.
        offsets: (R + 1,) int64.
    """

    values: pa.Array
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parting:
    """Where the texts of a language may be cut into chunks.

    Attributes:
        over: tokens that stand side by side in a special case, which can reach over a space.
        within: tokens that a special case is cut into, side by side.
        joiners: whether zero-width joiners and non-joiners are characters like others.
        letters_hold: whether no rule ends a token between two letters, only special cases do ("Im"
            is "I" and "m").
        at_spaces: whether white space parts a text at all: where it does not, a text is a chunk.
        longest: bytes of the longest chunk.
    """

    over: frozenset[tuple[str, str]] = frozenset()
    within: frozenset[tuple[str, str]] = frozenset()
    joiners: bool = True
    letters_hold: bool = False
    at_spaces: bool = True
    longest: int = MAX_CHUNK


class Chunker:
    """Cuts texts behind white space, except at a space that a special case can reach over.

    spaCy looks for its special cases, such as '' or o.O, as tokens in a row, whether there is one
    space between them or not. Other white space is a token of its own and keeps them apart.

    Attributes:
        around: (65536,) bool by the two bytes around a space, whether it may be no cut.
        at_spaces: whether texts are cut at white space at all.
    """

    def __init__(self, settings: TextSettings, parting: Parting) -> None:
        """Note what can stand around a space that is no cut."""
        self._html_breaks = settings.html_breaks
        self.at_spaces, self._longest = parting.at_spaces, parting.longest
        self._unseen = _INVISIBLE if parting.joiners else _INVISIBLE_IN_ENGLISH
        # By two bytes: those around a space, the two before it from right to left, the two behind.
        self.around, self._before, self._behind = np.zeros((3, 1 << 16), bool)
        for left, right in parting.over:
            before, behind = left.encode(), right.encode()
            self.around[before[-1] << 8 | behind[0]] = True
            self._before[_two_bytes(before[::-1], parting.letters_hold)] = True
            self._behind[_two_bytes(behind, parting.letters_hold)] = True
        for left, right in parting.within:
            before, behind = left.encode(), right.encode()
            self._before[behind[0] << 8 | before[-1]] = True
            self._behind[before[-1] << 8 | behind[0]] = True

    def split(self, texts: pa.Array) -> Chunks:
        """Cut texts (R,) of string or large_string; null has no chunks.

        The bytes are not copied where nothing has to go: a cut is a place in the texts' own buffer.
        """
        texts = visible(texts, self._unseen)
        if self._html_breaks:
            texts = pc.replace_substring_regex(texts, pattern=HTML_BREAK, replacement=" ")
        rows, data = flat(texts)
        cuts = self._cuts(rows, data)
        values = pa.LargeStringArray.from_buffers(
            len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(data)
        )
        return Chunks(values, np.searchsorted(cuts, rows))

    def _cuts(self, rows: _Places, data: _Bytes) -> _Places:
        """Return where chunks begin and end: (C + 1,), ascending."""
        is_cut = np.zeros(len(data) + 1, bool)
        is_cut[rows] = True
        if self.at_spaces:
            self._cut_at_spaces(is_cut, rows, data)
        cuts = np.flatnonzero(is_cut)
        is_short = np.diff(rows).max(initial=0) <= self._longest
        return cuts if is_short else _shortened(cuts, data, self._longest)

    def _cut_at_spaces(self, is_cut: npt.NDArray[np.bool_], rows: _Places, data: _Bytes) -> None:
        """Mark the places behind white space that is a cut."""
        np.logical_or(is_cut[1:], data == _SPACE, out=is_cut[1:])
        spaces = np.flatnonzero(data[1:-1] == _SPACE) + 1  # inner ones
        around = self.around.take(data.take(spaces - 1).astype(np.uint16) << 8
                                   | data.take(spaces + 1))  # fmt: skip
        is_cut[self._reached_over(spaces[around], rows, data) + 1] = False
        starts, sizes = _WHITE_SPACE.find(data)
        is_cut[starts + sizes] = True
        is_cut[rows] = True

    def _reached_over(self, spaces: _Places, rows: _Places, data: _Bytes) -> _Places:
        """Return the spaces (W,) that a special case may reach over, by one more byte each way."""
        padded = np.concatenate((data, np.zeros(2, np.uint8)))
        before, behind = padded[spaces - 2], padded[spaces + 2]
        before[np.isin(spaces - 1, rows) | (spaces < 2)] = 0  # another text's
        behind[np.isin(spaces + 2, rows)] = 0
        return spaces[
            self._before.take(padded[spaces - 1].astype(np.uint16) << 8 | before)
            & self._behind.take(padded[spaces + 1].astype(np.uint16) << 8 | behind)
        ]


def visible(texts: pa.Array, unseen: Characters = _INVISIBLE_IN_ENGLISH) -> pa.Array:
    """Return texts (R,) as large_string without characters that nobody sees; null becomes empty."""
    texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = texts.fill_null("")
    rows, data = flat(texts)
    starts, sizes = unseen.find(data)
    if not len(starts):
        return texts
    kept = np.ones(len(data), bool)
    kept[starts] = kept[starts + 1] = kept[starts + sizes - 1] = False  # 2 or 3 bytes each
    rows = rows - np.concatenate(([0], np.cumsum(~kept)))[rows]
    return pa.LargeStringArray.from_buffers(
        len(texts), pa.py_buffer(rows), pa.py_buffer(data[kept])
    )


def flat(texts: pa.Array) -> tuple[_Places, _Bytes]:
    """Return where each of the texts (R,) of large_string begins, (R + 1,), in their bytes."""
    _, offsets_buffer, data_buffer = texts.buffers()
    rows = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return rows - rows[0], np.frombuffer(data_buffer or b"", np.uint8)[rows[0] : rows[-1]]


def _two_bytes(token: bytes, letters_hold: bool) -> list[int]:
    """Return the pairs of bytes that a token and what follows it can begin with."""
    if len(token) > 1:
        return [token[0] << 8 | token[1]]
    ends = letters_hold and token.isalpha()
    return [token[0] << 8 | b for b in range(256) if not (ends and bytes([b]).isalpha())]


def _shortened(cuts: _Places, data: _Bytes, longest: int) -> _Places:
    """Cut chunks longer than `longest` bytes, each between two characters."""
    more = []
    for i in np.flatnonzero(np.diff(cuts) > longest):
        for place in range(cuts[i] + longest, cuts[i + 1], longest):
            while data[place] & 0xC0 == 0x80:  # within a character
                place -= 1
            more.append(place)
    return np.union1d(cuts, more).astype(np.int64) if more else cuts

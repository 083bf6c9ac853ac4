"""Chunks of ASCII that are cut by looking at neighbouring bytes alone, all of them at once.

Piles of marks and random letters and digits have as many shapes as chunks, so looking shapes up
gains nothing. Here numpy finds the marks in front, those behind, and the infixes between. What
needs more than a byte and its neighbours is left to `pieces`: special cases, units behind a digit,
full stops beside letters, all that is not ASCII.
Legend: C chunks, W bytes of them all, T tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from string import ascii_letters, digits, punctuation
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.lean_import import lean_spacy
from infer.text.chunks import flat
from infer.text.ranges import ranges
from infer.text.rules import Rules

with lean_spacy():
    from spacy.lang import char_classes as chars

_MARKS_BUT_STOP: Final = punctuation.replace(".", "")
_END: Final = "\0"  # stands before and behind a chunk
_SPACE, _STOP = ord(" "), ord(".")
_MARK, _LOWER, _CAPITAL, _DIGIT = range(4)
_EXAMPLES: Final = ("", "a", "A", "0")  # of each kind of byte, as neighbours of an infix
_KINDS: Final = np.zeros(256, np.uint8)
_KINDS[ord("a") : ord("z") + 1] = _LOWER
_KINDS[ord("A") : ord("Z") + 1] = _CAPITAL
_KINDS[ord("0") : ord("9") + 1] = _DIGIT
_USUAL: Final = ascii_letters + digits + punctuation + " "
_ODD: Final = ~np.isin(np.arange(256), list(_USUAL.encode()))

_Bytes = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cuts:
    """Where C chunks are cut.

    Attributes:
        is_cut: (C,), whether a chunk is cut at all; if not, its list is empty.
        sizes: (C,) lists of int32, bytes of each token, -1 for each space between or behind.
    """

    is_cut: _Flags
    sizes: pa.LargeListArray


class Neighbours:
    """Tables of what the rules say about a byte between two others."""

    def __init__(self, rules: Rules) -> None:
        """Ask the rules about all marks of ASCII."""
        self._front = _table(rules.prefix_marks | {"+"})
        self._back = _table(rules.suffix_marks)
        self._before_stop = _table(m for m in _MARKS_BUT_STOP if rules.suffix.search(m + "."))
        self._infix = np.zeros((4, 256, 4), bool)
        kinds = range(_LOWER, _DIGIT + 1)
        for before, mark, behind in product(kinds, punctuation, kinds):
            text = _EXAMPLES[before] + mark + _EXAMPLES[behind]
            self._infix[before, ord(mark), behind] = rules.infix.search(text) is not None
        self._parting_stop = np.zeros((256, 256), bool)
        for left, right in product(_MARKS_BUT_STOP, _MARKS_BUT_STOP):
            parts = rules.infix.search(f"{left}.{right}") is not None
            self._parting_stop[ord(left), ord(right)] = parts
        self._pair, self._first, self._second = np.zeros((3, 1 << 16), bool)
        for text in {*rules.cases, *_beyond_neighbours()}:
            self._note(text.encode())

    def _note(self, text: bytes) -> None:
        """Note that chunks which hold a text cannot be cut here; its first three bytes tell."""
        if len(text) == 2:
            self._pair[text[0] << 8 | text[1]] = True
        elif len(text) > 2:
            self._first[text[0] << 8 | text[1]] = self._second[text[1] << 8 | text[2]] = True

    def cuts(self, chunks: pa.Array) -> Cuts:
        """Cut those of the chunks (C,) of large_string that can be cut here.

        What a single space parts is cut as if it stood alone: only special cases reach over one.
        """
        offsets, data = flat(chunks)
        spaces = np.flatnonzero(data == _SPACE)
        is_end = np.zeros(len(data) + 1, bool)
        is_end[offsets] = is_end[spaces + 1] = True
        pieces = np.flatnonzero(is_end)
        stops = pieces[1:] - (data[pieces[1:] - 1] == _SPACE)
        is_cut = self._can_cut(data, offsets, stops)
        is_start = self._token_starts(data, pieces[:-1], stops)
        is_start[spaces] = True
        is_start &= np.repeat(is_cut, np.diff(offsets))
        firsts = np.flatnonzero(is_start)
        sizes = np.diff(firsts, append=len(data))
        ends = np.searchsorted(firsts, offsets)
        last = ends[1:][np.diff(ends) > 0] - 1
        sizes[last] = offsets[_owners(firsts[last], offsets) + 1] - firsts[last]
        sizes[data[firsts] == _SPACE] = -1
        return Cuts(is_cut, pa.LargeListArray.from_arrays(ends, sizes.astype(np.int32)))

    def _can_cut(self, data: _Bytes, offsets: _Places, stops: _Places) -> _Flags:
        """Tell which chunks hold nothing that needs more than neighbours: (C,)."""
        behind = np.append(data[1:], data[:1])
        behind[stops[stops > 0] - 1] = 0
        pairs = data.astype(np.uint16) << 8 | behind
        is_beyond = _ODD.take(data) | self._pair.take(pairs)
        first = np.flatnonzero(self._first.take(pairs))
        is_beyond[first] |= self._second.take(pairs.take(first + 1, mode="clip"))
        can_cut = np.ones(len(offsets) - 1, bool)
        can_cut[_owners(np.flatnonzero(is_beyond), offsets)] = False
        has_stop = np.zeros(len(can_cut), bool)
        has_stop[_owners(np.flatnonzero(data == _STOP), offsets)] = True
        words = np.concatenate(([0], np.cumsum(_KINDS.take(data) > _MARK)))
        return can_cut & ~(has_stop & (np.diff(words[offsets]) > 0))

    def _token_starts(self, data: _Bytes, starts: _Places, stops: _Places) -> _Flags:
        """Tell at which bytes tokens begin, in chunks that can be cut here: (W,)."""
        before = np.concatenate((data[:1], data[:-1]))
        before[starts[starts < len(data)]] = 0
        is_stop = data == _STOP
        goes_on = is_stop & (before == _STOP)  # a run of full stops, which is one token
        in_run = goes_on.copy()
        in_run[:-1] |= goes_on[1:]
        front = self._front.take(data) | in_run
        back = self._back.take(data) | in_run | (is_stop & self._before_stop.take(before))
        front_ends = _next(np.flatnonzero(~front), starts, stops)
        back_starts = np.maximum(_behind_last(np.flatnonzero(~back), stops), front_ends)
        is_start = np.zeros(len(data) + 1, bool)
        is_start[starts] = is_start[front_ends] = True
        is_start[ranges(starts, front_ends - starts)] = True
        is_start[ranges(back_starts, stops - back_starts)] = True
        infixes = self._infixes(data, before, starts, front_ends)
        is_start[infixes] = is_start[infixes + 1] = True
        is_start[:-1] |= in_run
        is_start[1:] |= in_run
        is_start[:-1] &= ~goes_on
        return is_start[:-1]

    def _infixes(
        self, data: _Bytes, before: _Bytes, starts: _Places, front_ends: _Places
    ) -> _Places:
        """Return where marks stand between letters or digits, or full stops between quotes."""
        behind = np.append(data[1:], np.uint8(0))
        behind[starts[1:] - 1] = 0
        marks = np.flatnonzero((_KINDS.take(data) == _MARK) & (_KINDS.take(behind) != _MARK))
        kinds = (_KINDS.take(before[marks]), data[marks], _KINDS.take(behind[marks]))
        is_first = np.zeros(len(data) + 1, bool)
        is_first[front_ends] = True  # what stands before it is peeled off
        stops = np.flatnonzero((data == _STOP) & ~is_first[:-1])
        parts = self._parting_stop[before[stops], behind[stops]]
        return np.concatenate((marks[self._infix[kinds]], stops[parts]))


def _beyond_neighbours() -> Iterator[str]:
    """Give texts that the rules treat in ways of their own, each as long as it has to be."""
    yield from ("'s", "'S")
    yield from _all(ascii_letters, "$")  # US$
    yield from _all(digits, "+$%")
    yield from _all(digits, "-*^", "-")
    yield from _all("+", digits)
    yield from _all(ascii_letters + digits, ["--"])
    units = [unit for unit in chars.LIST_UNITS if unit[0] in ascii_letters]
    yield from _all(digits, [unit for unit in units if len(unit) > 1])
    yield from _all(digits, [unit for unit in units if len(unit) == 1], punctuation + digits + _END)


def _all(*parts: Iterable[str]) -> Iterator[str]:
    return map("".join, product(*parts))


def _table(marks: Iterable[str]) -> _Flags:
    return np.isin(np.arange(256), [ord(mark) for mark in marks if mark.isascii()])


def _owners(places: _Places, offsets: _Places) -> _Places:
    """Return the chunks that bytes stand in."""
    owners: _Places = np.searchsorted(offsets, places, side="right") - 1
    return owners


def _next(places: _Places, starts: _Places, stops: _Places) -> _Places:
    """Return for each chunk (C,) the first of the places in it, or where it stops."""
    found = np.concatenate((places, stops[-1:]))[np.searchsorted(places, starts)]
    return np.minimum(found, stops)


def _behind_last(places: _Places, stops: _Places) -> _Places:
    """Return the places behind the last ones before each stop (C,), 0 without one."""
    return np.concatenate(([0], places + 1))[np.searchsorted(places, stops)]

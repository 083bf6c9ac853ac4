"""Texts of megabytes lose their middle before any work: the model is given head and tail only.

Only what provably makes no difference is left out: the text is parted at places where it is cut
into chunks whatever stands around, with enough of them in front and behind.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.text.chunks import Chunker
from infer.text.settings import TextSettings

LONG: Final = 1 << 20  # bytes; a text of at most so many stays as it is
EDGE: Final = 256 << 10  # bytes at each end in which such places are looked for

_SPACES: Final = np.isin(np.arange(256), list(b" \t\n\r"))
# First bytes of characters of two and three bytes none of which is white space or invisible.
_OF_TWO: Final = np.isin(np.arange(256), range(0xC3, 0xE0))
_OF_THREE: Final = np.isin(np.arange(256), [0xE0, *range(0xE4, 0xEF)])
_OF_FOUR: Final = np.isin(np.arange(256), range(0xF0, 0xF5))
# White space within `<br />` stands before one of its last two marks; a break as a whole is read as
# a space, and gives no token.
_BEFORE: Final = np.isin(np.arange(256), [c for c in range(0x21, 0x7F) if c not in b">"])
_BEHIND: Final = np.isin(np.arange(256), [c for c in range(0x21, 0x7F) if c not in b"/>"])
_BEHIND_ANY: Final = _BEHIND | _OF_TWO | _OF_THREE | _OF_FOUR


class Shortener:
    """Leaves out the middle of texts of which `max_tokens` keeps head and tail."""

    def __init__(self, settings: TextSettings, chunker: Chunker, long: int = LONG) -> None:
        """Take how much is kept.

        Args:
            settings: how many tokens are kept of head and tail.
            chunker: where texts are cut into chunks.
            long: bytes of the longest text that stays as it is.
        """
        self._chunker, self._long = chunker, long
        # One token more than the head has: the text stays longer than `max_tokens`.
        self._in_front = settings.head_tokens + 1
        # What is kept begins at the first of these places; a token ends before each other one.
        self._behind = settings.max_tokens - settings.head_tokens + 1

    def __call__(self, texts: pa.Array) -> pa.Array:
        """Return texts (R,) of large_string that have the same ids and statuses."""
        if not self._chunker.at_spaces:
            return texts
        lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy()
        pieces, done = [], 0
        for row in np.flatnonzero(lengths > self._long).tolist():
            short = self._shortened(np.frombuffer(texts[row].as_buffer(), np.uint8))
            if short is not None:
                pieces += [texts.slice(done, row - done), pa.array([short], texts.type)]
                done = row + 1
        return pa.concat_arrays([*pieces, texts.slice(done)]) if pieces else texts

    def _shortened(self, data: npt.NDArray[np.uint8]) -> bytes | None:
        """Return head and tail of a text, None where too few places are sure."""
        edge = min(EDGE, len(data) // 2)
        front = self._sure_cuts(data[:edge])
        back = len(data) - edge + self._sure_cuts(data[len(data) - edge :])
        if len(front) < self._in_front or len(back) < self._behind:
            return None
        head, tail = data[: front[self._in_front - 1]], data[back[-self._behind] :]
        # Behind a line feed there is always a cut.
        return head.tobytes() + b"\n" + tail.tobytes()

    def _sure_cuts(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return places behind white space that are cuts, with a token before each."""
        places, is_space = np.arange(len(data)), _SPACES.take(data)
        last = np.maximum.accumulate(np.where(is_space, 0, places))  # before the white space
        ends = np.flatnonzero(is_space[:-1] & ~is_space[1:])
        ends = ends[last[ends] >= 2]
        last, behind = last[ends], data[ends + 1]
        is_sure = _BEFORE[data[last]] | _OF_TWO[data[last - 1]] | _OF_THREE[data[last - 2]]
        is_sure &= _BEHIND_ANY[behind]
        is_one_space = (data[ends] == ord(" ")) & (ends == last + 1)
        is_sure &= ~(
            is_one_space & self._chunker.around[data[last].astype(np.uint16) << 8 | behind]
        )
        cuts: npt.NDArray[np.int64] = ends[is_sure] + 1
        return cuts

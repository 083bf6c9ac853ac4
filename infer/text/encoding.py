"""A column of texts → token ids, at Arrow's and numpy's speed.

The texts are cut behind white space, Arrow finds the distinct chunks; the token ids of a chunk
seen before come from a bounded cache; only new chunks are tokenized. Legend: R rows, C chunks,
N tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.text.chunks import Chunks
from infer.text.memo import Memo
from infer.text.ranges import ranges
from infer.text.settings import TextSettings
from infer.text.statuses import EMPTY, INVALID, NULL, OK, TRUNCATED
from infer.text.tokenizer import Spans, Tokenizer, blocks
from infer.text.vocabulary import UNK_ID, Vocabulary

ENCODED_AT_ONCE: Final = 4_096
ENCODED_BYTES: Final = 16 << 20  # may hold 1.6 million words that are all new
# 25,000 film reviews have some 280,000 distinct chunks; 500,000 take about 100 MB.
CACHE_CHUNKS: Final = 500_000
CACHE_BYTES: Final = 64 << 20  # where chunks are long: texts without spaces, base64
# How many chunks are compared, and how many distinct ones looked up, before `stop` is honoured:
# about a second. A window of reviews is just under the first.
COMPARED_AT_ONCE: Final = 3_000_000
TOKENIZED_AT_ONCE: Final = 50_000
_NO_IDS: Final = np.zeros(0, np.int32)


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of R texts, flat: row `i` owns `ids[offsets[i]:offsets[i + 1]]`.

    Attributes:
        ids: (N,) int32 vocabulary ids.
        offsets: (R + 1,) int64.
        statuses: (R,) uint8, positions in `infer.text.statuses.STATUSES`; only `ok` and `truncated`
            rows have tokens.
        left_out: (R,) int64, the tokens of each row that truncation left out; None: none of any.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.uint8]
    left_out: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.statuses)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens in each row, (R,) int64."""
        return np.diff(self.offsets)

    @property
    def written(self) -> npt.NDArray[np.int64]:
        """Tokens that each row had before truncation, (R,) int64.

        Of a text of more than a megabyte, whose middle is not looked at, it is an estimate.
        """
        return self.lengths if self.left_out is None else self.lengths + self.left_out


class EncodingStopped(Exception):  # noqa: N818 - no error: it was asked for
    """`Encoder.stop` was called while texts were being encoded."""


class Encoder:
    """Turns texts into vocabulary ids; remembers chunks. Threads may share one."""

    def __init__(
        self, settings: TextSettings, vocabulary: Vocabulary, cache_chunks: int = CACHE_CHUNKS
    ) -> None:
        """Prepare the tokenizer and the vocabulary's lookup table.

        Args:
            settings: how text becomes tokens.
            vocabulary: which token has which id.
            cache_chunks: distinct chunks remembered before the cache starts anew; it also does
                where they are long, at `CACHE_BYTES`.
        """
        self.settings = settings
        self._tokenizer = Tokenizer(settings)
        self._vocabulary = {name: i for i, name in enumerate(vocabulary.tokens) if i > UNK_ID}
        self._known = Memo(self._tokenize, cache_chunks, CACHE_BYTES)
        self._is_stopped = False

    def stop(self) -> None:
        """Make `encode` give up in whatever thread it runs: new text can take it a minute."""
        self._is_stopped = True

    def encode(self, texts: pa.Array) -> EncodedTexts:
        """Encode texts of any string or binary type.

        Args:
            texts: (R,) string, large_string, string_view, dictionary of these, or binary as UTF-8.

        Returns:
            The ids and a status for each row; texts longer than `max_tokens` keep head and tail.

        Raises:
            EncodingStopped: `stop` was called.
        """
        texts, invalid = decode_utf8(texts)
        shortened = self._tokenizer.shortened(texts)
        chunks = self._tokenizer.split(shortened)
        ids, offsets = self._ids_of_chunks(chunks)
        statuses = np.where(np.diff(offsets) == 0, EMPTY, OK).astype(np.uint8)
        statuses[texts.is_null().to_numpy(zero_copy_only=False)] = NULL
        statuses[invalid] = INVALID
        written = np.diff(offsets)
        if shortened is not texts:  # as many tokens in what was left out as in what was not
            before, after = (
                pc.fill_null(pc.binary_length(some), 0).to_numpy() for some in (texts, shortened)
            )
            written = written * before // np.maximum(after, 1)
        return self._truncate(EncodedTexts(ids, offsets, statuses), written)

    def spans(self, text: str) -> Spans:
        """Say where the tokens of one text stand in it, those too that `encode` leaves out."""
        return self._tokenizer.spans(text)

    def _ids_of_chunks(self, chunks: Chunks) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the rows' token ids (N,), and where each row's begin (R + 1,).

        Arrow finds the distinct chunks without the interpreter's lock; these are looked up, or
        tokenized, a block at a time.
        """
        found = []
        offsets = np.zeros(len(chunks.offsets), np.int64)
        for start in range(0, len(chunks.values), COMPARED_AT_ONCE):
            distinct = chunks.values.slice(start, COMPARED_AT_ONCE).dictionary_encode()
            ids = []
            for block in blocks(distinct.dictionary, TOKENIZED_AT_ONCE):
                if self._is_stopped:
                    raise EncodingStopped
                ids.append(self._known(distinct.dictionary[block]))
            tokens = pa.concat_arrays(ids).take(distinct.indices)
            found.append(tokens.values.to_numpy())
            offsets += tokens.offsets.to_numpy()[np.clip(chunks.offsets - start, 0, len(tokens))]
        return found[0] if len(found) == 1 else np.concatenate([_NO_IDS, *found]), offsets

    def _tokenize(self, chunks: pa.Array) -> pa.LargeListArray:
        """Return the token ids of distinct chunks, `<unk>` where one is not in the vocabulary."""
        tokens = self._tokenizer.tokenize_chunks(chunks)
        ids = np.fromiter(
            map(self._vocabulary.get, tokens.names, repeat(UNK_ID)), np.int32, len(tokens.names)
        )
        offsets = np.concatenate(([0], np.cumsum(tokens.lengths)))
        return pa.LargeListArray.from_arrays(offsets, ids[tokens.places])

    def _truncate(self, encoded: EncodedTexts, written: npt.NDArray[np.int64]) -> EncodedTexts:
        """Keep the head and the tail of rows longer than `max_tokens`, and note how much goes."""
        lengths = encoded.lengths
        longest, head = self.settings.max_tokens, self.settings.head_tokens
        over = lengths > longest
        if not over.any():
            return encoded
        dropped = ranges(encoded.offsets[:-1][over] + head, lengths[over] - longest)
        offsets = np.concatenate(([0], np.cumsum(np.minimum(lengths, longest))))
        statuses = np.where(over, TRUNCATED, encoded.statuses).astype(np.uint8)
        left_out = written - np.diff(offsets)
        return EncodedTexts(np.delete(encoded.ids, dropped), offsets, statuses, left_out)


def concatenate(parts: Sequence[EncodedTexts]) -> EncodedTexts:
    """Join encoded texts, the rows of the first part first."""
    lengths = np.concatenate([np.zeros(0, np.int64), *(part.lengths for part in parts)])
    return EncodedTexts(
        ids=np.concatenate([np.zeros(0, np.int32), *(part.ids for part in parts)]),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        statuses=np.concatenate([np.zeros(0, np.uint8), *(part.statuses for part in parts)]),
        left_out=np.concatenate(
            [np.zeros(0, np.int64), *(part.written - part.lengths for part in parts)]
        ),
    )


def encode_all(
    encoder: Encoder, texts: pa.Array, advance: Callable[[int], object] = lambda rows: None
) -> EncodedTexts:
    """Encode many texts in blocks, which bound the memory; a signal need not wait for them all.

    Args:
        encoder: settings and vocabulary.
        texts: (R,) of the types that `Encoder.encode` takes.
        advance: is told how many texts more are encoded.
    """
    parts = []
    for block in _blocks(texts):
        parts.append(encoder.encode(block))
        advance(len(block))
    return concatenate(parts)


def _blocks(texts: pa.Array) -> Iterator[pa.Array]:
    """Cut texts into blocks of bounded rows and bytes; a larger single text is one of its own."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    sizes = pc.fill_null(pc.binary_length(texts.cast(pa.large_binary())), 0)
    ends = np.cumsum(sizes.to_numpy(zero_copy_only=False), dtype=np.int64)
    start = before = 0
    while start < len(texts):
        fitting = int(np.searchsorted(ends, before + ENCODED_BYTES, side="right"))
        end = max(start + 1, min(fitting, start + ENCODED_AT_ONCE))
        yield texts.slice(start, end - start)
        start, before = end, int(ends[end - 1])


def decode_utf8(texts: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Return texts as large_string, and which rows are not UTF-8 (those become null).

    Parquet readers do not check the encoding of string columns, so it is checked here; only a
    batch that fails is looked at row by row.

    Args:
        texts: (R,) string, large_string, string_view, dictionary of these, or binary.
    """
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    raw = texts.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()), np.zeros(len(raw), bool)
    except pa.ArrowInvalid:
        values = raw.to_pylist()
        invalid = np.fromiter((not _is_utf8(value) for value in values), bool, len(values))
        valid = [None if bad else value for value, bad in zip(values, invalid, strict=True)]
        return pa.array(valid, pa.large_binary()).cast(pa.large_string()), invalid


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or bool(value.decode()) or True
    except UnicodeDecodeError:
        return False

"""spaCy's tokens, without its cost: the same tokens, asked for once a shape of chunk.

A column of texts is cut into chunks (`chunks`), English chunks of the same shape are cut alike
(`shapes`), and a shape is cut by spaCy's rules: in English by looking at neighbours (`neighbours`)
or, where these do not tell, as in other languages, a piece at a time (`languages`). White-space
tokens, which spaCy makes, are dropped. Threads may share a tokenizer. Legend: C chunks, N tokens.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.lean_import import lean_spacy
from infer.text.chunks import Chunker, Chunks
from infer.text.languages import cutter_of
from infer.text.long_texts import Shortener
from infer.text.memo import Memo
from infer.text.neighbours import Neighbours
from infer.text.rules import rules_of
from infer.text.settings import TextSettings
from infer.text.shapes import Shaper, Shapes

with lean_spacy():
    import spacy.about

# 100,000 film reviews have some 60,000 shapes, which take 10 MB.
REMEMBERED_SHAPES: Final = 200_000
REMEMBERED_BYTES: Final = 16 << 20
# Some 0.1 s of shapes never seen, in which nobody asks whether to stop.
_COUNTED_AT_ONCE: Final = 50_000
_BYTES_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True)
class ChunkTokens:
    """Tokens of several chunks, flat.

    Attributes:
        places: (N,) int32, each token's place in `names`, chunk after chunk.
        names: distinct tokens, as the settings would look them up; other strings may be among them.
        lengths: (C,) int64, tokens of each chunk.
    """

    places: npt.NDArray[np.int32]
    names: list[str]
    lengths: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Where the tokens of a text stand.

    Attributes:
        text: as it is read: without invisible characters, HTML breaks as spaces, and of more than
            a megabyte without its middle.
        places: (N, 2) int64, the characters at which each token begins and ends.
    """

    text: str
    places: npt.NDArray[np.int64]


class Tokenizer:
    """Cuts texts into chunks and chunks into tokens, as `TextSettings` say.

    Attributes:
        settings: how.
        shortened: takes texts, and leaves out middles that the settings leave out.
    """

    def __init__(self, settings: TextSettings) -> None:
        """Read spaCy's rules for the language of `settings`; no statistical model is loaded.

        Raises:
            UsageError: spaCy does not know the language, or needs a package for it.
        """
        self.settings = settings
        self._cutter = cutter_of(settings.language)
        self._chunker = Chunker(settings, self._cutter.parting)
        self.shortened = Shortener(settings, self._chunker)
        # What is known of English rules alone: they look at a byte's neighbours, and at few words.
        english = rules_of("en") if settings.language == "en" else None
        self._neighbours = Neighbours(english) if english else None
        self._shaper = Shaper(english)
        self._cuts = Memo(self._cut_shapes, REMEMBERED_SHAPES, REMEMBERED_BYTES)

    def split(self, texts: pa.Array) -> Chunks:
        """Cut texts (R,) of string or large_string behind white space; null has no chunks."""
        return self._chunker.split(texts)

    def tokenize_chunks(self, chunks: pa.Array) -> ChunkTokens:
        """Tokenize chunks (C,) of large_string, each as if it stood alone."""
        shapes = self._shaper.shapes(chunks)
        tokens, lengths = shapes.tokens(self._cuts_of(shapes))
        names: list[str] = tokens.dictionary.to_numpy(zero_copy_only=False).tolist()
        if self.settings.lower:
            names = list(map(str.lower, names))
        return ChunkTokens(tokens.indices.to_numpy(), names, lengths)

    def count(self, texts: pa.Array) -> Counter[str]:
        """Count the tokens of `texts`, each as the settings would look it up."""
        chunks = pc.value_counts(self.split(texts).values)
        occurrences = chunks.field("counts").to_numpy()
        counts: Counter[str] = Counter()
        for block in blocks(chunks.field("values"), _COUNTED_AT_ONCE):
            tokens = self.tokenize_chunks(chunks.field("values")[block])
            repeats = np.repeat(occurrences[block], tokens.lengths)
            totals = np.bincount(tokens.places, repeats, len(tokens.names)).astype(np.int64)
            for name, total in zip(tokens.names, totals.tolist(), strict=True):
                if total:
                    counts[name] += total
        return counts

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of one text as strings."""
        tokens = self.tokenize_chunks(self.split(pa.array([text], pa.large_string())).values)
        return [tokens.names[place] for place in tokens.places.tolist()]

    def spans(self, text: str) -> Spans:
        """Say where the tokens of one text stand in it."""
        texts = self.shortened(pa.array([text], pa.large_string()))
        shapes = self._shaper.shapes(self.split(texts).values)
        bounds, _ = shapes.bounds(self._cuts_of(shapes))
        # Of a character of several bytes all but the first are no character more.
        before = np.concatenate(([0], np.cumsum(shapes.data & 0xC0 != 0x80)))
        return Spans(shapes.data.tobytes().decode(), before[bounds])

    def _cuts_of(self, shapes: Shapes) -> pa.LargeListArray:
        distinct = shapes.values.dictionary_encode()
        return self._cuts(distinct.dictionary).take(distinct.indices)

    def _cut_shapes(self, shapes: pa.Array) -> pa.LargeListArray:
        """Return the bytes of each token, negative for white space between: (C,) lists of int32."""
        if self._neighbours is None:
            return self._cut_by_rules(shapes)
        near = self._neighbours.cuts(shapes)
        if near.is_cut.all():
            return near.sizes
        others = self._cut_by_rules(shapes.filter(pa.array(~near.is_cut)))
        order = np.arange(len(shapes))
        order[~near.is_cut] = len(shapes) + np.arange(len(others))
        return pa.concat_arrays([near.sizes, others]).take(pa.array(order))

    def _cut_by_rules(self, shapes: pa.Array) -> pa.LargeListArray:
        """Return the same, asked of the language's cutter."""
        sizes: list[int] = []
        ends = [0]
        texts = shapes.to_numpy(zero_copy_only=False)
        for text, tokens in zip(texts, self._cutter.cut(texts), strict=True):
            sizes += _sizes(text, tokens)
            ends.append(len(sizes))
        return pa.LargeListArray.from_arrays(ends, np.array(sizes, np.int32))


def _sizes(text: str, tokens: list[str]) -> list[int]:
    """Return the bytes of a text's tokens, negative where white space stands between."""
    lengths = list(map(len, tokens if text.isascii() else map(str.encode, tokens)))
    if sum(lengths) == (len(text) if text.isascii() else len(text.encode())):
        return lengths
    return list(_sizes_between_spaces(text.encode(), tokens))


def _sizes_between_spaces(text: bytes, tokens: list[str]) -> Iterator[int]:
    """Give the bytes of each token, and negative those of white space before one."""
    done = 0
    for token in map(str.encode, tokens):
        start = text.index(token, done)
        if start > done:
            yield done - start
        yield len(token)
        done = start + len(token)


def blocks(strings: pa.Array, most: int) -> Iterator[slice]:
    """Part strings of large_string into runs of few enough, and short enough to be quick."""
    _, offsets, _ = strings.buffers()
    ends = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    start = 0
    while start < len(strings):
        fitting = int(np.searchsorted(ends, ends[start] + _BYTES_AT_ONCE, side="right")) - 1
        stop = max(start + 1, min(fitting, start + most))
        yield slice(start, stop)
        start = stop


def spacy_version() -> str:
    """Return the version of the installed spaCy."""
    return str(spacy.about.__version__)


def other_spacy(text: TextSettings) -> str | None:
    """Return a warning where spaCy is another minor version than the one behind the vocabulary."""
    made, here = text.spacy_version, spacy_version()
    if not made or made.split(".")[:2] == here.split(".")[:2]:
        return None
    return (
        f"Warning: the model learned from the tokens of spaCy {made}, installed is {here}, which "
        "may cut some texts otherwise"
    )

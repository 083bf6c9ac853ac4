"""spaCy's English tokenizer, asked once for each white-space chunk.

spaCy cuts a text at white space first and works on each chunk alone, so the tokens of a text are
the tokens of its chunks (white-space tokens, which the toolkit drops, aside). Many chunks are
handed over in one call, joined by spaces: the flag "followed by a space" then marks where a chunk
ends, and the tokens come back as arrays of hashes instead of Python objects.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import spacy
import spacy.about
from spacy.attrs import LOWER, ORTH, SPACY
from spacy.strings import get_string_id
from spacy.tokens import Doc

from infer.text import TextSettings

HTML_BREAK = r"(?i)<br\s*/?>"
# spaCy peels punctuation off a chunk one character at a time, in quadratic time: 26 s for 20,000
# exclamation marks. A longer chunk (there is none in 100,000 real reviews) is cut into pieces.
MAX_CHUNK_CHARS = 10_000
_PIECES = re.compile(f".{{1,{MAX_CHUNK_CHARS}}}", re.DOTALL)


@dataclass(frozen=True)
class ChunkTokens:
    """Tokens of several chunks, flat: chunk `i` owns `hashes[offsets[i]:offsets[i + 1]]`.

    Attributes:
        hashes: (N,) uint64, spaCy's 64-bit string hash of each token (`token_hash`).
        offsets: (chunks + 1,) int64.
    """

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]


class Tokenizer:
    """Splits texts into chunks and chunks into tokens, as `TextSettings` say."""

    def __init__(self, settings: TextSettings) -> None:
        """Build spaCy's rules for the language of `settings`; no statistical model is loaded."""
        self.settings = settings
        language: Any = spacy.blank(settings.language)
        self._spacy = language.tokenizer
        # Half of spaCy's time for a new string goes into attributes (shape, "looks like a URL")
        # that nothing here reads.
        self._spacy.vocab.lex_attr_getters = {LOWER: str.lower}

    def split(self, texts: pa.Array) -> pa.ListArray:
        """Cut texts at white space: (R,) string → (R,) list of non-empty chunks.

        A text without a chunk gives null. Arrow's and Python's ideas of white space were compared
        over all of Unicode: they agree.
        """
        if self.settings.html_breaks:
            texts = pc.replace_substring_regex(texts, pattern=HTML_BREAK, replacement=" ")
        texts = pc.utf8_trim_whitespace(texts)
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
        return pc.utf8_split_whitespace(texts)

    def tokenize_chunks(self, chunks: Sequence[str]) -> ChunkTokens:
        """Tokenize chunks that hold no white space and are not empty.

        The strings that spaCy stores on the way are freed again, so memory stays flat.
        """
        if not chunks:
            return ChunkTokens(np.zeros(0, np.uint64), np.zeros(1, np.int64))
        with self._spacy.vocab.memory_zone():
            doc, ends = self._tokenize_joined(chunks)
            attribute = LOWER if self.settings.lower else ORTH
            hashes = doc.to_array(attribute).astype(np.uint64, copy=False)
        return ChunkTokens(hashes, np.concatenate(([0], ends)))

    def count(self, texts: pa.Array) -> Counter[str]:
        """Count the tokens of `texts`, each as the settings would look it up."""
        chunks = pc.value_counts(self.split(texts).flatten())
        counts: Counter[str] = Counter()
        names, occurrences = chunks.field("values"), chunks.field("counts").to_numpy()
        for start in range(0, len(names), 100_000):
            block = names.slice(start, 100_000).to_pylist()
            with self._spacy.vocab.memory_zone():
                doc, ends = self._tokenize_joined(block)
                chunk_of_token = np.searchsorted(ends, np.arange(len(doc)), side="right")
                for token, chunk in zip(doc, chunk_of_token, strict=True):
                    text = token.lower_ if self.settings.lower else token.text
                    counts[text] += int(occurrences[start + chunk])
        return counts

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of one text as strings."""
        tokens: list[str] = []
        chunks = self.split(pa.array([text], pa.large_string()))[0].as_py()
        if chunks:
            with self._spacy.vocab.memory_zone():
                doc, _ = self._tokenize_joined(chunks)
                tokens = [token.lower_ if self.settings.lower else token.text for token in doc]
        return tokens

    def _tokenize_joined(self, chunks: Sequence[str]) -> tuple[Doc, npt.NDArray[np.int64]]:
        """Return spaCy's document for all chunks, and where each chunk's tokens end."""
        pieces_per_chunk = np.ones(len(chunks), np.int64)
        pieces: list[str] = []
        for i, chunk in enumerate(chunks):
            if len(chunk) <= MAX_CHUNK_CHARS:
                pieces.append(chunk)
            else:
                cut = _PIECES.findall(chunk)
                pieces_per_chunk[i] = len(cut)
                pieces.extend(cut)
        doc = self._spacy(" ".join(pieces))
        followed_by_space = doc.to_array(SPACY).astype(bool)
        followed_by_space[-1] = True  # the last piece ends with the text
        piece_ends = np.flatnonzero(followed_by_space) + 1
        return doc, piece_ends[np.cumsum(pieces_per_chunk) - 1]


def token_hashes(tokens: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return spaCy's 64-bit hash of each token: (N,) uint64."""
    return np.fromiter((get_string_id(token) for token in tokens), np.uint64)


def spacy_version() -> str:
    """Return the version of the installed spaCy."""
    return str(spacy.about.__version__)

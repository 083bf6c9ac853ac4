"""spaCy's English tokenizer, asked once for each distinct chunk of text between spaces.

spaCy cuts a text at white space first and works on each piece alone, so the tokens of a text are
the tokens of its pieces (white-space tokens, which the toolkit drops, aside). Many pieces are
handed over in one call, a word between each two: the flag "followed by a space" then marks where a
piece ends, and the tokens come back as arrays of hashes instead of Python objects.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.lean_import import lean_spacy
from infer.text.plain_words import PlainWords
from infer.text.settings import TextSettings

with lean_spacy():
    import spacy.about
    import spacy.util
    from spacy.attrs import LOWER, ORTH, SPACY
    from spacy.tokenizer import Tokenizer as SpacyTokenizer
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

HTML_BREAK: Final = r"(?i)<br\s*/?>"
# spaCy peels punctuation off a piece one character at a time, in quadratic time: 26 s for 20,000
# exclamation marks. A longer piece (there is none in 100,000 real reviews) is cut.
MAX_PIECE: Final = 10_000
_PARTS: Final = re.compile(f".{{1,{MAX_PIECE}}}", re.DOTALL)
_SPACE_TOKENS: Final = re.compile(r"\s{2,}|[^\S ]")
_COUNTED_AT_ONCE: Final = 100_000
# A word between two pieces keeps spaCy's special cases (such as '' for a quotation mark) from
# matching across them: what stands before a chunk must not change its tokens.
_SEPARATOR: Final = " of "


@dataclass(frozen=True)
class Chunks:
    """Texts cut behind each space, flat: row `i` owns `values[offsets[i]:offsets[i + 1]]`.

    Attributes:
        values: (C,) large_string; a chunk ends with its space, and may hold other white space.
        offsets: (R + 1,) int64.
    """

    values: pa.Array
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChunkTokens:
    """Tokens of several chunks, flat.

    Attributes:
        hashes: (N,) uint64, spaCy's 64-bit string hash of each token, chunk after chunk.
        lengths: (C,) int64, tokens of each chunk.
    """

    hashes: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.int64]


class Tokenizer:
    """Cuts texts into chunks and chunks into tokens, as `TextSettings` say."""

    def __init__(self, settings: TextSettings) -> None:
        """Build spaCy's rules for the language of `settings`; no statistical model is loaded."""
        self.settings = settings
        self._spacy = _spacy_tokenizer(settings.language)
        self._plain_words = PlainWords(self._spacy.rules, settings.lower)
        self._cuts = ~_pairs_within_special_cases(self._spacy).ravel()  # by two bytes, (65,536,)

    def split(self, texts: pa.Array) -> Chunks:
        """Cut texts (R,) of string or large_string behind spaces; null has no chunks.

        A space that one of spaCy's special cases, such as '' or o.O, can reach over is no cut.
        The bytes are not copied: a cut is a place in the texts' own buffer.
        """
        if self.settings.html_breaks:
            texts = pc.replace_substring_regex(texts, pattern=HTML_BREAK, replacement=" ")
        texts = texts.cast(pa.large_string())
        _, offsets_buffer, data_buffer = texts.buffers()
        rows = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        data = np.frombuffer(data_buffer or b"", np.uint8)[rows[0] : rows[-1]]
        rows = rows - rows[0]
        cut = np.zeros(len(data) + 1, bool)
        np.equal(data[1:], ord(" "), out=cut[2:])
        cut[rows] = True
        cuts = np.flatnonzero(cut)
        inner = cuts[1:-1]
        kept = np.ones(len(cuts), bool)
        before, behind = data.take(inner - 2).astype(np.uint16), data.take(inner)
        kept[1:-1] = self._cuts.take(before << 8 | behind)
        kept[np.searchsorted(cuts, rows)] = True
        cuts = cuts[kept].astype(np.int64, copy=False)
        values = pa.LargeStringArray.from_buffers(
            len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(data)
        )
        return Chunks(values, np.searchsorted(cuts, rows))

    def tokenize_chunks(self, chunks: pa.Array) -> ChunkTokens:
        """Tokenize chunks (C,) of large_string, each as if it stood alone.

        The strings that spaCy stores on the way are freed again, so memory stays flat.
        """
        is_plain, plain_hashes, plain_lengths = self._plain_words.find(chunks)
        attribute = LOWER if self.settings.lower else ORTH
        with self._spacy.vocab.memory_zone():
            joined = self._tokenize_joined(chunks.filter(pa.array(~is_plain)).to_pylist())
            hashes = joined.doc.to_array(attribute).astype(np.uint64, copy=False)[joined.tokens]
        lengths = np.empty(len(chunks), np.int64)
        lengths[is_plain], lengths[~is_plain] = plain_lengths, np.diff(joined.offsets)
        of_plain = np.repeat(is_plain, lengths)  # (N,)
        merged = np.empty(len(of_plain), np.uint64)
        merged[of_plain], merged[~of_plain] = plain_hashes, hashes
        return ChunkTokens(merged, lengths)

    def count(self, texts: pa.Array) -> Counter[str]:
        """Count the tokens of `texts`, each as the settings would look it up."""
        chunks = pc.value_counts(self.split(texts).values)
        names, occurrences = chunks.field("values"), chunks.field("counts").to_numpy()
        counts: Counter[str] = Counter()
        for start in range(0, len(names), _COUNTED_AT_ONCE):
            block = names.slice(start, _COUNTED_AT_ONCE).to_pylist()
            with self._spacy.vocab.memory_zone():
                joined = self._tokenize_joined(block)
                repeats = np.repeat(
                    occurrences[start : start + len(block)], np.diff(joined.offsets)
                )
                for token, occurrence in zip(self._strings(joined), repeats.tolist(), strict=True):
                    counts[token] += occurrence
        return counts

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of one text as strings."""
        chunks = self.split(pa.array([text], pa.large_string())).values.to_pylist()
        with self._spacy.vocab.memory_zone():
            return self._strings(self._tokenize_joined(chunks))

    def _strings(self, joined: "_Joined") -> list[str]:
        tokens = map(joined.doc.__getitem__, joined.tokens.tolist())
        return [token.lower_ if self.settings.lower else token.text for token in tokens]

    def _tokenize_joined(self, chunks: Sequence[str]) -> "_Joined":
        """Tokenize all chunks in one call, each as if it stood alone."""
        units: list[str] = []
        units_before = np.zeros(len(chunks) + 1, np.int64)
        for i, chunk in enumerate(chunks):
            units.extend(_units(chunk))
            units_before[i + 1] = len(units)
        doc = self._spacy(_SEPARATOR.join(units))
        followed_by_space = doc.to_array(SPACY).astype(bool).reshape(-1)
        followed_by_space[-1:] = True  # the last piece ends with the text
        ends = np.flatnonzero(followed_by_space) + 1  # of all pieces, separators among them
        pieces = np.fromiter((unit.count(" ") + 1 for unit in units), np.int64, len(units))
        last = np.cumsum(pieces + 1) - 2  # each unit's last piece; a separator comes next
        kept = np.ones(len(doc), bool)
        kept[ends[last[:-1] + 1] - 1] = False
        tokens_before = np.concatenate(([0], np.cumsum(kept)))
        unit_ends = np.concatenate(([0], tokens_before[ends[last]]))
        return _Joined(doc, np.flatnonzero(kept), unit_ends[units_before])


@dataclass(frozen=True)
class _Joined:
    """spaCy's document of many chunks.

    Attributes:
        doc: the document, separators included.
        tokens: (N,) places of the chunks' own tokens in it.
        offsets: (C + 1,) where each chunk's tokens begin and end among those.
    """

    doc: Doc
    tokens: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def _spacy_tokenizer(language: str) -> SpacyTokenizer:
    """Build what `spacy.blank(language).tokenizer` is, around a leaner vocabulary.

    Half of spaCy's time for a new string, its 1,347 special cases among them, goes into attributes
    (shape, "looks like a URL") that nothing here reads.
    """
    defaults: Any = spacy.util.get_lang_class(language).Defaults
    return SpacyTokenizer(
        Vocab(lex_attr_getters={LOWER: str.lower}),
        rules=defaults.tokenizer_exceptions,
        prefix_search=spacy.util.compile_prefix_regex(defaults.prefixes).search,
        suffix_search=spacy.util.compile_suffix_regex(defaults.suffixes).search,
        infix_finditer=spacy.util.compile_infix_regex(defaults.infixes).finditer,
        token_match=defaults.token_match,
        url_match=defaults.url_match,
    )


def _pairs_within_special_cases(tokenizer: SpacyTokenizer) -> npt.NDArray[np.bool_]:
    """Tell which bytes before and behind a space a special case can reach over: (256, 256).

    spaCy looks for its special cases as sequences of tokens, whether there are spaces between
    them or not. So the pairs are those of a token's last byte and the next one's first.
    """
    without_cases = SpacyTokenizer(
        tokenizer.vocab,
        prefix_search=tokenizer.prefix_search,
        suffix_search=tokenizer.suffix_search,
        infix_finditer=tokenizer.infix_finditer,
        token_match=tokenizer.token_match,
        url_match=tokenizer.url_match,
    )
    pairs = np.zeros((256, 256), bool)
    for case in tokenizer.rules:
        tokens = [token.text.encode() for token in without_cases(case)]
        for before, behind in pairwise(tokens):
            pairs[before[-1], behind[0]] = True
    return pairs


def _units(chunk: str) -> list[str]:
    """Return what of a chunk is tokenized together: pieces with single spaces between them.

    Other white space is a token of its own to spaCy and keeps what stands around it apart.
    """
    text = chunk.strip()
    if len(text) > MAX_PIECE:
        return [part for piece in text.split() for part in _PARTS.findall(piece)]
    return _SPACE_TOKENS.split(text) if text else []


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

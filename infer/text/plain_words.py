"""Chunks whose tokens can be read off: one word, with at most one mark before and one behind it.

They are two thirds of the distinct chunks of real reviews. No rule of spaCy's English tokenizer
cuts within ASCII letters, and each of the marks is a prefix or suffix of its own; only words that
its special cases name ("dont", "Mr.") are otherwise, so these are left to spaCy. Legend: C chunks,
P plain ones, N tokens.
"""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.lean_import import lean_spacy

with lean_spacy():
    from spacy.strings import get_string_id

# The word ends in lower case: spaCy keeps the full stop of "A." with its letter.
# Longer words than English has are left to spaCy, and to the tokenizer's bound for them.
_WORD: Final = '(?P<before>["(]?)(?P<word>[A-Za-z]{0,49}[a-z])(?P<behind>[,.!?;:)"]?)'
_CHUNK: Final = f"^{_WORD} ?$"


class PlainWords:
    """Finds plain chunks and their tokens."""

    def __init__(self, special_cases: Iterable[str], lower: bool) -> None:
        """Note which words are not plain.

        Args:
            special_cases: the strings that spaCy's tokenizer has rules for.
            lower: take tokens in lower case.
        """
        found = map(re.compile(_WORD).fullmatch, special_cases)
        words = {match["word"] for match in found if match}
        self._special = pa.array(sorted(words), pa.large_string())
        self._lower = lower

    def find(
        self, chunks: pa.Array
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Find the plain chunks and read their tokens off.

        Args:
            chunks: (C,) large_string.

        Returns:
            Which chunks are plain, (C,); the hashes of their tokens, flat, (N,); and how many
            tokens each plain chunk has, (P,).
        """
        parts = pc.extract_regex(chunks, _CHUNK)
        word = parts.field("word")
        is_plain = pc.and_(parts.is_valid(), pc.invert(pc.is_in(word, self._special)))
        parts = parts.filter(is_plain)
        word = parts.field("word")
        hashes = np.stack(
            [
                _hashes_of_few(parts.field("before")),
                token_hashes((pc.ascii_lower(word) if self._lower else word).to_pylist()),
                _hashes_of_few(parts.field("behind")),
            ],
            axis=1,
        )  # (P, 3)
        there = hashes != 0
        return is_plain.to_numpy(zero_copy_only=False), hashes[there], there.sum(axis=1)


def _hashes_of_few(marks: pa.Array) -> npt.NDArray[np.uint64]:
    """Hash strings of which there are few different ones; the empty string's hash is 0."""
    unified = marks.dictionary_encode()
    hashes = token_hashes(unified.dictionary.to_pylist())
    return hashes.take(np.asarray(unified.indices))


def token_hashes(tokens: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return spaCy's 64-bit hash of each token: (N,) uint64."""
    return np.fromiter((get_string_id(token) for token in tokens), np.uint64)

"""Which languages can be tokenized, and by what: our linear cutter, or spaCy itself.

spaCy has rules for some eighty languages. Most rules look at the ends of a piece alone, which
`pieces` does in linear time. The others, and the languages that are no rules at all, are asked of
spaCy, chunk by chunk; the tokens are the same either way.
"""

import pkgutil
import threading
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Protocol

from infer.base.errors import UsageError
from infer.base.lean_import import lean_spacy
from infer.text.chunks import Parting
from infer.text.pieces import cut_piece
from infer.text.rules import Rules, rules_of
from infer.text.special_cases import SpecialCases, adjacent

with lean_spacy():
    import spacy
    import spacy.lang
    from spacy.tokenizer import Tokenizer as SpacyTokenizer

# Languages with rules that look at the whole of a piece, turn by turn.
LOOKING_FAR: Final = frozenset({"el", "fr", "hu", "id", "ms", "pt", "tr"})
# Bytes that spaCy is given of what no white space parts. Its time grows with the square: 20,000
# exclamation marks take it 26 s.
_LONGEST_PIECE: Final = 1_000
# The dictionary behind Japanese refuses texts of more than 49,149 bytes.
_LONGEST_TEXT: Final = 40_000
# What the tokenizers of languages need that are no rules: what `pip install` brings.
_PACKAGES: Final = {
    "ja": "'spacy[ja]'",
    "ko": "'spacy[ko]' (and mecab-ko with its dictionary, which pip does not bring)",
    "th": "'spacy[th]'",
    "vi": "pyvi",
}


class Cutter(Protocol):
    """Cuts the chunks of one language."""

    @property
    def parting(self) -> Parting:
        """Where texts may be cut into chunks."""
        ...

    def cut(self, chunks: Iterable[str]) -> Iterator[list[str]]:
        """Give the tokens of each chunk, in their order and without white space around them."""
        ...


class LinearCutter:
    """Cuts chunks by rules that look at the ends of a piece alone."""

    def __init__(self, rules: Rules) -> None:
        """Take the language's rules."""
        self._rules = rules
        self._cases = SpecialCases(rules)
        self.parting = self._cases.parting()

    def cut(self, chunks: Iterable[str]) -> Iterator[list[str]]:
        """Give the tokens of each chunk."""
        return map(self._cut, chunks)

    def _cut(self, chunk: str) -> list[str]:
        pieces = chunk.split()
        if pieces == [chunk]:
            return self._cases.merge(cut_piece(chunk, self._rules), ())
        tokens: list[str] = []
        spaces = []
        for piece in pieces:
            spaces.append(len(tokens))
            tokens += cut_piece(piece, self._rules)
        return self._cases.merge(tokens, spaces)


class SpacyCutter:
    """Asks spaCy, which remembers nothing of it and is asked by one thread at a time."""

    def __init__(self, language: str) -> None:
        """Build the language's tokenizer.

        Raises:
            UsageError: it needs a package that is not installed.
        """
        self._tokenizer = build_tokenizer(language)
        self._lock = threading.Lock()
        self.parting = self._parting()

    def cut(self, chunks: Iterable[str]) -> Iterator[list[str]]:
        """Give the tokens of each chunk."""
        # What spaCy keeps of each string that it has seen would grow without end.
        with self._lock, self._tokenizer.vocab.memory_zone():
            texts = [[token.text.strip() for token in self._tokenizer(chunk)] for chunk in chunks]
        return ([token for token in tokens if token] for tokens in texts)

    def _parting(self) -> Parting:
        if not isinstance(self._tokenizer, SpacyTokenizer):  # a dictionary, or what was learned
            return Parting(at_spaces=False, longest=_LONGEST_TEXT)
        own = self._tokenizer
        uncased = SpacyTokenizer(
            own.vocab,
            prefix_search=own.prefix_search,
            suffix_search=own.suffix_search,
            infix_finditer=own.infix_finditer,
            token_match=own.token_match,
            url_match=own.url_match,
        )
        sequences = [[token.text for token in uncased(case)] for case in own.rules]
        return Parting(over=frozenset(adjacent(sequences)), longest=_LONGEST_PIECE)


class CharacterCutter:
    """Makes each character a token: what spaCy does with Chinese."""

    parting = Parting()

    def cut(self, chunks: Iterable[str]) -> Iterator[list[str]]:
        """Give the characters of each chunk."""
        return ([*"".join(chunk.split())] for chunk in chunks)


@lru_cache
def cutter_of(language: str) -> Cutter:
    """Return what cuts a language's chunks.

    Raises:
        UsageError: spaCy does not know the language, or needs a package for it.
    """
    check_language(language)
    if language == "zh":
        return CharacterCutter()
    if language in LOOKING_FAR or language in _PACKAGES:
        return SpacyCutter(language)
    return LinearCutter(rules_of(language))


def languages() -> list[str]:
    """Return the codes of all languages that spaCy knows, those that need a package among them."""
    return sorted(module.name for module in pkgutil.iter_modules(spacy.lang.__path__)
                  if module.ispkg)  # fmt: skip


def needs_package(language: str) -> bool:
    """Whether spaCy tokenizes a language with a package of somebody else's."""
    return language in _PACKAGES


def check_language(language: str) -> None:
    """Refuse a language that spaCy does not know.

    Raises:
        UsageError: naming those that are alike, or all.
    """
    known = languages()
    if language not in known:
        alike = get_close_matches(language[:2], known, 3, 0.9) or known
        raise UsageError(
            f"language is {language!r}, which spaCy has no tokenizer for. Expected a code such as "
            f"{', '.join(alike)}"
        )


def build_tokenizer(language: str) -> Any:
    """Return spaCy's own tokenizer of a language that it knows.

    Raises:
        UsageError: it needs a package that is not installed.
    """
    try:
        with lean_spacy():
            return spacy.blank(language).tokenizer
    except (ImportError, OSError) as error:
        needed = _PACKAGES.get(language, f"'spacy[{language}]'")
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"language {language!r}: spaCy's tokenizer for it needs a further package ({reason}). "
            f"Install it: pip install {needed}"
        ) from error

"""spaCy's second pass: special cases that its rules had cut apart are put together again.

"fine:)" loses ")" and ":" as suffixes, and ":)" is a special case. spaCy looks for the cases'
tokens in a row, and takes the longest first.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from infer.text.chunks import Parting
from infer.text.pieces import cut_piece
from infer.text.rules import Rules

_END: Final = None  # the key of a trie's node at which a special case ends


class SpecialCases:
    """The special cases that are cut apart, as a trie of tokens."""

    def __init__(self, rules: Rules) -> None:
        """Cut each case as if it were none."""
        self._cases, self._is_english = rules.cases, rules.is_english
        self._trie: dict[Any, Any] = {}
        uncased = Rules(**{**vars(rules), "cases": {}})
        self.sequences = [
            tokens
            for case in rules.cases
            if len(tokens := [t for piece in case.split() for t in cut_piece(piece, uncased)]) > 1
        ]
        for tokens in self.sequences:
            node = self._trie
            for token in tokens:
                node = node.setdefault(token, {})
            node[_END] = True

    def parting(self) -> Parting:
        """Return where they allow a text to be cut."""
        return Parting(
            over=frozenset(adjacent(self.sequences)),
            within=frozenset(adjacent(self._cases.values())),
            joiners=not self._is_english,
            letters_hold=self._is_english,
        )

    def merge(self, tokens: list[str], spaces: Sequence[int]) -> list[str]:
        """Put special cases together.

        Args:
            tokens: of pieces with single spaces between them.
            spaces: places of tokens that a space stands before.

        Returns:
            The tokens. What differs from a case in nothing but its spaces stays apart, but keeps
            others from its tokens.
        """
        if len(tokens) < 2:
            return tokens
        trie = self._trie
        starts = [
            i
            for i, (token, behind) in enumerate(pairwise(tokens))
            if token in trie and behind in trie[token]
        ]
        found = [(start, end) for start in starts for end in self._ends(tokens, start)]
        if not found:
            return tokens
        apart = set(spaces)
        merged: list[str] = []
        done = 0
        for start, end in sorted(_longest_first(found)):
            spaced = (" " * (i in apart and i > start) + tokens[i] for i in range(start, end))
            if (case := self._cases.get("".join(spaced))) is not None:
                merged += tokens[done:start]
                merged += map(str.strip, case)
                done = end
        return merged + tokens[done:]

    def _ends(self, tokens: list[str], start: int) -> Iterator[int]:
        """Give the ends of all special cases that begin at a token."""
        node = self._trie
        for end in range(start, len(tokens)):
            if tokens[end] not in node:
                return
            node = node[tokens[end]]
            if _END in node:
                yield end + 1


def adjacent(sequences: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Give all tokens that stand side by side."""
    return (pair for tokens in sequences for pair in pairwise(tokens))


def _longest_first(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Choose among spans as spaCy does: the longest, then the first, none at another's token."""
    seen: set[int] = set()
    chosen = []
    for start, end in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if start not in seen and end - 1 not in seen:
            chosen.append((start, end))
        seen.update(range(start, end))
    return chosen

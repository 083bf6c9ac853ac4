"""Pieces without white space are cut as spaCy cuts them, and in linear time."""

import random
import string

import pytest
from hypothesis import example, given, settings

from infer.text.pieces import cut_piece
from infer.text.rules import rules_of
from infer.text.special_cases import SpecialCases
from tests.infer.text.oracle import SPACY, piles

RULES = rules_of("en")
CASES = SpecialCases(RULES)


def tokens_of(piece: str) -> list[str]:
    """Return the tokens of a piece that stands alone."""
    return CASES.merge(cut_piece(piece, RULES), [])


@settings(max_examples=300, deadline=None)
@given(piles(12))
@example("?.")  # a full stop looks at the mark before it, which is peeled first
@example("……" * 30 + "?")
@example("?" * 40 + "……" * 30)
@example("a" + "." * 200)
@example("+" * 100 + "5" + "+" * 100)
@example("-" * 100 + "a")
@example("'s" * 60)
@example(":)" * 60 + ":(")
@example("a@b@www.example.org")
@example("1.2.3.4@5:6@10.0.0.1")
@example("://a.bc")
def test_a_pile_is_cut_as_spacy_does(piece: str) -> None:
    assert tokens_of(piece) == [token.text for token in SPACY(piece)]


@settings(max_examples=40, deadline=None)
@given(piles(150))
def test_a_long_pile_is_cut_as_spacy_does(piece: str) -> None:
    assert tokens_of(piece) == [token.text for token in SPACY(piece)]


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(piles(30))
def test_many_piles_are_cut_as_spacy_does(piece: str) -> None:
    assert tokens_of(piece) == [token.text for token in SPACY(piece)]


@pytest.mark.parametrize(
    "kind",
    ["?!", "()[]{}", "'\"", "=", "_", "-", "+", "…", ".a", "a:@", "😀", string.punctuation],
)
def test_a_million_marks_take_no_longer_than_a_million_letters(kind: str) -> None:
    """spaCy's time grows with the square; this test would not end."""
    marks = "".join(random.Random(1).choices(kind, k=1_000_000))
    assert sum(map(len, tokens_of(marks))) == 1_000_000

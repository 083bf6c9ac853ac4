"""The prepared rules find what spaCy's own do, at every character of Unicode."""

import sys

import pytest

from infer.text import rules as rules_module
from infer.text.rules import rules_of
from tests.infer.text.oracle import SPACY

RULES = rules_of("en")
CHARACTERS = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]


@pytest.mark.slow
def test_no_rule_begins_or_ends_at_a_character_that_is_not_looked_at() -> None:
    found = {
        "prefix": [c for c in CHARACTERS if bool(SPACY.prefix_search(c + "b"))
                   != bool(RULES.prefix.match(c + "b"))],
        "suffix": [c for c in CHARACTERS if not RULES.suffix_end.match(c) and (
                   SPACY.suffix_search("1" + c) or SPACY.suffix_search("?" + c))],
        "infix": [c for before in "a1'" for c in CHARACTERS
                  if [m.span() for m in SPACY.infix_finditer(f"{before}{c}1{c}{c}A")]
                  != [m.span() for m in RULES.infix.finditer(f"{before}{c}1{c}{c}A")]],
    }  # fmt: skip
    assert found == {"prefix": [], "suffix": [], "infix": []}


@pytest.mark.slow
def test_the_marks_are_tokens_whatever_stands_beside_them() -> None:
    for other in CHARACTERS:
        for mark in RULES.prefix_marks:
            assert SPACY.prefix_search(mark + other).end() == 1, mark + other
        for mark in RULES.suffix_marks:
            assert SPACY.suffix_search(other + mark).start() == 1, other + mark


def test_a_new_url_pattern_of_spacys_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_module, "URL_PATTERN", "^https?://.*$")
    with pytest.raises(RuntimeError, match="URL pattern"):
        rules_module._url_host()


@pytest.mark.slow
def test_no_rule_is_of_letters_alone() -> None:
    letters = [c for c in CHARACTERS if c.isalpha()]
    for letter in letters:
        for piece in (letter, f"a{letter}", f"{letter}A"):
            assert piece in SPACY.rules or [token.text for token in SPACY(piece)] == [piece]

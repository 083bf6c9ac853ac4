"""Shapes: chunks of one shape are cut alike, and their tokens are their own."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.text.rules import rules_of
from infer.text.shapes import Shaper
from tests.infer.text.oracle import CASES, SPACY, piles

SHAPER = Shaper(rules_of("en"))


def shapes_of(chunks: list[str]) -> list[str]:
    """Return the shapes of chunks."""
    found: list[str] = SHAPER.shapes(pa.array(chunks, pa.large_string())).values.to_pylist()
    return found


@pytest.mark.parametrize(
    ("chunk", "shape"),
    [
        ("wonderful, ", "qqqq,"),
        ("Wonderful,", "Qqqq,"),
        ("McDonald's ", "QQqq's"),
        ("USA.", "QQQQ.".replace("QQQQ", "QQQ")),
        ("(well-known)", "(qqqq-qqqq)"),
        ("don't\n", "don't\n"),  # named by a rule
        ("dont", "dont"),
        ("10km", "10km"),
        ("in 1984", "in 7777"),
        ("12345.50", "7777.50".replace("50", "77")),
        ("192.168.1.1", "192.168.1.1"),  # an address is read
        ("x.com:12345", "x.qqq:12345"),
        ("café", "qqqé"),
        (f"{'a' * 61}.com", f"{'a' * 61}.com"),  # a URL's name is counted
        (f"{'a' * 61},com", "qqqq,qqq"),
        ("", ""),
        (" ", ""),
    ],
)
def test_a_chunk_has_this_shape(chunk: str, shape: str) -> None:
    assert shapes_of(["a", chunk, "b"]) == ["a", shape, "b"]


def test_stand_ins_are_no_words_that_the_rules_name() -> None:
    words = [a + b + c for a in "qQ" for b in ("q", "Q", "qq", "QQ", "qQ", "Qq") for c in "qQ"]
    assert set(shapes_of([*words, "qq", "Qq", "77", "777", "7777"])).isdisjoint(CASES)
    assert shapes_of(words) == words


WORDS = st.text("abcXYZ", min_size=2, max_size=9)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(piles(2), WORDS, st.integers(10, 10**6).map(str)), max_size=6))
def test_a_chunk_is_cut_where_its_shape_is(parts: list[str]) -> None:
    chunk = "".join(parts)
    shape = shapes_of([chunk])[0]
    alike, own = SPACY(shape), SPACY(chunk)
    assert len(alike) == len(own)
    assert shapes_of([token.text for token in own]) == shapes_of([token.text for token in alike])

"""Chunks that need no more than a byte's neighbours are cut as spaCy cuts them."""

import random
import string
from itertools import accumulate, pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infer.text.neighbours import Neighbours
from infer.text.rules import rules_of
from tests.infer.text.oracle import CASES, MARKS, spacy_tokens

NEIGHBOURS = Neighbours(rules_of("en"))
CHARACTERS = string.ascii_letters + string.digits + string.punctuation
SHORT_CASES = [case for case in CASES if case.isascii() and len(case) < 8]


def tokens_of(chunks: list[str]) -> list[list[str] | None]:
    """Return the tokens of chunks, None where a chunk is left to others."""
    cuts = NEIGHBOURS.cuts(pa.array(chunks, pa.large_string()))
    return [
        _parted(chunk, sizes) if is_cut else None
        for chunk, sizes, is_cut in zip(chunks, cuts.sizes.to_pylist(), cuts.is_cut, strict=True)
    ]


def _parted(chunk: str, sizes: list[int]) -> list[str]:
    places = [0, *accumulate(map(abs, sizes))]
    parts = zip(pairwise(places), sizes, strict=True)
    return [chunk[low:high] for (low, high), size in parts if size > 0]


def ascii_chunks() -> st.SearchStrategy[list[str]]:
    """Return chunks of a few characters, or of all; some hold parts that the rules name."""

    def chunks(seed: int) -> list[str]:
        chance = random.Random(seed)
        parts = [*chance.sample(SHORT_CASES, 2), *chance.choices(MARKS, k=2), *"aB0s."]
        few = [*chance.sample(string.punctuation, 4), "."]
        pool = chance.choice(
            [few, few + parts, [*few, " "], list(string.punctuation), list(CHARACTERS)]
        )
        sizes = [chance.randint(1, 10) for _ in range(8)]
        return ["".join(chance.choices(pool, k=size)) + chance.choice(["", " "]) for size in sizes]

    return st.integers(0, 2**62).map(chunks)


def assert_equal_spacy(chunks: list[str]) -> None:
    """Compare the tokens of all chunks that are cut."""
    for chunk, tokens in zip(chunks, tokens_of(chunks), strict=True):
        assert tokens is None or tokens == spacy_tokens(chunk), chunk


@settings(max_examples=500, deadline=None)
@given(ascii_chunks())
@example(["0=", "a"])  # the next chunk's letter is no neighbour
@example(["a", "=a", ".", ".", ")."])
@example(["5k", "m", "5", "km", "'", "s"])
@example(["5m ", "5m", "5m)", "5mx"])
def test_chunks_are_cut_as_spacy_does(chunks: list[str]) -> None:
    assert_equal_spacy(chunks)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(ascii_chunks())
def test_many_chunks_are_cut_as_spacy_does(chunks: list[str]) -> None:
    assert_equal_spacy(chunks)


@pytest.mark.slow
def test_all_short_piles_are_cut_as_spacy_does() -> None:
    chunks = [a + b + c for a in string.punctuation for b in CHARACTERS for c in CHARACTERS]
    assert_equal_spacy(chunks)


@pytest.mark.parametrize(
    ("chunk", "tokens"),
    [
        ("([{ ", ["(", "[", "{"]),
        ("?!@/%.!", ["?", "!", "@/%", ".", "!"]),
        ("@..-...;", ["@", "..", "-", "...", ";"]),
        ("a[Z<b_3]", ["a[Z", "<", "b_3", "]"]),
        ("good ", ["good"]),
        ("@'.'@", ["@'", ".", "'@"]),
        ("'.'@", ["'", ".'@"]),
        (" ", []),
        ("?( !) ", ["?", "(", "!", ")"]),
        ("", []),
    ],
)
def test_piles_of_marks_and_random_letters_are_cut_here(chunk: str, tokens: list[str]) -> None:
    assert tokens_of([chunk]) == tokens_of([chunk, "a"])[:1] == [tokens]


@pytest.mark.parametrize("chunk", ["fine:)", "don't", "5km", "5m", "a.b", "café", "a :) b"])
def test_what_needs_more_than_neighbours_is_left_to_others(chunk: str) -> None:
    assert tokens_of([chunk]) == [None]


def test_no_chunks_have_no_cuts() -> None:
    assert tokens_of([]) == []

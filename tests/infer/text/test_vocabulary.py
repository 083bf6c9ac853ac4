"""The vocabulary: order, special tokens, storage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.base.errors import ModelFileError
from infer.text.vocabulary import PAD, UNK, Vocabulary

# What a text can produce: no white space, and no lone surrogates (they are not UTF-8).
TOKENS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.split() == [text]
)


def test_the_most_frequent_come_first_and_ties_are_alphabetical() -> None:
    vocabulary = Vocabulary.from_counts({"b": 2, "c": 5, "a": 2, "d": 1}, size=3)
    assert vocabulary.tokens == (PAD, UNK, "c", "a", "b")


def test_the_special_names_are_left_out() -> None:
    counts = {"a": 3, "b": 1, PAD: 9, UNK: 9}
    assert Vocabulary.from_counts(counts, size=10).tokens == (PAD, UNK, "a", "b")


@given(st.lists(TOKENS, unique=True))
def test_storing_and_reading_gives_the_same_tokens(tokens: list[str]) -> None:
    vocabulary = Vocabulary((PAD, UNK, *(t for t in tokens if t not in (PAD, UNK))))
    assert Vocabulary.from_text(vocabulary.to_text()) == vocabulary


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("good", PAD, UNK), "starts with"),
        ((PAD, UNK, "a", "a"), "twice"),
        ((PAD, UNK, "a  b"), "white space"),
        ((PAD, UNK, " a"), "white space"),
        ((PAD, UNK, ""), "white space"),
    ],
)
def test_broken_vocabularies_are_refused(tokens: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        Vocabulary(tokens)

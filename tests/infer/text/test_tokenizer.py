"""The tokenizer equals spaCy on the whole text, on odd text and on real reviews."""

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infer.text.plain_words import PlainWords, token_hashes
from infer.text.settings import TextSettings
from infer.text.tokenizer import MAX_PIECE, Tokenizer

IMDB = Path(__file__).resolve().parents[4] / "shared" / "data" / "imdb"
PLAIN = TextSettings(html_breaks=False)
SPACY = spacy.blank("en").tokenizer
TOKENIZER = Tokenizer(PLAIN)
WHITE_SPACE = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]

FRAGMENTS = [
    "can't", "cannot", "I'm", "dont", "it's", "U.S.A.", "Mr.", "e.g.", "10km", "10 km", "$5.00",
    "http://example.org/a?b=c&d=e", "www.example.org", "me@example.org", ":-)", ":)", "xD", "<3",
    "¯\\(ツ)/¯", "ಠ_ಠ", "a--b", "well-known", "...", "…", "!?!", "(", ")", '"', "'", "“x”", "#tag",
    "und/oder", "don’t", "\x00", "\x1c", "\x85", "\u00a0", "\u2028", "\u200b", "\ufeff", "👍🏽",
    "नमस्ते", "שלום", "مرحبا", "你好", "İ", "ß", "ﬁ", "<br />", "</p>", "C++", "a.", ": )", ": (",
    "o. O", "( °",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS),
        st.sampled_from(WHITE_SPACE),
        st.text(max_size=8),
        st.integers(1, 300).map(lambda n: "ab-" * n),
    ),
    max_size=12,
).map("".join)


def spacy_tokens(text: str) -> list[str]:
    """Return spaCy's tokens of the whole text, white space aside."""
    return [token.text for token in SPACY(text) if not token.is_space]


def strings(values: list[str]) -> pa.Array:
    """Return strings as Arrow's."""
    return pa.array(values, pa.large_string())


def encodable(text: str) -> bool:
    """Whether the text can be stored at all: no lone surrogates."""
    return text.encode(errors="ignore").decode() == text


@settings(max_examples=400, deadline=None)
@given(TEXTS.filter(encodable))
@example("a\u00a0b\x1cc\u2003d  e\n\nf")
@example(" leading and trailing ")
@example("x" * 9_999)
@example("https://" + "a/" * 3_000)
@example("0:o. O")
def test_tokens_equal_spacy_on_the_whole_text(text: str) -> None:
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)


CASE_PARTS = st.sampled_from(sorted({c for rule in SPACY.rules for c in rule} | {*SPACY.rules}))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(CASE_PARTS, st.just(" ")), max_size=20).map("".join))
def test_special_cases_with_spaces_in_them_equal_spacy(text: str) -> None:
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)


def test_every_white_space_of_unicode_separates() -> None:
    for space in WHITE_SPACE:
        assert TOKENIZER.tokenize(f"good{space}film") == ["good", "film"], repr(space)


def test_white_space_alone_has_no_tokens() -> None:
    assert TOKENIZER.tokenize("") == TOKENIZER.tokenize("".join(WHITE_SPACE)) == []


def test_a_chunks_tokens_do_not_depend_on_the_chunks_before_it() -> None:
    chunks = ["Mother''", "''Wooly", ":", "good", ")", "x:", "(word)", "D", "''", " ", "''", "a"]
    alone = [TOKENIZER.tokenize_chunks(strings([chunk])).hashes.tolist() for chunk in chunks]
    together = TOKENIZER.tokenize_chunks(strings(chunks))
    parts = np.split(together.hashes, np.cumsum(together.lengths)[:-1])
    assert [part.tolist() for part in parts] == alone


AROUND = [(a, b) for a in ("", "(", '"') for b in ("", *',.!?;:)"')]
ORDINARY = ["film", "I", "a", "McDonald", "ABCd", "km", "kg", "www", "http", "xD", "US", "lol"]


def test_plain_words_are_those_that_spacy_would_cut_as_well() -> None:
    cores = {re.sub(r"[^A-Za-z]", "", rule) for rule in SPACY.rules}
    chunks = [
        before + word + behind
        for word in (*sorted(cores), *ORDINARY)
        for before, behind in AROUND
    ]  # fmt: skip
    is_plain, hashes, lengths = PlainWords(SPACY.rules, lower=False).find(strings(chunks))
    parts = iter(np.split(hashes, np.cumsum(lengths)[:-1]))
    for chunk in (chunk for chunk, plain in zip(chunks, is_plain, strict=True) if plain):
        expected = token_hashes(token.text for token in SPACY(chunk))
        assert next(parts).tolist() == expected.tolist(), chunk
    assert is_plain[chunks.index('"film.')] and is_plain.sum() > 200
    assert not is_plain[chunks.index("dont,")] and not is_plain[chunks.index("Mr.")]


def test_settings_lower_and_replace_breaks() -> None:
    text = "Good.<br /><BR>Bad"
    lower = Tokenizer(TextSettings(lower=True, html_breaks=True))
    assert lower.tokenize(text) == ["good", ".", "bad"]
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)


def test_a_piece_longer_than_spacy_can_take_is_cut() -> None:
    tokens = TOKENIZER.tokenize("good " + "a" * (2 * MAX_PIECE + 1) + " film")
    assert [len(token) for token in tokens] == [4, MAX_PIECE, MAX_PIECE, 1, 4]


def test_counting_adds_up_over_texts() -> None:
    texts = pa.array(["Good film. Good!", None, "", "film\tgood"])
    expected = Counter(["Good", "film", ".", "Good", "!", "film", "good"])
    assert TOKENIZER.count(texts) == expected


def test_spacys_string_store_does_not_grow() -> None:
    tokenizer = Tokenizer(PLAIN)
    before = len(tokenizer._spacy.vocab.strings)
    tokenizer.tokenize_chunks(strings([f"word{i}-{i}" for i in range(1000)]))
    assert len(tokenizer._spacy.vocab.strings) == before


def real_reviews(rows: int | None) -> list[str]:
    """Return reviews of all three parts, `rows` of each."""
    if not IMDB.is_dir():
        pytest.skip(f"{IMDB} is not there")
    texts: list[str] = []
    for name in ("train", "test", "unsup"):
        column = pq.read_table(IMDB / f"{name}.parquet", columns=["text"])["text"]
        texts += column.slice(0, rows).to_pylist()
    return texts


@pytest.mark.parametrize(
    "rows", [700, pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_tokens_equal_spacy_on_real_reviews(rows: int | None) -> None:
    different = [
        text[:80] for text in real_reviews(rows) if TOKENIZER.tokenize(text) != spacy_tokens(text)
    ]
    assert different == []

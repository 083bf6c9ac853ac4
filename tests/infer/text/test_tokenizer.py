"""The tokenizer equals spaCy on the whole text, on odd text and on real reviews."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infer.text.chunks import MAX_CHUNK
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer, blocks
from tests.infer.text.oracle import SPACY, WHITE_SPACE, spacy_tokens, texts

IMDB = Path(__file__).resolve().parents[4] / "shared" / "data" / "imdb"
PLAIN = TextSettings(html_breaks=False)
TOKENIZER = Tokenizer(PLAIN)
LOWER = Tokenizer(TextSettings(html_breaks=False, lower=True))

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


def strings(values: list[str]) -> pa.Array:
    """Return strings as Arrow's."""
    return pa.array(values, pa.large_string())


def encodable(text: str) -> bool:
    """Whether the text can be stored at all: no lone surrogates."""
    return text.encode(errors="ignore").decode() == text


@settings(max_examples=200, deadline=None)
@given(TEXTS.filter(encodable))
@example("a\u00a0b\x1cc\u2003d  e\n\nf")
@example(" leading and trailing ")
@example("x" * 9_999)
@example("https://" + "a/" * 3_000)
@example("0:o. O")
def test_tokens_equal_spacy_on_the_whole_text(text: str) -> None:
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)


@settings(max_examples=200, deadline=None)
@given(texts())
def test_tokens_of_odd_texts_equal_spacy(text: str) -> None:
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)
    assert LOWER.tokenize(text) == spacy_tokens(text, lower=True)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(st.one_of(texts(), TEXTS.filter(encodable)))
def test_tokens_of_many_odd_texts_equal_spacy(text: str) -> None:
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)
    assert LOWER.tokenize(text) == spacy_tokens(text, lower=True)


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
    together = TOKENIZER.tokenize_chunks(strings(chunks))
    parts = np.split(together.places, np.cumsum(together.lengths)[:-1])
    alone = [TOKENIZER.tokenize(chunk) for chunk in chunks]
    assert [[together.names[place] for place in part] for part in parts] == alone


def test_settings_lower_and_replace_breaks() -> None:
    text = "Good.<br /><BR>Bad"
    lower = Tokenizer(TextSettings(lower=True, html_breaks=True))
    assert lower.tokenize(text) == ["good", ".", "bad"]
    assert TOKENIZER.tokenize(text) == spacy_tokens(text)


def test_a_piece_is_cut_where_spacys_pipelines_would_refuse_it() -> None:
    letters = "aé" * 500_000
    tokens = TOKENIZER.tokenize(f"good {letters} film")
    assert [len(token.encode()) for token in tokens] == [4, MAX_CHUNK, 500_000, 4]
    whole = "a" * (MAX_CHUNK - 1)
    assert TOKENIZER.tokenize(f"good {whole}.") == ["good", whole, "."]


def test_counting_adds_up_over_texts() -> None:
    texts = pa.array(["Good film. Good!", None, "", "film\tgood"])
    expected = Counter(["Good", "film", ".", "Good", "!", "film", "good"])
    assert TOKENIZER.count(texts) == expected


def test_blocks_are_few_strings_and_few_bytes() -> None:
    values = strings(["a"] * 10 + ["b" * 700_000, "c" * 700_000, "d" * 2_000_000, "e"])
    found = [(block.start, block.stop) for block in blocks(values.slice(1), 8)]
    assert found == [(0, 8), (8, 10), (10, 11), (11, 12), (12, 13)]
    assert list(blocks(strings([]), 8)) == []


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
    texts = real_reviews(rows)
    for start in range(0, len(texts), 2_000):
        chunks = TOKENIZER.split(strings(texts[start : start + 2_000]))
        tokens = TOKENIZER.tokenize_chunks(chunks.values)
        ends = np.concatenate(([0], np.cumsum(tokens.lengths)))[chunks.offsets]
        for i, text in enumerate(texts[start : start + 2_000]):
            found = [tokens.names[place] for place in tokens.places[ends[i] : ends[i + 1]]]
            assert found == spacy_tokens(text), text[:80]

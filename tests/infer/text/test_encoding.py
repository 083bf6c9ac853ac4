"""Encoding: the fast path equals the plain definition; odd rows get a status."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.text.encoding import Encoder, EncodingStopped
from infer.text.ranges import ranges
from infer.text.settings import TextSettings
from infer.text.statuses import EMPTY, INVALID, NULL, OK, TRUNCATED
from infer.text.tokenizer import Tokenizer
from infer.text.vocabulary import PAD, UNK, UNK_ID, Vocabulary

VOCABULARY = Vocabulary(
    (PAD, UNK, "good", "bad", "not", "n't", "does", ".", "film", "Film", "<", "3")
)
SETTINGS = TextSettings(max_tokens=10_000, head_tokens=10)
PLAIN = Tokenizer(SETTINGS)
WORDS = st.sampled_from(
    [
        "good",
        "bad.",
        "doesn't",
        "Film",
        "film,",
        "<br />",
        "<3",
        "\n",
        "  ",
        "\u00a0",
        "né",
        "👍",
        "(good)",
    ]
)
TEXTS = st.lists(st.one_of(st.none(), st.lists(WORDS, max_size=9).map(" ".join)), max_size=12)


def rows_of(encoder: Encoder, texts: pa.Array) -> list[list[int]]:
    """Return each row's ids as a list."""
    encoded = encoder.encode(texts)
    return [ids.tolist() for ids in np.split(encoded.ids, encoded.offsets[1:-1])][: len(texts)]


def token_ids(vocabulary: Vocabulary, tokens: Sequence[str]) -> list[int]:
    """Look tokens up one by one; the special ones are no words."""
    index = {token: i for i, token in enumerate(vocabulary.tokens) if i > UNK_ID}
    return [index.get(token, UNK_ID) for token in tokens]


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.integers(1, 5))
def test_ids_equal_the_plain_definition(texts: list[str | None], cache_chunks: int) -> None:
    expected = [token_ids(VOCABULARY, PLAIN.tokenize(text or "")) for text in texts]
    encoder = Encoder(SETTINGS, VOCABULARY, cache_chunks)
    column = pa.array(texts, pa.string())
    assert rows_of(encoder, column) == expected
    assert rows_of(encoder, column) == expected  # now with a cache that has seen them


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_binary()),
    ],
    ids=str,
)
def test_every_type_of_text_gives_the_same_ids(kind: pa.DataType) -> None:
    texts = ["good film.", None, "", "bad", "good film."]
    expected = Encoder(SETTINGS, VOCABULARY).encode(pa.array(texts))
    column = (
        pa.array(texts).cast(kind)
        if not pa.types.is_dictionary(kind)
        else (pa.array(texts).cast(kind.value_type).dictionary_encode().cast(kind))
    )
    encoded = Encoder(SETTINGS, VOCABULARY).encode(column)
    np.testing.assert_array_equal(encoded.ids, expected.ids)
    np.testing.assert_array_equal(encoded.offsets, expected.offsets)
    np.testing.assert_array_equal(encoded.statuses, expected.statuses)


def test_odd_rows_get_their_status_and_no_tokens() -> None:
    texts = [b"good", None, b"", b" \n\xc2\xa0", b"\xff", b"\xed\xa0\x80", b"a\x00b", b"<br />"]
    encoded = Encoder(SETTINGS, VOCABULARY).encode(pa.array(texts, pa.binary()))
    assert encoded.statuses.tolist() == [OK, NULL, EMPTY, EMPTY, INVALID, INVALID, OK, EMPTY]
    assert encoded.lengths.tolist() == [1, 0, 0, 0, 0, 0, 1, 0]


def test_invalid_utf8_in_a_string_column_is_found() -> None:
    buffers = pa.array([b"good", b"\xff\xfe"], pa.binary()).buffers()
    column = pa.Array.from_buffers(pa.string(), 2, buffers)
    assert Encoder(SETTINGS, VOCABULARY).encode(column).statuses.tolist() == [OK, INVALID]


def test_long_texts_keep_head_and_tail() -> None:
    settings = TextSettings(max_tokens=4, head_tokens=1)
    encoder = Encoder(settings, VOCABULARY)
    texts = pa.array(["good bad not film film does", "good bad not film", "bad"])
    assert rows_of(encoder, texts) == [[2, 8, 8, 6], [2, 3, 4, 8], [3]]
    assert encoder.encode(texts).statuses.tolist() == [TRUNCATED, OK, OK]


def test_a_word_of_a_million_letters_and_a_text_of_ten_megabytes() -> None:
    encoder = Encoder(TextSettings(max_tokens=500, head_tokens=100), VOCABULARY)
    encoded = encoder.encode(pa.array(["a" * 1_000_000, "good film " * 1_000_000, "bad"]))
    assert encoded.statuses.tolist() == [OK, TRUNCATED, OK]
    assert encoded.lengths.tolist() == [1, 500, 1]


def test_the_cache_stays_bounded() -> None:
    encoder = Encoder(SETTINGS, VOCABULARY, cache_chunks=50)
    for start in range(0, 1000, 20):
        encoder.encode(pa.array([f"w{i}" for i in range(start, start + 20)]))
        assert len(encoder._known) <= 50
    assert rows_of(encoder, pa.array(["good w1"])) == [[2, UNK_ID]]


def test_the_cache_stays_bounded_where_chunks_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infer.text.encoding.CACHE_BYTES", 50_000)
    encoder = Encoder(TextSettings(), VOCABULARY)
    for first in range(0, 200, 10):
        texts = pa.array([f"{'film' * 250}{i}" for i in range(first, first + 10)])
        assert len(encoder.encode(texts)) == 10
        assert len(encoder._known) <= 60  # of 1,000 bytes each


def test_threads_may_share_an_encoder() -> None:
    """Each sees many chunks for the first time, and the cache is too small for all of them."""
    columns = [
        pa.array([f"good w{i}-{j} (bad) film{i + j}, né{j}:)" for j in range(60)])
        for i in range(80)
    ]
    vocabulary = Vocabulary((PAD, UNK, "good", "bad", ":)", *(f"w{i}" for i in range(80))))
    expected = [rows_of(Encoder(SETTINGS, vocabulary), column) for column in columns]
    shared = Encoder(SETTINGS, vocabulary, cache_chunks=1_000)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda column: rows_of(shared, column), columns)) == expected


def test_what_nobody_sees_does_not_change_a_score() -> None:
    texts = ["good film", "\ufeffgood film", "good\u200b film\u00ad", "\u2066go\u200dod\u2069 film"]
    assert rows_of(Encoder(SETTINGS, VOCABULARY), pa.array(texts)) == [[2, 8]] * 4
    alone = Encoder(SETTINGS, VOCABULARY).encode(pa.array(["\ufeff", "\u200b \u200d"]))
    assert alone.statuses.tolist() == [EMPTY, EMPTY]


def test_a_text_compared_in_many_parts_has_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array(["good film, not bad.", None, "", "bad film", "good " * 9])
    expected = rows_of(Encoder(SETTINGS, VOCABULARY), texts)
    monkeypatch.setattr("infer.text.encoding.COMPARED_AT_ONCE", 2)
    assert rows_of(Encoder(SETTINGS, VOCABULARY), texts) == expected


def test_encoding_can_be_stopped() -> None:
    encoder = Encoder(TextSettings(), VOCABULARY)
    encoder.stop()
    with pytest.raises(EncodingStopped):
        encoder.encode(pa.array(["never seen"]))


def test_slices_of_a_column_are_encoded_where_they_start() -> None:
    column = pa.array(["bad", "good", None, "not"]).slice(1, 2)
    assert rows_of(Encoder(SETTINGS, VOCABULARY), column) == [[2], []]


def test_ranges_concatenate() -> None:
    starts, lengths = np.array([5, 0, 9]), np.array([2, 0, 3])
    assert ranges(starts, lengths).tolist() == [5, 6, 9, 10, 11]
    assert ranges(starts[:0], lengths[:0]).tolist() == []

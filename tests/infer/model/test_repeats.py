"""Equal token sequences: which rows are run, what is remembered, and that no bit is another."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.model.cuda import CUDA
from infer.model.repeats import MOST_TOKENS, Known, distinct
from infer.model.scorer import Scorer
from infer.model.session import Session
from infer.text.encoding import EncodedTexts

TEXTS = ["good film", None, "Good  film", "bad film .", "", "good film", "a bad film", "bad film ."]


def encoded(rows):
    lengths = [len(row) for row in rows]
    ids = np.array([i for row in rows for i in row], np.int32)
    statuses = np.zeros(len(rows), np.uint8)
    return EncodedTexts(ids, np.concatenate(([0], np.cumsum(lengths))).astype(np.int64), statuses)


@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=30))
def test_each_sequence_is_found_at_its_first_row(rows):
    found = distinct(encoded(rows))
    unlike = list(dict.fromkeys(map(tuple, rows)))
    assert [tuple(rows[row]) for row in found.rows] == unlike
    assert [unlike[place] for place in found.places] == list(map(tuple, rows))
    assert all(tuple(rows[row]) not in map(tuple, rows[:row]) for row in found.rows)
    ids = [np.frombuffer(value, np.int32).tolist() for value in found.sequences.to_pylist()]
    assert ids == [list(row) for row in unlike]


@pytest.mark.parametrize("shape", [(), (3,)])
def test_what_is_remembered_is_found_bit_for_bit(shape):
    known, one = Known(shape), distinct(encoded([[1], [1, 2], [2], []]))
    assert np.isnan(known.find(one.sequences)).all()
    logits = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    known.add(one.sequences, np.array([1, 2, 1, 0]), logits)
    other = distinct(encoded([[2], [3], [1, 2]]))
    found = known.find(other.sequences)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[[0, 2]], logits[[2, 1]])
    assert np.isnan(found[1]).all()
    known.add(other.sequences.slice(1, 1), np.array([1]), logits[:1])
    np.testing.assert_array_equal(known.find(other.sequences), logits[[2, 0, 1]])


@pytest.mark.parametrize(("shape", "most"), [((), 60), ((100,), 20)])
def test_its_memory_is_bounded(shape, most):
    known = Known(shape, most_bytes=11_500)
    for start in range(0, 1_000, 20):
        new = distinct(encoded([[i, i + 1] for i in range(start, start + 20)]))
        known.add(new.sequences, np.full(20, 2), np.zeros((20, *shape), np.float32))
        assert 20 <= len(known) <= most
        assert not np.isnan(known.find(new.sequences)).any()


def test_long_sequences_are_not_remembered():
    known = Known()
    long = distinct(encoded([[1] * (MOST_TOKENS + 1), [1] * MOST_TOKENS]))
    known.add(long.sequences, np.array([MOST_TOKENS + 1, MOST_TOKENS]), np.zeros(2, np.float32))
    assert len(known) == 1


class Counting(Session):
    """Remembers which rows it was given."""

    def __init__(self, data):
        super().__init__(data, threads=1)
        self.ran = []

    def run(self, input_ids, lengths, give_back=False):
        self.ran += [ids[:n].tolist() for ids, n in zip(input_ids, lengths, strict=True)]
        return super().run(input_ids, lengths, give_back)


@pytest.fixture
def counting(model):
    return Counting(model.data)


@pytest.fixture
def certified(model):
    return replace(model, card=replace(model.card, parity={"batch_mates": 0.0}))


def test_equal_rows_of_a_window_are_run_once(model, counting):
    scorer = Scorer(model, counting)
    done = []
    texts = scorer.encode(pa.array(TEXTS))
    scores = scorer.score(texts, lambda rows: done.extend(rows.tolist()))
    assert sorted(done) == [0, 2, 3, 6]  # "Good" is another token than "good"
    assert len(counting.ran) == 4
    alone = [scorer.score(scorer.encode(pa.array([text]))).score[0] for text in TEXTS]
    np.testing.assert_array_equal(scores.score, np.array(alone))
    assert np.isnan(scores.score).tolist() == [text in (None, "") for text in TEXTS]


def test_a_certified_model_runs_nothing_twice(certified, counting):
    scorer = Scorer(certified, counting)
    first = scorer.score(scorer.encode(pa.array(TEXTS)))
    ran = len(counting.ran)
    again = scorer.score(scorer.encode(pa.array([*TEXTS[::-1], "a film"])))
    assert len(counting.ran) == ran + 1
    np.testing.assert_array_equal(again.score[:-1], first.score[::-1])
    np.testing.assert_array_equal(again.prediction[:-1], first.prediction[::-1])


def test_without_that_certificate_each_window_is_run_anew(model, certified, counting):
    """What is kept would hang on the windows before: a resumed job would end in other bytes."""
    scorer = Scorer(model, counting)
    for _ in range(2):
        scorer.score(scorer.encode(pa.array(TEXTS)))
    assert len(counting.ran) == 8
    counting.provider = CUDA  # whose kernels hang on the shape of a batch
    scorer = Scorer(certified, counting, batch_tokens=100)
    for _ in range(2):
        scorer.score(scorer.encode(pa.array(TEXTS)))
    assert len(counting.ran) == 16


def test_no_bit_hangs_on_what_was_remembered(certified, session):
    """Texts drawn from few words, in windows of several sizes, against every row by itself."""
    draw = np.random.default_rng(0)
    words = ["good", "bad", "film", "the", "not", "unheard-of"]
    texts = [" ".join(draw.choice(words, draw.integers(1, 5))) for _ in range(600)]
    texts += [" ".join(draw.choice(words, draw.integers(20, 60))) for _ in range(50)] * 2
    draw.shuffle(texts)
    plain = Scorer(replace(certified, card=replace(certified.card, parity={})), session, 60)
    alone = [plain.score(plain.encode(pa.array([text]))).score[0] for text in texts]
    for rows in (7, 100, 700):
        scorer = Scorer(certified, session, 60)
        parts = [
            scorer.score(scorer.encode(pa.array(texts[start : start + rows]))).score
            for start in range(0, len(texts), rows)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), np.array(alone))

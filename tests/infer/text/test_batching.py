"""Batches: every row once, within the budget, padded where it should be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infer.text.batching import pad, padding_share, plan_batches
from infer.text.encoding import EncodedTexts
from infer.text.vocabulary import PAD_ID

LENGTHS = st.lists(st.integers(0, 60), max_size=80).map(lambda rows: np.array(rows, np.int64))


def encoded(lengths: np.ndarray) -> EncodedTexts:
    """Make texts of these lengths whose ids count up from 1."""
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ids = np.arange(1, offsets[-1] + 1, dtype=np.int32)
    return EncodedTexts(ids, offsets, np.zeros(len(lengths), np.uint8))


@given(LENGTHS, st.integers(1, 200))
def test_every_row_with_tokens_is_in_one_batch(lengths: np.ndarray, budget: int) -> None:
    batches = plan_batches(lengths, budget)
    rows = np.concatenate(batches) if batches else np.zeros(0, np.int64)
    assert sorted(rows.tolist()) == np.flatnonzero(lengths).tolist()


@given(LENGTHS, st.integers(1, 200))
def test_batches_keep_the_budget_unless_a_single_row_is_longer(
    lengths: np.ndarray, budget: int
) -> None:
    for rows in plan_batches(lengths, budget):
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= budget


@given(LENGTHS, st.integers(1, 200))
def test_padding_a_batch_keeps_its_rows(lengths: np.ndarray, budget: int) -> None:
    texts = encoded(lengths)
    for rows in plan_batches(lengths, budget):
        input_ids, given_lengths = pad(texts, rows)
        assert (input_ids.dtype, given_lengths.dtype) == (np.int64, np.int32)
        assert input_ids.shape == (len(rows), lengths[rows].max())
        for row, ids, length in zip(rows, input_ids, given_lengths, strict=True):
            start, end = texts.offsets[row : row + 2]
            assert ids[:length].tolist() == texts.ids[start:end].tolist()
            assert (ids[length:] == PAD_ID).all()


def test_the_share_of_padding() -> None:
    lengths = np.array([4, 2, 1])
    assert padding_share(lengths, [np.array([0, 1]), np.array([2])]) == 1 - 7 / 9
    assert padding_share(lengths, []) == 0.0


def test_the_longest_rows_run_first() -> None:
    batches = plan_batches(np.array([1, 9, 5, 0, 9]), budget=18)
    assert [rows.tolist() for rows in batches] == [[1, 4], [2, 0]]

"""Two labels with one logit, more with one each: the same functions for both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from infer.model.probability import (
    certain,
    decided,
    has_values,
    hits,
    losses,
    margins,
    of_each_label,
    predicted,
    probabilities,
    scores,
    softmax,
)

LOGITS = st.lists(st.floats(-50, 50), min_size=1, max_size=6)


@given(LOGITS, st.floats(0.1, 10))
def test_one_logit_is_two_of_which_the_first_is_zero(values: list[float], temperature: float):
    one = np.array(values)
    two = np.stack((np.zeros_like(one), one), axis=1)
    numbers = np.arange(len(one), dtype=np.int16) % 2
    assert of_each_label(probabilities(one, temperature)) == pytest.approx(
        softmax(two / temperature), abs=1e-12
    )
    assert losses(one, numbers) == pytest.approx(losses(two, numbers), abs=1e-9)
    assert margins(one) == pytest.approx(margins(two))
    assert predicted(one).tolist() == predicted(two).tolist()
    assert certain(numbers, 2).tolist() == (numbers == 1).tolist()


def test_many_labels():
    logits = np.array([[1.0, 5.0, 2.0], [3e38, -3e38, 0.0], [np.nan] * 3], np.float32)
    found = probabilities(logits, 2.0)
    assert found[:2].sum(axis=1) == pytest.approx(1.0)
    assert found[1].tolist() == [1.0, 0.0, 0.0]
    assert predicted(logits)[:2].tolist() == decided(found)[:2].tolist() == [1, 0]
    assert scores(found)[0] == found[0, 1]
    assert has_values(logits).tolist() == [True, True, False]
    assert margins(logits)[0] == pytest.approx(3.0)
    truth = np.array([2, 0], np.int16)
    assert losses(logits[:2], truth) == pytest.approx(
        -log_softmax(logits[:2].astype(np.float64), axis=1)[[0, 1], truth]
    )
    assert hits(logits[:2], truth).tolist() == [False, True]
    assert certain(np.array([2, -1]), 3).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_a_score_of_exactly_the_threshold_is_for_the_positive_label():
    assert decided(np.array([0.5, 0.49, np.nan], np.float32)).tolist() == [1, 0, 0]
    assert decided(np.array([0.3]), 0.3).tolist() == [1]

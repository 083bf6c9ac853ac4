"""Figures by hand, and on data that leave nothing to compute."""

import numpy as np
import pytest

from trainer.network.evaluate import measure
from trainer.network.figures import areas, best_threshold, class_figures, majority


def test_each_class_by_hand() -> None:
    truth, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 2])
    found = class_figures(predicted, truth, classes=4)
    zero, one, two, none = found["classes"]
    assert (zero["precision"], zero["recall"], zero["reviews"]) == (2 / 3, 2 / 3, 3)
    assert (one["precision"], one["recall"], one["f1"]) == (0.5, 1.0, pytest.approx(2 / 3))
    assert (two["precision"], two["recall"]) == (1.0, 0.5)
    assert none == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "reviews": 0}
    assert found["macro_f1"] == pytest.approx(2 / 3)  # of the three that occur
    assert class_figures(truth[:0], truth[:0], 2)["macro_f1"] is None


def test_one_class_alone_has_no_areas() -> None:
    scores = np.array([0.2, 0.9])
    assert areas(scores, np.array([1, 1])) == {"roc_auc": None, "pr_auc": None}
    assert areas(scores, np.array([0, 1])) == {"roc_auc": 1.0, "pr_auc": 1.0}
    assert areas(scores, np.array([1, 0]))["roc_auc"] == 0.0


def test_areas_of_more_classes_are_means_over_those_that_occur() -> None:
    truth = np.array([0, 1, 3, 3])
    scores = np.eye(4)[truth]
    assert areas(scores, truth) == {"roc_auc": 1.0, "pr_auc": 1.0}
    scores[3] = scores[0]
    assert 0.5 < areas(scores, truth)["roc_auc"] < 1.0


def test_none_found_shows_where_the_accuracy_does_not() -> None:
    """Five per cent positives, of which none is predicted."""
    labels = np.array([1] * 5 + [0] * 95, np.int8)
    found = measure(np.linspace(-1, -3, 100).astype(np.float32), labels)
    assert found["accuracy"] == 0.95
    assert found["classes"][1]["recall"] == 0.0
    assert found["macro_f1"] < 0.49
    assert found["roc_auc"] == 1.0
    low, high = found["interval"]
    assert 0.88 < low < 0.95 < high < 0.99


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = (random.random(60) < 0.1).astype(np.int8)
    truth[:2] = 0, 1
    scores = np.round(np.clip(random.normal(0.2 + 0.3 * truth, 0.2), 0, 1), 2).astype(np.float32)
    found = best_threshold(scores, truth)

    def macro_f1(threshold: float) -> float:
        return class_figures((scores >= threshold).astype(np.int8), truth, 2)["macro_f1"]

    assert macro_f1(found) >= max(map(macro_f1, np.linspace(0, 1, 203))) - 1e-9
    assert found not in scores or found == 0.5


def test_a_threshold_without_a_choice_is_the_middle() -> None:
    assert best_threshold(np.array([0.3, 0.4]), np.array([0, 0])) == 0.5
    assert best_threshold(np.array([0.3, 0.3]), np.array([0, 1])) == 0.5
    assert best_threshold(np.array([0.1, 0.9]), np.array([0, 1])) == 0.5


def test_the_majority() -> None:
    assert majority(np.array([2, 0, 2])) == 2
    assert majority(np.array([1, 0], np.int8)) == 0

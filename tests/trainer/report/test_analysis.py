"""Figures behind the report, against cases small enough to count by hand."""

import json

import numpy as np
import pytest

from infer.base.interval import interval
from infer.model.probability import sigmoid
from trainer.network.calibration import calibration_error
from trainer.report.analysis import (
    analyse,
    by_length,
    by_threshold,
    most_confident_mistakes,
    reliability,
)

NAN = float("nan")


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def labels_of(*values: int) -> np.ndarray:
    return np.array(values, np.int8)


def lengths_of(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_reliability_by_hand() -> None:
    scores = np.array([0.9, 0.92, 0.91, 0.2, 1.0, np.nan])
    bins = reliability(scores, labels_of(1, 1, 0, 0, 1, 1))
    assert len(bins) == 15
    assert (bins[0]["from"], bins[14]["to"]) == (0.0, 1.0)
    counts = {i: b["count"] for i, b in enumerate(bins) if b["count"]}
    assert counts == {3: 1, 13: 3, 14: 1}
    assert bins[13]["mean_score"] == pytest.approx(0.91)
    assert bins[13]["share_positive"] == pytest.approx(2 / 3)
    assert (bins[3]["mean_score"], bins[3]["share_positive"]) == (pytest.approx(0.2), 0.0)
    assert (bins[7]["mean_score"], bins[7]["share_positive"]) == (None, None)


def test_reliability_has_no_gap_where_scores_are_honest() -> None:
    random = np.random.default_rng(0)
    scores = random.random(200_000)
    bins = reliability(scores, (random.random(len(scores)) < scores).astype(np.int8))
    assert max(abs(b["mean_score"] - b["share_positive"]) for b in bins) < 0.02


def test_reliability_adds_up_to_the_calibration_error() -> None:
    random = np.random.default_rng(1)
    scores = sigmoid(random.normal(0, 3, 500))
    labels = random.integers(0, 2, 500).astype(np.int8)
    gaps = [
        b["count"] * abs(b["mean_score"] - b["share_positive"])
        for b in reliability(scores, labels)
        if b["count"]
    ]
    assert sum(gaps) / 500 == pytest.approx(calibration_error(scores, labels))


@pytest.mark.parametrize(
    ("right", "reviews", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (1, 1, 0.2065, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_against_known_values(right: int, reviews: int, low: float, high: float) -> None:
    assert interval(right, reviews) == pytest.approx((low, high), abs=1e-4)


def test_wilson_holds_the_share_itself() -> None:
    for reviews in (1, 2, 3, 7, 58, 25_000):
        for right in {0, 1, reviews // 2, reviews - 1, reviews}:
            low, high = interval(right, reviews)
            assert 0 <= low <= right / reviews <= high <= 1


def test_by_length_cuts_into_tenths() -> None:
    lengths = lengths_of(*range(1, 101))
    logits = np.where(lengths <= 10, -1, 1).astype(np.float32)
    bins = by_length(logits, np.ones(100, np.int8), lengths)
    assert [(b["from"], b["to"]) for b in bins] == [(i, i + 9) for i in range(1, 100, 10)]
    assert [b["reviews"] for b in bins] == [10] * 10
    assert [b["accuracy"] for b in bins] == [0.0] + [1.0] * 9
    assert (bins[0]["low"], bins[0]["high"]) == interval(0, 10)


def test_by_length_leaves_reviews_of_one_length_together() -> None:
    lengths = lengths_of(*[5] * 60, *[7] * 25, *[90] * 15)
    bins = by_length(np.ones(100, np.float32), np.ones(100, np.int8), lengths)
    assert [(b["from"], b["to"], b["reviews"]) for b in bins] == [
        (5, 5, 60),
        (7, 7, 25),
        (90, 90, 15),
    ]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        (lengths_of(4), [(4, 4, 1)]),
        (lengths_of(9, 3, 6), [(3, 3, 1), (6, 6, 1), (9, 9, 1)]),
        (lengths_of(8, 8, 8, 8), [(8, 8, 4)]),
    ],
    ids=["a single review", "fewer reviews than bins", "all of one length"],
)
def test_by_length_with_little_to_cut(
    lengths: np.ndarray, expected: list[tuple[int, int, int]]
) -> None:
    ones = np.ones(len(lengths))
    bins = by_length(ones.astype(np.float32), ones.astype(np.int8), lengths)
    assert [(b["from"], b["to"], b["reviews"]) for b in bins] == expected


def test_mistakes_come_with_the_surest_first_and_ties_in_order() -> None:
    logits = floats(2, -3, 0.5, NAN, -3, 1, 0)
    labels = labels_of(0, 1, 0, 0, 1, 1, 0)
    assert most_confident_mistakes(logits, labels).tolist() == [1, 4, 0, 2, 6]
    assert most_confident_mistakes(logits, labels, count=2).tolist() == [1, 4]
    assert most_confident_mistakes(logits[5:6], labels[5:6]).tolist() == []


def test_texts_without_a_token_are_left_out_everywhere() -> None:
    logits, labels, lengths = floats(1, -1, 4), labels_of(1, 1, 0), lengths_of(3, 5, 9)
    more = np.append(logits, floats(NAN)), np.append(labels, labels_of(1)), np.append(lengths, 0)
    assert analyse(*more, 1.5) == analyse(logits, labels, lengths, 1.5)
    nothing = analyse(floats(NAN), labels_of(0), lengths_of(0), 1.0)
    assert nothing["by_length"] == []
    assert {b["count"] for b in nothing["calibration"]["after"]} == {0}
    json.dumps(nothing, allow_nan=False)


def test_the_temperature_moves_scores_and_nothing_else() -> None:
    found = analyse(floats(4, -4), labels_of(1, 0), lengths_of(1, 2), 4.0)
    means = {
        when: [b["mean_score"] for b in bins if b["count"]]
        for when, bins in found["calibration"].items()
    }
    assert means["before"] == pytest.approx([1 - 0.98201, 0.98201], abs=1e-5)
    assert means["after"] == pytest.approx([1 - 0.73106, 0.73106], abs=1e-5)
    assert [b["accuracy"] for b in found["by_length"]] == [1.0, 1.0]


def test_other_thresholds_by_hand() -> None:
    scores = np.array([0.1, 0.42, 0.58, 0.9, NAN])
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    rows = by_threshold(logits, np.array([0, 1, 0, 1, 1], np.int16))
    found = {row.pop("threshold"): list(row.values()) for row in rows}
    assert list(rows[0]) == ["share", "precision", "recall", "f1"] and len(found) == 19
    assert found[0.05] == [1, 0.5, 1, 2 / 3]
    assert found[0.5] == [0.5, 0.5, 0.5, 0.5]
    assert found[0.95] == [0, None, 0, 0]

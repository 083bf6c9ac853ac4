"""The risk-coverage curve, against cases counted by hand, and as strict as the card needs it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.base.errors import UsageError
from infer.base.interval import interval
from infer.model.risk import RiskCurve, confidences, point_for, risk_curve

LABELS = ("negative", "positive")


def curve(rows):
    """Draw the curve of rows (confidence, whether the label is right)."""
    confidence, right = zip(*rows, strict=True)
    return risk_curve(np.array(confidence), np.array(right))


def test_points_count_who_is_at_least_so_sure():
    found = curve([(0.9, True), (0.6, False), (0.8, True), (0.8, False)])
    points = [(point.confidence, point.rows, point.right) for point in found.points]
    assert points == [(0.0, 4, 2), (0.8, 3, 2), (0.9, 1, 1)]
    assert [found.coverage(point) for point in found.points] == [1, 0.75, 0.25]


def test_what_is_reached_is_sure():
    rows = [(0.5 + i / 4_000, i % 4 != 0 or i > 1_000) for i in range(2_000)]
    found = curve(rows)
    assert len(found.points) == 40
    assert found.reach(0.5) is found.points[0]
    point = found.reach(0.97)
    assert point.at_least >= 0.97
    kept = [right for confidence, right in rows if confidence >= point.confidence]
    assert (len(kept), sum(kept)) == (point.rows, point.right)
    assert point.at_least == interval(point.right, point.rows)[0] < point.accuracy
    # A single sure review that is right says next to nothing.
    assert curve([(0.99, True), (0.6, True)]).reach(0.9) is None
    assert found.reach(1.0) is None
    assert found.best.at_least == max(point.at_least for point in found.points)


def test_confidence_is_the_predicted_labels_probability():
    score = np.array([0.2, 0.75, np.nan], np.float32)
    found = confidences(score, np.array([0, 1, 0], np.int16), LABELS)
    assert found[:2].tolist() == [1 - np.float64(np.float32(0.2)), 0.75]
    assert np.isnan(found[2])
    # With another threshold than a half the predicted label need not be the likelier one.
    assert confidences(score[:1], np.array([1], np.int16), LABELS)[0] == np.float32(0.2)
    assert confidences(score, np.array([2, 0, 1], np.int16), ("1", "2", "3"))[1] == 0.75


def test_no_rows_have_no_curve():
    assert risk_curve(np.zeros(0), np.zeros(0, bool)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200))
def test_whatever_is_drawn_is_read_back(rows):
    found = curve(rows)
    assert RiskCurve.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.points[0].rows == len(rows)
    assert len(found.points) <= 40


GOOD = [
    {"confidence": 0.0, "rows": 10, "right": 8},
    {"confidence": 0.5, "rows": 5, "right": 5},
]


@pytest.mark.parametrize(
    "damaged",
    [
        None, {}, [], [1], GOOD[1:], [GOOD[0] | {"more": 1}],
        [GOOD[0] | {"right": 11}], [GOOD[0] | {"rows": 0, "right": 0}], [GOOD[0] | {"rows": 10.0}],
        [GOOD[0], GOOD[1] | {"confidence": float("nan")}],
        [GOOD[0], GOOD[1] | {"confidence": float("inf")}],
        [GOOD[0], GOOD[1] | {"confidence": 0.0}], [GOOD[0], GOOD[1] | {"confidence": "1"}],
        [GOOD[0], GOOD[1] | {"rows": 11}], [GOOD[0], GOOD[1] | {"right": 2}],
        [GOOD[0], GOOD[1] | {"rows": 9, "right": 9}],
    ],
)  # fmt: skip
def test_what_no_reviews_gave_is_refused(damaged):
    assert RiskCurve.from_json(GOOD).points[1].rows == 5
    with pytest.raises(ValueError, match="risk-coverage curve"):
        RiskCurve.from_json(damaged)


def test_where_chance_is_not_beaten_nothing_can_be_asked_for():
    points = [(0.5 + i / 100, i % 2 == 0) for i in range(40)]
    with pytest.raises(UsageError, match="Train a better model first"):
        point_for(curve(points), 0.6)
    with pytest.raises(UsageError, match=r"right for 100\.00%, of which 56\.55% .* Ask for 0\.565"):
        point_for(curve([(0.9, True)] * 5), 0.9)

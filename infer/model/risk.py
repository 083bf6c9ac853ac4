"""How often a model is right about the texts it is surest of: the risk-coverage curve.

From it follows when not to believe a score: which confidence a label must have so that the labels
that are left are right as often as asked for (El-Yaniv and Wiener 2010). Legend: R rows.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from infer.base.errors import UsageError
from infer.base.interval import interval
from infer.model.probability import Labels

# Of an accuracy that can be asked for: chance reaches it with two labels.
LOWEST: Final = 0.5
_POINTS: Final = 40


@dataclass(frozen=True)
class RiskPoint:
    """Of the validation reviews, those whose label was at least so sure.

    Attributes:
        confidence: the lowest probability of the predicted label among them.
        rows: how many they are.
        right: how many of their labels are right.
    """

    confidence: float
    rows: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share that is right."""
        return self.right / self.rows

    @property
    def at_least(self) -> float:
        """Lower end of the accuracy's 95 % interval, so that few rows are not trusted too far."""
        return interval(self.right, self.rows)[0]


@dataclass(frozen=True)
class RiskCurve:
    """What is gained by passing over unsure labels.

    Attributes:
        points: from all validation reviews, at a confidence of 0, to the surest few.
    """

    points: tuple[RiskPoint, ...]

    def __post_init__(self) -> None:
        """Refuse what no reviews can have given.

        Raises:
            ValueError: saying which point.
        """
        if not self.points or self.points[0].confidence != 0:
            raise ValueError("risk-coverage curve: no point of all rows, at a confidence of 0")
        for point in self.points:
            counts = (point.rows, point.right)
            is_sure = type(point.confidence) is float and 0 <= point.confidence <= 1
            if not is_sure or any(type(n) is not int for n in counts):
                raise ValueError(f"risk-coverage curve: {point!s:.120}")
            if not 0 <= point.right <= point.rows or point.rows < 1:
                raise ValueError(f"risk-coverage curve: {point}, expected 0 <= right <= rows")
        for one, next_one in zip(self.points, self.points[1:], strict=False):
            dropped = one.rows - next_one.rows
            if (
                one.confidence >= next_one.confidence
                or not 0 <= one.right - next_one.right <= dropped
            ):
                raise ValueError(f"risk-coverage curve: {next_one} behind {one}")

    def coverage(self, point: RiskPoint) -> float:
        """Share of all rows that a point is of."""
        return point.rows / self.points[0].rows

    def reach(self, accuracy: float) -> RiskPoint | None:
        """Return the point with the most rows whose accuracy is at least so high, 95 % sure.

        None where there is none: `best` says how far it goes.
        """
        return next((point for point in self.points if point.at_least >= accuracy), None)

    @property
    def best(self) -> RiskPoint:
        """The point with the highest accuracy that is sure."""
        return max(self.points, key=lambda point: point.at_least)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the points as a JSON-ready list."""
        return [asdict(point) for point in self.points]

    @classmethod
    def from_json(cls, values: object) -> "RiskCurve":
        """Read `to_json` back.

        Raises:
            ValueError: it is no such list.
        """
        names = RiskPoint.__dataclass_fields__.keys()
        if not isinstance(values, list) or any(
            not isinstance(value, dict) or value.keys() != names for value in values
        ):
            raise ValueError(f"risk-coverage curve: {values!r:.80}, expected a list of points")
        return cls(tuple(RiskPoint(**value) for value in values))


def risk_curve(
    confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> RiskCurve | None:
    """Draw the curve of rows that have a label.

    Args:
        confidence: (R,) probabilities of the predicted labels.
        right: (R,) whether these are the true ones.

    Returns:
        At most 40 points, about as many rows apart; None of no rows.
    """
    rows = len(confidence)
    if not rows:
        return None
    order = np.argsort(-confidence, kind="stable")
    sorted_right, falling = np.cumsum(right[order]), confidence[order]
    least = np.unique(falling[[rows * i // _POINTS for i in range(_POINTS)]])[1:]
    points = [RiskPoint(0.0, rows, int(sorted_right[-1]))]
    for bound in least.tolist():
        kept = int(np.searchsorted(-falling, -bound, side="right"))
        if kept < points[-1].rows:
            points.append(RiskPoint(bound, kept, int(sorted_right[kept - 1])))
    return RiskCurve(tuple(points))


def confidences(
    scores: npt.NDArray[np.float32], predictions: Labels, labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the probability of the predicted label of each row: (R,) float64; of NaN it is NaN.

    Args:
        scores: (R,) of the positive of two labels, or of the predicted one of more.
        predictions: (R,) their numbers.
        labels: names of the model's.
    """
    exact = scores.astype(np.float64)
    if len(labels) > 2:
        return exact
    found: npt.NDArray[np.float64] = np.where(predictions == 1, exact, 1 - exact)
    return found


def check_accuracy(accuracy: float) -> None:
    """Refuse what no accuracy can be, and what chance reaches.

    Raises:
        UsageError: saying what is expected.
    """
    if not LOWEST <= accuracy <= 1:
        raise UsageError(f"abstain_below: {accuracy}, expected an accuracy from {LOWEST} to 1")


def point_for(curve: RiskCurve | None, accuracy: float) -> RiskPoint:
    """Return where a curve reaches an accuracy, of which one can be 95 % sure.

    Args:
        curve: of the model; None where its file has none.
        accuracy: what is asked for.

    Raises:
        UsageError: it is no accuracy to ask for, there is no curve, or no point so high; the
            message says how far it goes.
    """
    check_accuracy(accuracy)
    asked = f"abstain_below: {accuracy}"
    if curve is None:
        raise UsageError(
            f"{asked}: the model file does not say how often the model is right where it is sure, "
            "since it was made by an older version or from a network without validation reviews. "
            "Train and export the model with this version"
        )
    if (point := curve.reach(accuracy)) is not None:
        return point
    best = curve.best
    most = math.floor(best.at_least * 1_000) / 1_000
    remedy = f"Ask for {most} at most" if most >= LOWEST else "Train a better model first"
    raise UsageError(
        f"{asked}: the surest {curve.coverage(best):.1%} of the validation reviews were right for "
        f"{best.accuracy:.2%}, of which {best.at_least:.2%} are certain. {remedy}"
    )

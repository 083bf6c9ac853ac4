"""Two columns of logits held against each other. Legend: R rows."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exporter.parity.tolerance import Tolerance
from infer.model.probability import sigmoid

# A relative difference is taken against at least this, so that a value of 0 divides nothing.
SMALLEST: Final = 1e-3


@dataclass(frozen=True)
class Statistics:
    """Largest value, mean and 99.9th percentile of R differences."""

    maximum: float
    mean: float
    p999: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> "Statistics":
        """Summarise (R,) values; no value at all gives zeros."""
        if not len(values):
            return cls(0.0, 0.0, 0.0)
        return cls(float(values.max()), float(values.mean()), float(np.quantile(values, 0.999)))


@dataclass(frozen=True)
class Worst:
    """The row that differs most: its number, tokens, text where it has one, and both logits."""

    row: int
    tokens: int
    expected: float
    found: float
    text: str | None = None


@dataclass(frozen=True)
class Difference:
    """What R pairs of logits differ by; rows that are not finite are counted, not averaged.

    Attributes:
        rows: R.
        logit_absolute, logit_relative: differences of the logits.
        probability_absolute, probability_relative: the same behind the sigmoid.
        flips: rows on whose label the two disagree.
        not_finite: rows where either is NaN or infinite.
        worst: the row that differs most, the first one that is not finite before all others.
    """

    rows: int
    logit_absolute: Statistics
    logit_relative: Statistics
    probability_absolute: Statistics
    probability_relative: Statistics
    flips: int
    not_finite: int
    worst: Worst


def measure_difference(
    expected: npt.NDArray[np.float32],
    found: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.integer[Any]],
) -> Difference:
    """Compare (R,) float32 logits, R at least 1; `lengths` are the rows' tokens."""
    finite = np.isfinite(expected) & np.isfinite(found)
    reference, value = (a[finite].astype(np.float64) for a in (expected, found))
    gaps = np.full(len(expected), np.inf)
    gaps[finite] = np.abs(value - reference)
    worst = int(gaps.argmax())
    probabilities = sigmoid(reference), sigmoid(value)
    return Difference(
        len(expected),
        *_both_ways(reference, value),
        *_both_ways(*probabilities),
        flips=int(np.count_nonzero((reference > 0) != (value > 0))),
        not_finite=int(np.count_nonzero(~finite)),
        worst=Worst(worst, int(lengths[worst]), float(expected[worst]), float(found[worst])),
    )


def _both_ways(
    expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]
) -> tuple[Statistics, Statistics]:
    gaps = np.abs(found - expected)
    return Statistics.of(gaps), Statistics.of(gaps / np.maximum(np.abs(expected), SMALLEST))


def find_problems(
    expected: npt.NDArray[np.float32],
    found: npt.NDArray[np.float32],
    difference: Difference,
    tolerance: Tolerance,
) -> list[str]:
    """Say in words which bounds on single values (R,) are broken, none when all hold."""
    problems = []
    if difference.not_finite:
        problems.append(f"{difference.not_finite} of {difference.rows} logits are not finite")
    finite = np.isfinite(expected) & np.isfinite(found)
    gaps = np.abs(found[finite].astype(np.float64) - expected[finite])
    allowed = tolerance.absolute + tolerance.relative * np.abs(expected[finite])
    beyond = int(np.count_nonzero(gaps > allowed))
    excused = tolerance.outliers_allowed(difference.rows)
    if beyond > excused or (beyond and gaps.max() > tolerance.outlier):
        problems.append(
            f"{beyond} of {difference.rows} logits differ by more than allowed, at most by "
            f"{difference.logit_absolute.maximum:.3g} (allowed: {tolerance.absolute:g} + "
            f"{tolerance.relative:g} x |logit|)"
        )
    return problems

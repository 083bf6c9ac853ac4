"""Two sets of logits held against each other.

Legend: R rows, C columns: one of two labels, else one a label.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exporter.parity.tolerance import Tolerance
from infer.model.probability import predicted, probabilities
from infer.text.batching import Logits

# A relative difference is taken against at least this, so that a value of 0 divides nothing.
SMALLEST: Final = 1e-3


@dataclass(frozen=True)
class Statistics:
    """Largest value, mean and 99.9th percentile of differences."""

    maximum: float
    mean: float
    p999: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> "Statistics":
        """Summarise values of any shape; no value at all gives zeros."""
        if not values.size:
            return cls(0.0, 0.0, 0.0)
        return cls(float(values.max()), float(values.mean()), float(np.quantile(values, 0.999)))


@dataclass(frozen=True)
class Worst:
    """The row that differs most: its number, tokens, text where it has one, and both logits.

    Of several logits these are the two that differ most.
    """

    row: int
    tokens: int
    expected: float
    found: float
    text: str | None = None


@dataclass(frozen=True)
class Difference:
    """What R pairs of rows differ by; those that are not finite are counted, not averaged.

    Attributes:
        rows: R.
        logit_absolute, logit_relative: differences of the logits.
        probability_absolute, probability_relative: the same of what they make.
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
    expected: Logits, found: Logits, lengths: npt.NDArray[np.integer[Any]], middle: float = 0.0
) -> Difference:
    """Compare (R,) or (R, K) float32 logits, R at least 1.

    Args:
        expected: what is right.
        found: what is compared with it.
        lengths: (R,) tokens of the rows.
        middle: above it a logit of (R,) speaks for the positive label.
    """
    finite = _finite_rows(expected, found)
    reference, value = (a[finite].astype(np.float64) for a in (expected, found))
    return Difference(
        len(expected),
        *_both_ways(reference, value),
        *_both_ways(probabilities(reference), probabilities(value)),
        flips=int(np.count_nonzero(predicted(reference, middle) != predicted(value, middle))),
        not_finite=int(np.count_nonzero(~finite)),
        worst=_worst(expected, found, lengths),
    )


def _finite_rows(expected: Logits, found: Logits) -> npt.NDArray[np.bool_]:
    """Tell which rows, of (R,) or (R, K), have numbers on both sides: (R,) bool."""
    both = np.isfinite(_columns(expected)) & np.isfinite(_columns(found))
    finite: npt.NDArray[np.bool_] = np.logical_and.reduce(both, axis=1)
    return finite


def _columns(logits: Logits) -> npt.NDArray[np.float64]:
    """Return logits (R,) or (R, K), R at least 1, as (R, C) float64."""
    return logits.astype(np.float64).reshape(len(logits), -1)


def _worst(expected: Logits, found: Logits, lengths: npt.NDArray[np.integer[Any]]) -> Worst:
    """Find the logit that differs most, the first that is no number before all others."""
    reference, value = _columns(expected), _columns(found)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gaps = np.abs(value - reference)
    gaps[~np.isfinite(gaps)] = np.inf
    row, column = np.unravel_index(int(gaps.argmax()), gaps.shape)
    sides = float(reference[row, column]), float(value[row, column])
    return Worst(int(row), int(lengths[row]), *sides)


def _both_ways(
    expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]
) -> tuple[Statistics, Statistics]:
    gaps = np.abs(found - expected)
    return Statistics.of(gaps), Statistics.of(gaps / np.maximum(np.abs(expected), SMALLEST))


def find_problems(
    expected: Logits, found: Logits, difference: Difference, tolerance: Tolerance
) -> list[str]:
    """Say in words which bounds on single values are broken, none when all hold."""
    problems = []
    if difference.not_finite:
        problems.append(f"{difference.not_finite} of {difference.rows} logits are not finite")
    finite = _finite_rows(expected, found)
    reference = _columns(expected)[finite]
    gaps = np.abs(_columns(found)[finite] - reference)
    # A row's logits are sums over the same states, so that the largest tells how they are rounded.
    scale = np.abs(reference).max(axis=1, keepdims=True, initial=0.0)  # (R, 1)
    allowed = tolerance.absolute + tolerance.relative * scale
    beyond = int(np.count_nonzero((gaps > allowed).any(axis=1)))
    excused = tolerance.outliers_allowed(difference.rows)
    if beyond > excused or (beyond and gaps.max() > tolerance.outlier):
        problems.append(
            f"{beyond} of {difference.rows} logits differ by more than allowed, at most by "
            f"{difference.logit_absolute.maximum:.3g} (allowed: {tolerance.absolute:g} + "
            f"{tolerance.relative:g} x |logit|)"
        )
    return problems

"""One temperature, after which a score of 0.9 means nine in ten; and how far scores are from that.

Guo et al., "On Calibration of Modern Neural Networks" (2017). Labels do not change: a positive
temperature leaves each logit its sign. Legend: R rows.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from infer.model.probability import sigmoid

COLDEST: Final = 0.05
HOTTEST: Final = 20.0
HALVINGS: Final = 50
BINS: Final = 15
FOLDS: Final = 5
# Of fewer rows a standard error says nothing.
FEWEST: Final = 20
# A gain on held-out rows counts where it is this many of its standard errors above nothing.
CLEARLY: Final = 2.0

Values = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def fit_temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]) -> float:
    """Find the temperature at which `sigmoid(logits / temperature)` has the lowest log loss.

    It is kept only where temperatures that are fitted in the same way clearly lower the loss of
    rows that they have not seen: on few rows a fit follows chance, up to its bounds.

    Args:
        logits: (R,) float32; NaN rows (texts without a token) are left out.
        labels: (R,) int8, 1 positive and 0 negative.

    Returns:
        From 0.05 to 20; 1 where none is clearly better.
    """
    x, truth = _scored(logits, labels)
    return _lowest(x, truth) if _helps(x, truth) else 1.0


def describe_temperature(temperature: float) -> str:
    """Return what is said of a temperature, and why it is 1 where it is."""
    if temperature == 1.0:
        return "temperature 1 (none clearly lowers the loss of held-out reviews)"
    return f"temperature {temperature:.2f}"


def _helps(x: Values, truth: Truth) -> bool:
    """Tell whether fitted temperatures lower the loss of rows held out, of which each is once."""
    if len(x) < FEWEST:
        return False
    # The n-th row of a class is in fold n modulo 5, so that each fold has its share of each class.
    folds = np.empty(len(x), np.int64)
    folds[np.argsort(truth, kind="stable")] = np.arange(len(x)) % FOLDS
    gains = np.zeros(len(x))
    for fold in range(FOLDS):
        held = folds == fold
        temperature = _lowest(x[~held], truth[~held])
        gains[held] = _losses(x[held], truth[held]) - _losses(x[held] / temperature, truth[held])
    return bool(gains.mean() > CLEARLY * gains.std(ddof=1) / math.sqrt(len(gains)))


def _losses(x: Values, truth: Truth) -> Values:
    """Return each row's cross-entropy in nats: (R,) float64."""
    losses: Values = np.logaddexp(0.0, x) - x * truth
    return losses


def _lowest(x: Values, truth: Truth) -> float:
    """Return the temperature with the lowest loss of these rows.

    The loss is convex in 1 / temperature, so the sign of its slope tells on which side the lowest
    point lies. The truth is taken as Platt (1999) does, a row short of certainty, so that reviews
    without a single error do not ask for infinite certainty.
    """
    positives = truth.sum()
    target = np.where(
        truth, (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2)
    )  # (R,)
    low, high = math.log(COLDEST), math.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_sure = x @ (sigmoid(x / math.exp(middle)) - target) > 0
        low, high = (middle, high) if too_sure else (low, middle)
    return math.exp((low + high) / 2)


def calibration_error(scores: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int8]) -> float:
    """Compute the expected calibration error of the positive label's scores.

    Rows are put into 15 bins by score, each as wide; the error is the mean over the rows of how
    far their bin's mean score is from its share of positive labels.

    Args:
        scores: (R,) probabilities; NaN rows are left out.
        labels: (R,) int8, 1 positive and 0 negative.

    Returns:
        0 to 1, NaN where no row has a score.
    """
    p, truth = _scored(scores, labels)
    if not len(p):
        return math.nan
    apart = np.bincount(bins_of(p), p - truth, BINS)  # (BINS,) rows x (mean score - share)
    return float(np.abs(apart).sum() / len(p))


def bins_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the bin of each score: (R,) float64 from 0 to 1 → (R,) int64 from 0 to 14."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)


def _scored(
    values: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return values and truth of the rows that have a value."""
    scored = ~np.isnan(values)
    return values[scored].astype(np.float64), labels[scored] == 1

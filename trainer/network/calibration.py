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
Logits = npt.NDArray[np.float32]


def fit_temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]) -> float:
    """Find the temperature at which `sigmoid(logits / temperature)` has the lowest log loss.

    The loss is convex in 1 / temperature, so the sign of its slope tells on which side the lowest
    point lies. The truth is taken as Platt (1999) does, a row short of certainty, so that reviews
    without a single error do not ask for infinite certainty.

    Args:
        logits: (R,) float32; NaN rows (texts without a token) are left out.
        labels: (R,) int8, 1 positive and 0 negative.

    Returns:
        From 0.05 to 20; 1 where no row has a logit.
    """
    x, truth = _scored(logits, labels)
    if not len(x):
        return 1.0
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


def fit_mix(deep: Logits, wide: Logits, labels: npt.NDArray[np.int8]) -> tuple[float, float]:
    """Find what two models' logits count in their sum, so that it has the lowest log loss.

    The sum of logits is a product of the two opinions (Hinton 2002). Which of them counts more is
    one number; how sure the sum is, is the temperature's business.

    Args:
        deep: (R,) float32 of the network; NaN rows (texts without a token) are left out.
        wide: (R,) float32 of the n-grams.
        labels: (R,) int8, 1 positive and 0 negative.

    Returns:
        Two numbers from 0 to 2 whose sum is 2.
    """
    from scipy.optimize import minimize_scalar

    def loss(share: float) -> float:
        mixed = 2 * ((1 - share) * deep + share * wide)
        x, truth = _scored(mixed / fit_temperature(mixed, labels), labels)
        return float(np.mean(np.logaddexp(0.0, x) - x * truth))

    if np.isnan(deep).all():
        return 1.0, 1.0
    share = float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)
    return 2 * (1 - share), 2 * share


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

"""One temperature, after which a score of 0.9 means nine in ten; and how far scores are from that.

Guo et al., "On Calibration of Modern Neural Networks" (2017). Labels do not change: a positive
temperature leaves each logit its sign, and the greatest of several the greatest.
Legend: R rows, K labels.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from infer.model.probability import (
    Labels,
    certain,
    has_values,
    hits,
    label_count,
    losses,
    probabilities,
    scores,
)

COLDEST: Final = 0.05
HOTTEST: Final = 20.0
HALVINGS: Final = 50
BINS: Final = 15
FOLDS: Final = 5
# Of fewer rows a standard error says nothing.
FEWEST: Final = 20
# A gain on held-out rows counts where it is this many of its standard errors above nothing.
CLEARLY: Final = 2.0
# What is believed of two models' shares before a row is seen, and how many rows that is worth: the
# n-grams count most. A network that has learned from few texts is several times too sure.
WIDE_SHARE: Final = 0.85
BELIEF: Final = 15

Logits = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]


def fit_temperature(logits: npt.NDArray[np.float32], labels: Labels) -> float:
    """Find the temperature at which the probabilities of `logits / temperature` lose least.

    It is kept only where temperatures that are fitted in the same way clearly lower the loss of
    rows that they have not seen: on few rows a fit follows chance, up to its bounds.

    Args:
        logits: (R,) or (R, K) float32; NaN rows (texts without a token) are left out.
        labels: (R,) numbers of the true labels.

    Returns:
        From 0.05 to 20; 1 where none is clearly better.
    """
    scored = has_values(logits)
    x, truth = logits[scored].astype(np.float64), labels[scored]
    return _lowest(x, truth) if _helps(x, truth) else 1.0


def describe_temperature(temperature: float) -> str:
    """Return what is said of a temperature, and why it is 1 where it is."""
    if temperature == 1.0:
        return "temperature 1 (none clearly lowers the loss of held-out reviews)"
    return f"temperature {temperature:.2f}"


def _helps(x: Values, truth: Labels) -> bool:
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
        gains[held] = losses(x[held], truth[held]) - losses(x[held] / temperature, truth[held])
    return bool(gains.mean() > CLEARLY * gains.std(ddof=1) / math.sqrt(len(gains)))


def _lowest(x: Values, truth: Labels) -> float:
    """Return the temperature with the lowest loss of these rows.

    The loss is convex in 1 / temperature, so the sign of its slope tells on which side the lowest
    point lies. The truth is taken a row short of certainty, so that reviews without a single
    error do not ask for infinite certainty.
    """
    target = _short_of_certainty(truth, label_count(x))
    low, high = math.log(COLDEST), math.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_sure = np.vdot(x, probabilities(x, math.exp(middle)) - target) > 0
        low, high = (middle, high) if too_sure else (low, middle)
    return math.exp((low + high) / 2)


def _short_of_certainty(truth: Labels, labels: int) -> Values:
    """Return what probabilities a fit is to come near, as Platt (1999) does: (R,) or (R, K).

    Of the m rows of a label all but one in m + 2 are certain. More labels have fewer rows each, so
    m is what it would be if there were two.

    Args:
        truth: (R,) numbers of the true labels.
        labels: how many there are, K.
    """
    sure = certain(truth, labels)
    alike = np.bincount(truth, minlength=labels)[truth] * labels / 2  # (R,)
    m = alike.reshape(-1, *[1] * (sure.ndim - 1))
    return np.where(sure == 1, (m + 1) / (m + 2), 1 / ((m + 2) * (labels - 1)))


def fit_mix(deep: Logits, wide: Logits, labels: Labels) -> tuple[float, float]:
    """Find what two models' logits count in their sum, so that it has the lowest log loss.

    The sum of logits is a product of the two opinions (Hinton 2002). Which of them counts more is
    one number; how sure the sum is, is the temperature's business. What few rows say of it is
    mostly chance, so it has a beta prior.

    Args:
        deep: (R,) or (R, K) float32 of the network; NaN rows (texts without a token) are left out.
        wide: the same of the n-grams.
        labels: (R,) numbers of the true labels.

    Returns:
        Two numbers from 0 to 2 whose sum is 2.
    """
    from scipy.optimize import minimize_scalar

    scored = has_values(deep)
    if not scored.any():
        return 1.0, 1.0
    sides, truth = (deep[scored], wide[scored]), labels[scored]

    def loss(share: float) -> float:
        mixed = 2 * ((1 - share) * sides[0] + share * sides[1]).astype(np.float64)
        fits = losses(mixed / _lowest(mixed, truth), truth).sum()
        belief = WIDE_SHARE * math.log(share) + (1 - WIDE_SHARE) * math.log(1 - share)
        return float(fits - BELIEF * belief)

    share = float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)
    return 2 * (1 - share), 2 * share


def calibration_error(found: Values, labels: Labels) -> float:
    """Compute the expected calibration error of scores.

    Rows are put into 15 bins by score, each as wide; the error is the mean over the rows of how
    far their bin's mean score is from its share of positive labels, or of more than two labels
    from its share of right predictions.

    Args:
        found: (R,) or (R, K) probabilities; NaN rows are left out.
        labels: (R,) numbers of the true labels.

    Returns:
        0 to 1, NaN where no row has a score.
    """
    scored = has_values(found)
    if not scored.any():
        return math.nan
    p, truth = scores(found[scored]), hits(found[scored], labels[scored])
    apart = np.bincount(bins_of(p), p - truth, BINS)  # (BINS,) rows x (mean score - share)
    return float(np.abs(apart).sum() / len(p))


def bins_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the bin of each score: (R,) float64 from 0 to 1 → (R,) int64 from 0 to 14."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)

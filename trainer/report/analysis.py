"""Where a model is right and how sure it is: figures that a mean over all reviews hides.

Legend: R rows, S rows that have a logit, K labels, M mistakes.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from infer.base.interval import interval
from infer.model.labels import label_numbers
from infer.model.probability import (
    Labels,
    has_values,
    hits,
    margins,
    probabilities,
    scores,
)
from infer.model.results import expected_values
from trainer.network.calibration import BINS, bins_of
from trainer.network.evaluate import decide

LENGTH_BINS: Final = 10
MOST_MISTAKES: Final = 20
THRESHOLDS: Final = 20  # steps from 0 to 1

Logits = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]


def analyse(
    logits: Logits,
    labels: Labels,
    lengths: Lengths,
    temperature: float,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compute the figures that are drawn, JSON-ready.

    Args:
        logits: (R,) or (R, K) float32; NaN rows (texts without a token) are left out.
        labels: (R,) numbers of the true labels.
        lengths: (R,) int64 tokens that the model read.
        temperature: what logits are divided by.
        threshold: the score from which on the positive label is predicted.

    Returns:
        `calibration`: `before` and `after` the temperature, each as `reliability` has it;
        `by_length` and, of two labels, `by_threshold`, as the functions of these names have it.
    """
    curve = {} if logits.ndim > 1 else {"by_threshold": by_threshold(logits, labels, temperature)}
    return {
        **curve,
        "calibration": {
            "before": reliability(probabilities(logits), labels),
            "after": reliability(probabilities(logits, temperature), labels),
        },
        "by_length": by_length(logits, labels, lengths, temperature, threshold),
    }


def reliability(found: npt.NDArray[np.float64], labels: Labels) -> list[dict[str, Any]]:
    """Hold scores against the truth, in the bins of the calibration error.

    Args:
        found: (R,) or (R, K) float64 probabilities; NaN rows are left out.
        labels: (R,) numbers of the true labels.

    Returns:
        For each of the 15 bins `from` and `to` (of the score), `count`, and `mean_score` and
        `share_positive`, which of more than two labels is the share that is right (0 to 1; None
        where the bin is empty).
    """
    scored = has_values(found)
    p, truth = scores(found[scored]), hits(found[scored], labels[scored])  # (S,), (S,)
    bins = bins_of(p)
    counts = np.bincount(bins, minlength=BINS)
    sums, positives = np.bincount(bins, p, BINS), np.bincount(bins, truth, BINS)
    return [
        {
            "from": i / BINS,
            "to": (i + 1) / BINS,
            "count": int(count),
            "mean_score": float(sums[i] / count) if count else None,
            "share_positive": float(positives[i] / count) if count else None,
        }
        for i, count in enumerate(counts)
    ]


def by_length(
    logits: Logits,
    labels: Labels,
    lengths: Lengths,
    temperature: float = 1.0,
    threshold: float = 0.5,
) -> list[dict[str, Any]]:
    """Compute the accuracy of short and long reviews, in up to ten bins of about as many reviews.

    Reviews of one length are never parted, so few reviews or few lengths make fewer bins.

    Args:
        logits: (R,) or (R, K) float32; NaN rows are left out.
        labels: (R,) numbers of the true labels.
        lengths: (R,) int64 tokens.
        temperature: what logits are divided by.
        threshold: the score from which on the positive label is predicted.

    Returns:
        For each bin, from short to long: `from` and `to` (its shortest and longest review, in
        tokens), `reviews`, `accuracy`, and `low` and `high`, the 95 % interval of the accuracy.
    """
    scored = has_values(logits)
    if not scored.any():
        return []
    long = lengths[scored]
    right = decide(logits[scored], temperature, threshold) == labels[scored]
    shares = np.arange(1, LENGTH_BINS + 1) / LENGTH_BINS
    # An inverted CDF's quantiles are lengths that occur, so that no bin is empty.
    longest = np.unique(np.quantile(long, shares, method="inverted_cdf"))
    bins = np.searchsorted(longest, long)
    return [_length_bin(long[bins == i], right[bins == i]) for i in range(len(longest))]


def by_threshold(
    logits: Logits, labels: Labels, temperature: float = 1.0
) -> list[dict[str, float | None]]:
    """Compute what other thresholds would give.

    Args:
        logits: (R,) float32; NaN rows are left out.
        labels: (R,) 1 positive and 0 negative.
        temperature: what logits are divided by.

    Returns:
        For thresholds from 0.05 to 0.95: `threshold`, `share` (of the rows, for which the positive
        label is predicted), and of that label `precision` (None where nothing is predicted),
        `recall` (None where nothing is positive) and `f1`.
    """
    scored = has_values(logits)
    found, positive = probabilities(logits[scored], temperature), labels[scored] == 1
    return [_at_threshold(found >= i / THRESHOLDS, positive, i / THRESHOLDS)
            for i in range(1, THRESHOLDS)]  # fmt: skip


def _at_threshold(
    predicted: npt.NDArray[np.bool_], positive: npt.NDArray[np.bool_], threshold: float
) -> dict[str, float | None]:
    said, true, right = (int(part.sum()) for part in (predicted, positive, predicted & positive))
    return {
        "threshold": threshold,
        "share": said / len(positive) if len(positive) else None,
        "precision": right / said if said else None,
        "recall": right / true if true else None,
        "f1": 2 * right / (said + true) if said + true else None,
    }


def _length_bin(lengths: Lengths, right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Describe the reviews of one bin, of which there is at least one."""
    low, high = interval(int(right.sum()), len(right))
    return {
        "from": int(lengths.min()),
        "to": int(lengths.max()),
        "reviews": len(right),
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
    }


def absolute_error(found: npt.NDArray[np.float64], labels: Labels, names: tuple[str, ...]) -> float:
    """Compute by how much the expected value misses the truth in the mean.

    Args:
        found: (R, K) probabilities; NaN rows are left out.
        labels: (R,) numbers of the true labels.
        names: K of the labels, which are numbers, such as stars.

    Returns:
        In units of these numbers, NaN where no row has a probability.
    """
    scored = has_values(found)
    truth = np.array(label_numbers(names), np.float64)[labels[scored]]
    errors = np.abs(expected_values(found[scored], names) - truth)
    return float(errors.mean()) if len(errors) else math.nan


def most_confident_mistakes(
    logits: Logits,
    labels: Labels,
    temperature: float = 1.0,
    threshold: float = 0.5,
    count: int = MOST_MISTAKES,
) -> npt.NDArray[np.int64]:
    """Find the reviews on whose wrong label the model is most set.

    Args:
        logits: (R,) or (R, K) float32; NaN rows are no mistakes.
        labels: (R,) numbers of the true labels.
        temperature: what logits are divided by.
        threshold: the score from which on the positive label is predicted; what is farthest from
            it, in logits, is surest.
        count: how many at most.

    Returns:
        (M,) int64 row numbers, the surest first; of two as sure, the earlier row.
    """
    wrong = np.flatnonzero(has_values(logits) & (decide(logits, temperature, threshold) != labels))
    middle = temperature * math.log(threshold / (1 - threshold)) if logits.ndim == 1 else 0.0
    order = np.argsort(-margins(logits[wrong] - middle), kind="stable")
    return wrong[order[:count]]

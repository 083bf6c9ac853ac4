"""Figures that an accuracy hides: of each class, over all thresholds, and how sure they are.

Legend: R rows, K classes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Classes = npt.NDArray[np.integer[Any]]
Scores = npt.NDArray[np.floating[Any]]


def class_figures(predicted: Classes, truth: Classes, classes: int) -> dict[str, Any]:
    """Compute precision, recall and F1 of each class.

    Args:
        predicted: (R,) numbers of classes, 0 to K - 1.
        truth: (R,) the same.
        classes: K.

    Returns:
        `classes`: for each `precision`, `recall`, `f1` (0 where nothing is right) and `reviews`
        (how many are of it); and `macro_f1`, the mean over the classes that occur on either side,
        None without a row.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if not len(truth):
        empty = {"precision": None, "recall": None, "f1": None, "reviews": 0}
        return {"macro_f1": None, "classes": [dict(empty) for _ in range(classes)]}
    found = precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=0.0
    )
    occur = np.isin(range(classes), np.concatenate((truth, predicted)))
    return {
        "macro_f1": float(found[2][occur].mean()),
        "classes": [
            {"precision": float(p), "recall": float(r), "f1": float(f), "reviews": int(n)}
            for p, r, f, n in zip(*found, strict=True)
        ],
    }


def areas(scores: Scores, truth: Classes) -> dict[str, float | None]:
    """Compute the areas under two curves, which hold for every threshold at once.

    Args:
        scores: (R,) of the second of two classes, or (R, K) of each.
        truth: (R,) numbers of classes.

    Returns:
        `roc_auc`, the probability that a row of a class has a higher score for it than one of
        another (0.5: guessing), and `pr_auc`, the average precision (a class's share: guessing).
        Of more than two classes each is the mean over the classes that occur. None where fewer
        than two classes occur.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    there = np.unique(truth)
    if len(there) < 2:
        return {"roc_auc": None, "pr_auc": None}
    pairs = (
        [(truth == 1, scores)] if scores.ndim == 1 else [(truth == k, scores[:, k]) for k in there]
    )
    return {
        "roc_auc": float(np.mean([roc_auc_score(*pair) for pair in pairs])),
        "pr_auc": float(np.mean([average_precision_score(*pair) for pair in pairs])),
    }


def best_threshold(scores: Scores, truth: Classes) -> float:
    """Find the threshold of the positive label's score at which macro F1 is highest.

    Args:
        scores: (R,) from 0 to 1.
        truth: (R,) 1 positive and 0 negative.

    Returns:
        Half way between two neighbouring scores; of several as good the one nearest to 0.5, which
        it is without a row of each class.
    """
    if len(np.unique(truth)) < 2:
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order].astype(np.float64), truth[order] == 1
    ends = np.flatnonzero(np.diff(ranked) < 0)  # the last row of each score but the lowest
    found = ends + 1  # rows at or above a threshold behind it
    right = np.cumsum(positive)[ends]
    positives = positive.sum()
    negatives = len(positive) - positives
    wrong = found - right
    f1 = 2 * right / (found + positives)
    other = 2 * (negatives - wrong) / (len(positive) - found + negatives)
    thresholds = np.append((ranked[ends] + ranked[ends + 1]) / 2, 0.5)
    merit = np.append((f1 + other) / 2, _macro_f1(ranked >= 0.5, positive))
    best = thresholds[merit >= merit.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _macro_f1(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    sides = ((predicted, truth), (~predicted, ~truth))
    return float(np.mean([2 * (p & t).sum() / max(1, p.sum() + t.sum()) for p, t in sides]))


def majority(truth: Classes) -> int:
    """Return the most frequent class of (R,), R at least 1; the lower number of two as frequent."""
    return int(np.bincount(truth).argmax())

"""How right the labels are and how true the scores, where a column has the truth."""

from collections.abc import Sequence
from typing import Any, Final

from infer.base.interval import interval
from reporter.figures.counts import BINS, Counted, Counts
from reporter.figures.labels import Labels
from reporter.figures.shares import Truth

# The calibration error is told in so many bins, as training tells it.
RELIABILITY_BINS: Final = 15


def truth_figures(counts: Counts, labels: Labels, truth: Truth, column: str) -> dict[str, Any]:
    """Hold predictions and scores against the truth.

    Args:
        counts: of all rows.
        labels: of the predictions.
        truth: value of the truth column → name of a label.
        column: what it is called.

    Returns:
        `column`; `rows` that have both a score and a true label; `accuracy` and its `interval`;
        `majority` (the most frequent true label, and how right it alone is); `macro_f1` and
        `classes`; `confusion`, truth → prediction → rows; `calibration` (bins) and its
        `calibration_error`. None in place of a figure of no rows.
    """
    known = [
        Counted((each.values[0], each.values[1], truth[each.values[2]]), each.rows, each.total)
        for each in counts.by("bin", "prediction", "truth", where="bin IS NOT NULL")
        if each.values[2] in truth
    ]
    confusion: dict[str, dict[str, int]] = {}
    for each in known:
        _, prediction, true = each.values
        row = confusion.setdefault(true, {})
        row[prediction] = row.get(prediction, 0) + each.rows
    rows = sum(each.rows for each in known)
    right = sum(row.get(true, 0) for true, row in confusion.items())
    bins = reliability(known, labels)
    classes = class_figures(confusion, labels)
    occur = [each["f1"] for each in classes if each["reviews"] or each["predicted"]]
    return {
        "column": column,
        "rows": rows,
        "accuracy": right / rows if rows else None,
        "interval": list(interval(right, rows)) if rows else None,
        "majority": _majority(confusion, rows),
        "macro_f1": sum(occur) / len(occur) if occur else None,
        "classes": classes,
        "confusion": confusion,
        "calibration": bins,
        "calibration_error": _calibration_error(bins, rows),
    }


def _majority(confusion: dict[str, dict[str, int]], rows: int) -> dict[str, Any] | None:
    if not rows:
        return None
    sizes = {true: sum(row.values()) for true, row in confusion.items()}
    label = max(sorted(sizes), key=lambda true: sizes[true])
    return {"label": label, "accuracy": sizes[label] / rows}


def class_figures(confusion: dict[str, dict[str, int]], labels: Labels) -> list[dict[str, Any]]:
    """Return of each label `label`, `reviews` (of this truth), `predicted`, and three figures.

    These are `precision`, `recall` and `f1`, 0 where nothing is right.
    """
    predicted: dict[str, int] = {}
    for row in confusion.values():
        for prediction, rows in row.items():
            predicted[prediction] = predicted.get(prediction, 0) + rows
    found = []
    for name in labels.names:
        right = confusion.get(name, {}).get(name, 0)
        true, said = sum(confusion.get(name, {}).values()), predicted.get(name, 0)
        figures = {
            "precision": right / max(1, said),
            "recall": right / max(1, true),
            "f1": 2 * right / max(1, said + true),
        }
        found.append({"label": name, "reviews": true, "predicted": said, **figures})
    return found


def reliability(known: Sequence[Counted], labels: Labels) -> list[dict[str, Any]]:
    """Return, for each of 15 bins of the score, `from`, `to`, `count`, and what is to be equal.

    That is the `mean_score` and the `share_positive`, which without a positive label is the share
    that is right; None where the bin is empty.

    Args:
        known: rows by (bin, prediction, true label).
        labels: of the predictions.
    """
    counts, totals, hits = ([0.0] * RELIABILITY_BINS for _ in range(3))
    for each in known:
        bin_, prediction, true = each.values
        place = int(bin_) * RELIABILITY_BINS // BINS
        counts[place] += each.rows
        totals[place] += each.total
        hits[place] += each.rows if true == (labels.positive or prediction) else 0
    return [
        {
            "from": i / RELIABILITY_BINS,
            "to": (i + 1) / RELIABILITY_BINS,
            "count": int(count),
            "mean_score": total / count if count else None,
            "share_positive": hit / count if count else None,
        }
        for i, (count, total, hit) in enumerate(zip(counts, totals, hits, strict=True))
    ]


def _calibration_error(bins: Sequence[dict[str, Any]], rows: int) -> float | None:
    """Return the mean over the rows of how far their bin's mean score is from its share."""
    if not rows:
        return None
    apart = (
        each["count"] * abs(each["mean_score"] - each["share_positive"])
        for each in bins
        if each["count"]
    )
    return float(sum(apart)) / rows

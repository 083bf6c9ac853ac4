"""Which labels are taken for which, as a table that a person reads."""

import math
from collections.abc import Sequence
from typing import Any, Final

# A table of more labels nobody reads: the pairs that are confused most are shown in its place.
MOST_LABELS: Final = 20
MOST_PAIRS: Final = 30
Counts = Sequence[Sequence[int]]  # K rows, one for each true label, of K counts by prediction


def confusion_rows(
    counts: Counts, labels: tuple[str, ...]
) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return, for each true label, its name and of each prediction the count and the row's share.

    Of too many labels there are no rows; `confused_pairs` has what matters.

    Args:
        counts: by truth and prediction.
        labels: names of the classes.
    """
    if len(labels) > MOST_LABELS:
        return []
    return [
        (label, [(n, n / sum(row) if sum(row) else math.nan) for n in row])
        for label, row in zip(labels, counts, strict=True)
    ]


def confused_pairs(counts: Counts, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return of many labels the pairs that are confused most, the most frequent ones first.

    Args:
        counts: by truth and prediction.
        labels: names of the classes.

    Returns:
        `truth`, `predicted`, `count` and `share` (of the rows of this truth), up to 30; none
        where `confusion_rows` shows all.
    """
    if len(labels) <= MOST_LABELS:
        return []
    pairs: list[dict[str, Any]] = [
        {"truth": labels[i], "predicted": labels[j], "count": count, "share": count / sum(row)}
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if count and i != j
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:MOST_PAIRS]

"""What came out altogether: statuses, labels, how scores are spread, long and short texts."""

from typing import Any

from reporter.figures.counts import BINS, LENGTHS, Counts
from reporter.figures.labels import Labels
from reporter.figures.shares import Part, Truth, parts_by, shares_of

_SHOWN_BINS = 20  # of which each is several of those by which rows are counted


def overall(counts: Counts, labels: Labels) -> dict[str, Any]:
    """Return `rows`, `scored`, `statuses`, the `shares` of the labels and the `scores`.

    Scores are in 20 bins, each with `from`, `to`, `count` and `predictions`: label → rows.
    """
    statuses = {each.values[0]: each.rows for each in counts.by("status")}
    whole = Part()
    for each in counts.by("prediction"):
        if each.values[0] is not None:
            whole.add(each.values[0], each.rows)
    return {
        "rows": sum(statuses.values()),
        "scored": whole.rows,
        "statuses": statuses,
        "shares": shares_of(whole.predictions, labels),
        "scores": _distribution(counts),
    }


def _distribution(counts: Counts) -> list[dict[str, Any]]:
    bins: list[dict[str, int]] = [{} for _ in range(_SHOWN_BINS)]
    for each in counts.by("bin", "prediction", where="bin IS NOT NULL"):
        found, prediction = bins[int(each.values[0]) * _SHOWN_BINS // BINS], each.values[1]
        found[prediction] = found.get(prediction, 0) + each.rows
    return [
        {
            "from": i / _SHOWN_BINS,
            "to": (i + 1) / _SHOWN_BINS,
            "count": sum(found.values()),
            "predictions": found,
        }
        for i, found in enumerate(bins)
    ]


def by_length(counts: Counts, labels: Labels, truth: Truth | None, column: str) -> dict[str, Any]:
    """Return what is said of short and long texts.

    Returns:
        `column`, and `bins` with `from` and `to` (in characters; None: no end), `texts` and, of
        these, `truncated`, and what `Part.figures` has.
    """
    keys = ["len", "prediction", *(["truth"] if truth is not None else [])]
    parts = parts_by(counts.by(*keys, where="len IS NOT NULL"), truth)
    statuses: dict[Any, dict[str, int]] = {}
    for each in counts.by("len", "status", where="len IS NOT NULL"):
        statuses.setdefault(each.values[0], {})[each.values[1]] = each.rows
    ends = [*(edge - 1 for edge in LENGTHS[1:]), None]
    return {
        "column": column,
        "bins": [
            {
                "from": LENGTHS[number],
                "to": ends[number],
                "texts": sum(statuses[number].values()),
                "truncated": statuses[number].get("truncated", 0),
                **part.figures(labels, truth is not None),
            }
            for number, part in parts.items()
        ],
    }

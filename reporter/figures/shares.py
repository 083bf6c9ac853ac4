"""Shares of labels with their intervals: of all rows, of periods, of groups; what moved most.

Legend: rows are those with a score; others have no label.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from infer.base.interval import interval
from reporter.figures.counts import Counted, Counts
from reporter.figures.labels import Labels

# No page shows more, and smaller groups have too few rows to say anything of.
MOST_GROUPS: Final = 1_000
MOST_PERIODS: Final = 400
MOST_LABELS: Final = 20
Truth = Mapping[str, str]


def shares_of(counts: Mapping[str, int], labels: Labels) -> list[dict[str, Any]]:
    """Return of each label its `rows`, its `share` of them, and `low` and `high`, 95 % (Wilson).

    Of many labels these are the 20 most frequent ones.
    """
    rows, names = sum(counts.values()), labels.names
    if len(names) > MOST_LABELS:
        names = tuple(sorted(counts, key=lambda name: -counts[name])[:MOST_LABELS])
    return [
        {"label": name, "rows": counts.get(name, 0), **share_of(counts.get(name, 0), rows)}
        for name in names
    ]


def share_of(part: int, rows: int) -> dict[str, Any]:
    """Return a share with its interval; None where there are no rows."""
    if not rows:
        return {"share": None, "low": None, "high": None}
    low, high = interval(part, rows)
    return {"share": part / rows, "low": low, "high": high}


class Part:
    """Rows that have something in common."""

    def __init__(self) -> None:
        """Begin with none."""
        self.predictions: dict[str, int] = {}
        self.labelled = self.right = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(self.predictions.values())

    def add(self, prediction: str, rows: int, truth: str | None = None) -> None:
        """Add rows of one prediction and one true label, None where it is not known."""
        self.predictions[prediction] = self.predictions.get(prediction, 0) + rows
        if truth is not None:
            self.labelled += rows
            self.right += rows if truth == prediction else 0

    def figures(self, labels: Labels, has_truth: bool) -> dict[str, Any]:
        """Return `rows`, the `shares` of the labels, and how many are right where that is known."""
        found: dict[str, Any] = {"rows": self.rows, "shares": shares_of(self.predictions, labels)}
        if has_truth:
            found["labelled"] = self.labelled
            found["accuracy"] = share_of(self.right, self.labelled)
        return found


def parts_by(counted: Iterable[Counted], truth: Truth | None) -> dict[Any, Part]:
    """Put counts by (something, prediction[, truth]) together by the something."""
    parts: dict[Any, Part] = {}
    for each in counted:
        value, prediction, *true = each.values
        part = parts.setdefault(value, Part())
        if prediction is not None:
            known = truth.get(true[0]) if truth is not None and true[0] is not None else None
            part.add(prediction, each.rows, known)
    return parts


def over_time(
    counts: Counts, labels: Labels, truth: Truth | None, column: str, every: str
) -> dict[str, Any]:
    """Return the shares of the labels in each period.

    Returns:
        `column`, `every`, `periods` (with `period`, and what `Part.figures` has), the latest 400 of
        them; how many there are (`count`); and how many rows are `undated`.
    """
    keys = ["period", "prediction", *(["truth"] if truth is not None else [])]
    parts = parts_by(counts.by(*keys), truth)
    undated = parts.pop(None, Part()).rows
    periods = list(parts)
    return {
        "column": column,
        "every": every,
        "undated": undated,
        "count": len(periods),
        "periods": [
            {
                "period": period_name(period, every),
                **parts[period].figures(labels, truth is not None),
            }
            for period in periods[-MOST_PERIODS:]
        ],
    }


def period_name(begin: date, every: str) -> str:
    """Return what a period is called by its first day: `2024-03-01`, `2024-03`, `2024 Q1`, `2024`.

    A week is called by its Monday.
    """
    if every == "year":
        return f"{begin.year:04}"
    if every == "quarter":
        return f"{begin.year:04} Q{(begin.month + 2) // 3}"
    return begin.isoformat()[:7] if every == "month" else begin.isoformat()


def by_group(
    counts: Counts, labels: Labels, truth: Truth | None, column: str, over: bool
) -> dict[str, Any]:
    """Return the shares of the labels in each group, those that moved most first.

    A group has moved by as much as its share of a label surely differs (95 %) from that of the
    other groups; or, where dates are there, its share in the latest period from that in all before.

    Returns:
        `column`, how many groups there are (`count`), and `groups`, the 1,000 with the most rows:
        `group`, what `Part.figures` has, and `move` (see `_move`).
    """
    keys = ["grp", "prediction", *(["truth"] if truth is not None else [])]
    number, where = counts.most("grp", MOST_GROUPS)
    parts = parts_by(counts.by(*keys, where=where), truth)
    whole = Part()
    for each in counts.by("prediction"):
        if each.values[0] is not None:
            whole.add(each.values[0], each.rows)
    moves = _moves_in_time(counts, labels, where) if over else _moves_apart(parts, whole, labels)
    groups = [
        {"group": group, **part.figures(labels, truth is not None), "move": moves.get(group)}
        for group, part in parts.items()
    ]
    groups.sort(key=lambda group: _by_move(group["move"]), reverse=True)
    return {"column": column, "count": number, "against": "before" if over else "others",
            "groups": groups}  # fmt: skip


def _by_move(move: Mapping[str, Any] | None) -> tuple[float, float]:
    return (move["surely"], abs(move["difference"])) if move else (-1.0, 0.0)


def _moves_apart(
    parts: Mapping[Any, Part], whole: Part, labels: Labels
) -> dict[Any, dict[str, Any]]:
    """Hold each group against all other rows."""
    moves = {}
    for group, part in parts.items():
        rest = {k: n - part.predictions.get(k, 0) for k, n in whole.predictions.items()}
        if (move := _move(rest, part.predictions, labels)) is not None:
            moves[group] = move
    return moves


def _moves_in_time(counts: Counts, labels: Labels, where: str) -> dict[Any, dict[str, Any]]:
    """Hold the latest period of all rows in each group against all before."""
    found = counts.by("grp", "period", "prediction", where=f"period IS NOT NULL AND ({where})")
    found = [each for each in found if each.values[2] is not None]
    latest = max((each.values[1] for each in found), default=None)
    before: dict[Any, dict[str, int]] = {}
    after: dict[Any, dict[str, int]] = {}
    for each in found:
        group, period, prediction = each.values
        rows = (after if period == latest else before).setdefault(group, {})
        rows[prediction] = rows.get(prediction, 0) + each.rows
    moves = {}
    for group in after.keys() & before.keys():
        if (move := _move(before[group], after[group], labels)) is not None:
            moves[group] = move
    return moves


def _move(
    before: Mapping[str, int], after: Mapping[str, int], labels: Labels
) -> dict[str, Any] | None:
    """Return the label whose share differs most surely between two parts.

    Returns:
        `label` (of two the positive one), `before` and `after` (shares), `difference`, its interval
        `low` and `high` (Newcombe 1998, method 10), and `surely`: how far that keeps from 0. None
        where either part has no rows.
    """
    if not (sum(before.values()) and sum(after.values())):
        return None
    two = len(labels.names) == 2
    names = [labels.positive or labels.names[1]] if two else labels.names
    return max(
        (_difference(name, before, after) for name in names),
        key=lambda move: (move["surely"], abs(move["difference"])),
    )


def _difference(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Any]:
    p, q = (share_of(part.get(name, 0), sum(part.values())) for part in (before, after))
    difference = q["share"] - p["share"]
    low = difference - math.hypot(q["share"] - q["low"], p["high"] - p["share"])
    high = difference + math.hypot(q["high"] - q["share"], p["share"] - p["low"])
    return {
        "label": name,
        "before": p["share"],
        "after": q["share"],
        "difference": difference,
        "low": low,
        "high": high,
        "surely": max(0.0, low, -high),
    }

"""Figures of scores as one page, a pure function of what it is given."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from markupsafe import Markup

from infer.base.words import counted
from infer.model.profile import LENGTH_EDGES, UNKNOWN_ENDS
from reporter.frame.confusion import confused_pairs, confusion_rows
from reporter.frame.drawing import Reliability, length_chart, reliability_chart
from reporter.frame.page import excerpt, load_template
from reporter.page.charts import MOST_LINES, pair_chart, score_chart, share_chart

TEMPLATE: Final = "page.html.j2"
# More lines nobody reads; `--json` has all.
MOST_GROUPS: Final = 50
MOST_PERIODS: Final = 60
MOST_LABELS: Final = 6  # with a column of their own in a table
MOST_FILES: Final = 10
MARKED: Final = 400  # characters of a text of which words are marked
STATUSES: Final = {
    "ok": "scored whole",
    "truncated": "scored, its middle left out as it is longer than the model reads",
    "null": "no text at all",
    "empty": "a text without a word",
    "invalid": "not UTF-8",
}


def render_page(figures: Mapping[str, Any]) -> str:
    """Write the page.

    Args:
        figures: as `make_figures` returns them.

    Returns:
        HTML, the same for the same input.
    """
    labels = tuple(figures["labels"])
    truth = figures.get("truth")
    lines = [Reliability("scores", truth["calibration"])] if truth and truth["rows"] else []
    counts = _confusion(truth["confusion"], labels) if truth else []
    shown = [share["label"] for share in _most_frequent(figures["shares"])]
    return load_template("reporter.page", TEMPLATE).render(
        figures=figures,
        labels=labels,
        shown=[label for label in labels if label in shown[:MOST_LABELS]],
        positive=figures["positive"],
        title=_title(figures),
        statuses=STATUSES,
        groups=figures["by"]["groups"][:MOST_GROUPS] if "by" in figures else [],
        periods=figures["over"]["periods"][-MOST_PERIODS:] if "over" in figures else [],
        truth=truth,
        reliability=lines,
        confusion=confusion_rows(counts, labels) if truth else [],
        confused=confused_pairs(counts, labels) if truth else [],
        examples=example_rows(figures["examples"]) if "examples" in figures else None,
        most_files=MOST_FILES,
        explained=any("explained" in row for row in figures.get("examples", {}).get("random", ())),
        charts=_charts(figures, lines, shown),
        drawn=_drawn(figures, shown),
        share_in=_share_in,
    )


def _title(figures: Mapping[str, Any]) -> str:
    files = figures["files"]
    more = f" and {counted(len(files) - 1, 'other file')}" if len(files) > 1 else ""
    return PurePath(files[0]["name"]).name + more


def _most_frequent(shares: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(shares, key=lambda share: -share["rows"])


def _share_in(part: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return a label's share in a period or group, of many labels perhaps not among its first."""
    nothing = {"share": None, "low": None, "high": None, "rows": 0}
    return next((share for share in part["shares"] if share["label"] == label), nothing)


def _drawn(figures: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    """Return the labels whose shares are drawn: of two the positive one."""
    if figures["positive"] is not None:
        return [figures["positive"]]
    return list(shown[:MOST_LINES])


def _confusion(
    confusion: Mapping[str, Mapping[str, int]], labels: tuple[str, ...]
) -> list[list[int]]:
    return [[confusion.get(true, {}).get(label, 0) for label in labels] for true in labels]


def _charts(
    figures: Mapping[str, Any], lines: Sequence[Reliability], shown: Sequence[str]
) -> dict[str, Markup]:
    """Draw what there is to draw."""
    positive = figures["positive"]
    words = ("right", "the prediction")
    if positive is not None:
        words = ("positive", "the positive label")
    charts = {}
    if figures["scored"]:
        negative = figures["labels"][0] if positive is not None else None
        charts["scores"] = score_chart(figures["scores"], negative, words[1])
    if "over" in figures and len(figures["over"]["periods"]) > 1:
        drawn = _drawn(figures, shown)
        names = (
            ["positive"] if positive is not None else [f"label {i + 1}" for i in range(len(drawn))]
        )
        charts["over"] = share_chart(figures["over"]["periods"], drawn, names)
    if lines:
        charts["reliability"] = reliability_chart(lines, *words, "rows")
        if "lengths" in figures:
            bins = _length_bins(figures["lengths"]["bins"])
            charts["length"] = length_chart(
                bins, figures["truth"]["accuracy"], "characters", "rows"
            )
    if "learned" in figures:
        charts |= _learned_charts(figures["learned"])
    return {name: Markup(svg) for name, svg in charts.items()}


def _learned_charts(learned: Mapping[str, Any]) -> dict[str, str]:
    """Draw lengths and unknown tokens of what was scored and of what the model learned from."""
    seen, before = learned["seen"], learned["learned"] or {"lengths": (), "unknown": ()}
    if not sum(seen["lengths"]):
        return {}
    lengths = [str(edge) if edge < 2 else f"{edge}–" for edge in LENGTH_EDGES]
    unknown = ["none", *(f"to {end} %" for end in UNKNOWN_ENDS[1:])]
    return {
        "tokens": pair_chart(
            "tokens", "length in tokens", lengths, before["lengths"], seen["lengths"]
        ),
        "unknown": pair_chart(
            "unknown", "share of unknown tokens", unknown, before["unknown"], seen["unknown"]
        ),
    }


def _length_bins(bins: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the bins that have an accuracy as `length_chart` takes them."""
    return [
        {"from": b["from"], "to": b["to"], "low": b["accuracy"]["low"],
         "high": b["accuracy"]["high"], "accuracy": b["accuracy"]["share"]}
        for b in bins if b["accuracy"]["share"] is not None
    ]  # fmt: skip


def _marks(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a text in parts, where words of it are to be marked as `for` or `against` a label."""
    if (why := row.get("explained")) is None:
        return {}
    text, parts, place = why["text"][:MARKED], [], 0
    for word in why["words"]:
        if word["change"] is not None and place <= word["start"] < word["end"] <= len(text):
            parts.append((text[place : word["start"]], ""))
            kind = "for" if word["change"] > 0 else "against"
            parts.append((text[word["start"] : word["end"]], kind))
            place = word["end"]
    more = "…" if len(why["text"]) > MARKED else ""
    return {"parts": [*parts, (text[place:] + more, "")]}


def example_rows(examples: Mapping[str, Any]) -> dict[str, Any]:
    """Put the text's `excerpt` to each example."""

    def cut(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "excerpt": excerpt(row["text"] or ""), **_marks(row)} for row in rows]

    sure = {label: cut(rows) for label, rows in examples["sure"].items()}
    return {"sure": sure} | {kind: cut(rows) for kind, rows in examples.items() if kind != "sure"}

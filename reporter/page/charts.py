"""The drawings of a report on scores."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from reporter.frame.drawing import (
    FIRST,
    LINES,
    SECOND,
    Rows,
    drawing,
    legend,
    to_svg,
)

# Of more labels, lines cannot be told apart.
MOST_LINES: Final = len(LINES)
_MOST_MARKS: Final = 40  # periods; of more only the line is drawn
_MOST_TICKS: Final = 8


def score_chart(bins: Rows, negative: str | None, scored: str) -> str:
    """Draw how many rows have which score.

    Args:
        bins: of each `from`, `to`, and `predictions`: label → rows.
        negative: the label to tell from the other one by its colour; None: all have one.
        scored: what the score is the probability of.
    """
    with drawing() as figure:
        axes = figure.subplots()
        width = bins[0]["to"] - bins[0]["from"]
        lefts = [b["from"] + 0.05 * width for b in bins]
        below = [b["predictions"].get(negative, 0) for b in bins]
        above = [b["count"] - n for b, n in zip(bins, below, strict=True)]
        shape = {"width": 0.9 * width, "align": "edge"}
        if negative is not None:
            axes.bar(lefts, below, color=SECOND, label="negative predicted", **shape)
        named = "positive predicted" if negative is not None else "rows"
        axes.bar(lefts, above, bottom=below, color=FIRST, label=named, **shape)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.set(xlim=(-0.02, 1.02), xlabel=f"score of {scored}", ylabel="rows")
        axes.grid(visible=False, axis="x")
        if negative is not None:
            legend(figure)
        return to_svg(figure, "scores", f"Rows by score of {scored}")


def share_chart(periods: Rows, labels: Sequence[str], names: Sequence[str]) -> str:
    """Draw the shares of labels over time, with 95 % intervals, above the rows of each period.

    Args:
        periods: of each `period`, `rows` and `shares`.
        labels: whose shares are drawn, four at most.
        names: what each is called in the legend, in fixed words.
    """
    with drawing(height=4.2) as figure:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        places = list(range(len(periods)))
        for label, name, (color, style) in zip(labels, names, LINES, strict=False):
            shares = [_share(period, label) for period in periods]
            middle, low, high = ([share[k] for share in shares] for k in ("share", "low", "high"))
            if len(periods) > _MOST_MARKS:
                style = style[1:]
            top.plot(places, middle, style, color=color, label=name, ms=4, lw=1.3)
            top.fill_between(places, low, high, color=color, alpha=0.2, lw=0)
        top.yaxis.set_major_formatter(PercentFormatter(1.0))
        top.set(ylabel="share of rows")
        below.bar(places, [period["rows"] for period in periods], 0.8, color=FIRST, alpha=0.5)
        below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        below.yaxis.set_minor_formatter(NullFormatter())
        step = -(-len(periods) // _MOST_TICKS)
        ticks = places[::step]
        below.set_xticks(
            ticks, [periods[i]["period"] for i in ticks], rotation=40, ha="right", size=8.5
        )
        below.set(ylabel="rows")
        legend(figure)
        return to_svg(figure, "over", "Shares of labels over time")


def pair_chart(
    name: str, title: str, ticks: Sequence[str], learned: Sequence[int], seen: Sequence[int]
) -> str:
    """Draw two distributions over the same bins side by side.

    Args:
        name: of the drawing.
        title: what the bins are of, in fixed words.
        ticks: what each bin is called, in fixed words and numbers.
        learned: rows of each, of the reviews that validated the model; () where it does not say.
        seen: of what was scored.
    """
    with drawing() as figure:
        axes = figure.subplots()
        pairs = [("validation reviews", learned, SECOND), ("scored here", seen, FIRST)]
        pairs = [(label, counts, color) for label, counts, color in pairs if sum(counts)]
        width = 0.8 / max(1, len(pairs))
        for number, (label, counts, color) in enumerate(pairs):
            lefts = [i - 0.4 + number * width for i in range(len(counts))]
            shares = [count / sum(counts) for count in counts]
            axes.bar(lefts, shares, width, align="edge", color=color, label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xticks(range(len(ticks)), ticks, rotation=40, ha="right", size=8.5)
        axes.set(xlabel=title, ylabel="share of rows")
        axes.grid(visible=False, axis="x")
        legend(figure)
        return to_svg(figure, name, f"Rows by {title}")


def _share(period: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    nothing = {"share": 0.0, "low": 0.0, "high": 0.0}
    return next((share for share in period["shares"] if share["label"] == label), nothing)

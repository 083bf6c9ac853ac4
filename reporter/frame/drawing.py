"""Figures as SVG drawings for a page that is light or dark.

A drawing holds numbers and fixed words, never a string from the data. Its colours are variables of
the page (`--faint`, `--first` to `--fourth` and the text's own), and it refers to nothing outside.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

# matplotlib only knows colours, so it draws with these; `to_svg` puts the variables in.
INK: Final = "#010101"
FAINT: Final = "#020202"
FIRST: Final = "#030303"
SECOND: Final = "#040404"
THIRD: Final = "#050505"
FOURTH: Final = "#060606"
VARIABLES: Final = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    FOURTH: "var(--fourth)",
}
# Lines that are told apart without colours, too.
LINES: Final = ((FIRST, "o-"), (SECOND, "s--"), (THIRD, "^-."), (FOURTH, "D:"))

FLOOR: Final = 0.5  # where a logarithmic scale of counts begins, so that a single one shows
SIZE: Final = (4.4, 3.0)  # inches: small, so that letters are still legible on a telephone
STYLE: Final[Any] = {  # matplotlib's type for this lists every setting of one release
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 10.0,
    "grid.alpha": 0.4,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}
Rows = Sequence[Mapping[str, Any]]


class Reliability(NamedTuple):
    """A line of a reliability chart: its name and its bins, as `analysis.reliability` has them."""

    name: str
    bins: Rows


def reliability_chart(lines: Sequence[Reliability], share: str, scored: str, rows: str) -> str:
    """Draw what share of rows is as the score says, and how many there are.

    Args:
        lines: one, or two to compare; of each bin `from`, `to`, `count`, `mean_score` and
            `share_positive`.
        share: what they should be, `positive` or `right`.
        scored: what the score is the probability of.
        rows: what rows are called, such as `reviews`.
    """
    with drawing(height=4.2) as figure:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.plot((0, 1), (0, 1), color=FAINT, ls=":", label="ideal")
        for number, line in enumerate(lines):
            _reliability(top, below, line, number, len(lines))
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=f"share {share}")
        top.xaxis.set_major_formatter(PercentFormatter(1.0))
        top.yaxis.set_major_formatter(PercentFormatter(1.0))
        # Most scores are near 0 or 1; on a plain scale the bins between them would not show.
        below.set_yscale("log")
        below.set_ylim(bottom=FLOOR)
        below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        below.yaxis.set_minor_formatter(NullFormatter())
        below.set(xlabel=f"score of {scored}", ylabel=rows)
        legend(figure)
        return to_svg(figure, "reliability", f"Share of {rows} that are {share} by score")


def _reliability(top: Axes, below: Axes, line: Reliability, number: int, lines: int) -> None:
    """Add a line to the upper axes and, on its side within each bin, bars to the lower ones."""
    color, style = ((FIRST, "o--"), (SECOND, "s-"))[number]
    filled = [b for b in line.bins if b["count"]]
    scores, shares = [b["mean_score"] for b in filled], [b["share_positive"] for b in filled]
    top.plot(scores, shares, style, color=color, label=line.name, ms=5, lw=1.2)
    width = (line.bins[0]["to"] - line.bins[0]["from"]) / lines
    lefts = [b["from"] + (0.05 + 0.95 * number) * width for b in filled]
    heights = [b["count"] - FLOOR for b in filled]
    below.bar(lefts, heights, 0.95 * width, bottom=FLOOR, align="edge", color=color)


def length_chart(by_length: Rows, accuracy: float, unit: str, rows: str) -> str:
    """Draw the accuracy of short and long texts, with 95 % intervals.

    Args:
        by_length: bins, each with `from`, `to`, `accuracy`, `low` and `high`.
        accuracy: of all rows, 0 to 1.
        unit: of `from` and `to`, such as `tokens`.
        rows: what rows are called, such as `reviews`.
    """
    with drawing() as figure:
        axes = figure.subplots()
        shares = [b["accuracy"] for b in by_length]
        below = [b["accuracy"] - b["low"] for b in by_length]
        above = [b["high"] - b["accuracy"] for b in by_length]
        axes.axhline(accuracy, color=FAINT, ls=":", label=f"all {rows}")
        places = range(len(by_length))
        axes.errorbar(
            places, shares, (below, above), fmt="o", color=FIRST, capsize=3, label="of this length"
        )
        axes.set_xticks(places, [span(b) for b in by_length], rotation=40, ha="right", size=8.5)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlabel=unit, ylabel="accuracy")
        legend(figure)
        return to_svg(figure, "length", f"Accuracy by length in {unit}")


def span(length_bin: Mapping[str, Any]) -> str:
    """Return the lengths of a bin: `12–30`, or `12`, or without an end `500 or more`."""
    low, high = length_bin["from"], length_bin["to"]
    if high is None:
        return f"{low:,} or more"
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


@contextmanager
def drawing(height: float = SIZE[1], width: float = SIZE[0]) -> Iterator[Figure]:
    """Make a figure in a style that neither the machine's settings nor a caller's change."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield Figure(figsize=(width, height), layout="constrained")


def legend(figure: Figure) -> None:
    """Put the legend above the axes, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), handlelength=1.8)


def to_svg(figure: Figure, name: str, title: str) -> str:
    """Return an `<svg>` element: the same bytes for the same figure.

    Args:
        figure: what to write.
        name: another one for each drawing of a page, since marks are referred to by id.
        title: what the drawing shows, for those who do not see it.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # everything has its place now
    for artist in figure.findobj():
        artist.set_clip_on(False)  # nothing reaches out of the axes, and no `url(#…)` is needed
    mpl.rcParams["svg.hashsalt"] = name
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg ") :]  # an XML declaration has no place within a page
    svg = re.sub(r' id="[a-z0-9_.]+_\d+"', "", svg)  # each drawing has an `axes_1`
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)

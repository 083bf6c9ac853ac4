"""Growth: seconds and memory of `sent-score` from 1,000 to 1,000,000 rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.common import Goal, Result, Settings, Table
from benchmarks.material import model_path, short_reviews
from benchmarks.overlap import Whole, score

TITLE = "Growth"
EXPLANATION = (
    "`sent-score` as a whole process with a tiny model (one layer of 8) on generated short "
    "reviews, so that what is not the model weighs most. A line is fitted through all sizes but "
    "the largest, weighted by 1 / seconds; the largest is held against it. Memory: the peak at "
    "the largest size against the peak at the one before it."
)


@dataclass(frozen=True)
class Sizes:
    """Rows: five sizes, or three in the tests."""

    smallest: int
    largest: int
    steps: int = 5


SIZES = {
    "tiny": Sizes(20, 80, 3),
    "quick": Sizes(1_000, 100_000),
    "full": Sizes(1_000, 1_000_000),
}


def measure(settings: Settings) -> Result:
    """Score each size once, smallest first."""
    sizes = settings.sizes("growth", SIZES)
    rows = [int(round(n, -1)) for n in np.geomspace(sizes.smallest, sizes.largest, sizes.steps)]
    largest = short_reviews(rows[-1])
    wholes = []
    for count in rows:
        source = settings.work / f"short-{count}.parquet"
        pq.write_table(largest.slice(0, count), source)
        wholes.append(score(settings, source, model_path(settings, "tiny fp32")))
    return Result(TITLE, EXPLANATION, goals(rows, wholes), (table(rows, wholes),),
                  {"rows": rows, "seconds": [w.seconds for w in wholes]})  # fmt: skip


def goals(rows: list[int], wholes: list[Whole]) -> tuple[Goal, ...]:
    """Return how far the largest size is above the line, and how far memory grew."""
    seconds = np.array([w.seconds for w in wholes])
    slope, start = np.polyfit(rows[:-1], seconds[:-1], 1, w=1 / seconds[:-1])
    expected = start + slope * rows[-1]
    note = f"the line: {start:.2f} s + {1e6 * slope:.1f} s a million rows"
    time = Goal(f"seconds for {rows[-1]:,} rows against the line", 1.10,
                float(seconds[-1] / expected), "lower", floor=1.0, note=note)  # fmt: skip
    peaks = [w.peak_mib for w in wholes]
    measured = peaks[-1] / peaks[-2] if peaks[-1] and peaks[-2] else None
    memory = Goal(f"peak memory, {rows[-1]:,} against {rows[-2]:,} rows", 1.25, measured, "lower",
                  floor=1.0)  # fmt: skip
    return time, memory


def table(rows: list[int], wholes: list[Whole]) -> Table:
    """Show each size."""
    body: list[tuple[Any, ...]] = [
        (count, w.seconds, count / w.seconds, w.peak_mib)
        for count, w in zip(rows, wholes, strict=True)
    ]
    return Table("Sizes", ("rows", "seconds", "reviews/s", "peak MiB"), tuple(body))

"""Growth: seconds and memory of `sent-score` from 1,000 to 10,000,000 rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import pyarrow.parquet as pq

from benchmarks.harness.contract import Goal, Result, Settings, Table
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import Process, score
from benchmarks.harness.reviews import short_reviews
from benchmarks.harness.timing import interleave

TITLE = "Growth"
EXPLANATION = (
    "`sent-score` as a whole process with a tiny model (one layer of 8) on generated short "
    "reviews, so that what is not the model weighs most. A line is fitted through all sizes but "
    "the largest, weighted by 1 / seconds; the largest is held against it. All sizes in turn, and "
    "again; medians. Memory: the peak at the largest size against the peak at the one before it."
)


@dataclass(frozen=True)
class Sizes:
    """Rows, five sizes or three in the tests; rounds."""

    smallest: int
    largest: int
    repeats: int
    steps: int = 5


SIZES = {
    "tiny": Sizes(20, 80, 1, 3),
    "quick": Sizes(1_000, 100_000, 2),
    "full": Sizes(1_000, 10_000_000, 5),
}


def measure(settings: Settings) -> Result:
    """Score all sizes in turn, round after round."""
    sizes = settings.sizes("growth", SIZES)
    rows = [int(round(n, -1)) for n in np.geomspace(sizes.smallest, sizes.largest, sizes.steps)]
    largest = short_reviews(rows[-1])
    sources = [settings.work / f"short-{count}.parquet" for count in rows]
    for count, source in zip(rows, sources, strict=True):
        pq.write_table(largest.slice(0, count), source)
    model = model_path(settings, "tiny fp32")
    tasks = {source.stem: partial(score, settings, source, model) for source in sources}
    runs = list(interleave(tasks, sizes.repeats).values())  # of each size
    seconds = [median([run.seconds for run in of_size]) for of_size in runs]
    peaks = [peak_of(of_size) for of_size in runs]
    raw = {"rows": rows, "seconds": [[run.seconds for run in of_size] for of_size in runs]}
    return Result(
        TITLE, EXPLANATION, goals(rows, seconds, peaks), (table(rows, seconds, peaks),), raw
    )


def peak_of(runs: Sequence[Process]) -> float | None:
    """Return the median peak in MiB, where the system tells it."""
    peaks = [run.peak_mib for run in runs if run.peak_mib]
    return median(peaks) if peaks else None


def goals(rows: list[int], seconds: list[float], peaks: list[float | None]) -> tuple[Goal, ...]:
    """Return how far the largest size is above the line, and how far memory grew."""
    found = np.array(seconds)
    slope, start = np.polyfit(rows[:-1], found[:-1], 1, w=1 / found[:-1])
    expected = start + slope * rows[-1]
    note = f"the line: {start:.2f} s + {1e6 * slope:.1f} s a million rows"
    time = Goal(f"seconds for {rows[-1]:,} rows against the line", 1.10,
                float(found[-1] / expected), "lower", floor=1.0, note=note)  # fmt: skip
    measured = peaks[-1] / peaks[-2] if peaks[-1] and peaks[-2] else None
    memory = Goal(f"peak memory, {rows[-1]:,} against {rows[-2]:,} rows", 1.25, measured, "lower",
                  floor=1.0)  # fmt: skip
    return time, memory


def table(rows: list[int], seconds: list[float], peaks: list[float | None]) -> Table:
    """Show each size."""
    body = [
        (count, taken, count / taken, peak)
        for count, taken, peak in zip(rows, seconds, peaks, strict=True)
    ]
    return Table("Sizes", ("rows", "seconds", "reviews/s", "peak MiB"), tuple(body))

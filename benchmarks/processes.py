"""Worker processes: what they cost in CPU seconds, and how much sooner a job is done."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow.parquet as pq

from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.machine import machine
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import Process, score
from benchmarks.harness.reviews import distinct_reviews
from benchmarks.harness.timing import interleave

TITLE = "Worker processes"
EXPLANATION = (
    "`sent-score` with one process of one thread against two such processes, on generated short "
    "reviews of which none repeats, with a tiny model (one layer of 8), so that what is not the "
    "model weighs most. Of each there is a short run and a long one, in turn; what a long one "
    "takes beyond a short one has no start-up in it. CPU seconds hold on a busy machine too; the "
    "ratio of seconds needs two cores that nobody else uses."
)
COUNTS: Final = (1, 2)
SOONER: Final = 1.8
QUIET: Final = 0.5  # load, beyond which the cores are not ours alone
# Two cores that are busy throughout are 1.8 times as fast where they do 1.11 times the work.
COST: Final = len(COUNTS) / SOONER


@dataclass(frozen=True)
class Sizes:
    """Rows of the short and of the long run, rounds."""

    short: int
    long: int
    repeats: int


SIZES = {
    "tiny": Sizes(20, 60, 1),
    "quick": Sizes(1_000, 200_000, 1),
    "full": Sizes(1_000, 1_000_000, 3),
}


def measure(settings: Settings) -> Result:
    """Score both tables with one process and with two, in turn."""
    load = machine()["load_before"]
    sizes = settings.sizes("processes", SIZES)
    model = model_path(settings, "tiny fp32")
    largest = distinct_reviews(sizes.long)
    sources = {}
    for rows in (sizes.short, sizes.long):
        sources[rows] = settings.work / f"different-{rows}.parquet"
        pq.write_table(largest.slice(0, rows), sources[rows])
    tasks = {
        f"{count}, {rows}": partial(run, settings, source, model, count)
        for count in COUNTS
        for rows, source in sources.items()
    }
    found = interleave(tasks, sizes.repeats)
    one, two = (beyond(found[f"{n}, {sizes.short}"], found[f"{n}, {sizes.long}"]) for n in COUNTS)
    goals: tuple[Goal, ...] = (
        ratio_goal("CPU seconds of two processes against one", COST, two["cpu"], one["cpu"],
                   better="lower", floor=1.0),
        sooner(one, two, load),
    )  # fmt: skip
    rows: tuple[tuple[Any, ...], ...] = tuple(
        (count, rows, *(median(values) for values in figures(found[f"{count}, {rows}"])))
        for count in COUNTS
        for rows in sources
    )
    columns = ("processes", "rows", "seconds", "CPU s", "peak MiB of the first")
    return Result(
        TITLE, EXPLANATION, goals, (Table("Runs", columns, rows),), {"one": one, "two": two}
    )


def run(settings: Settings, source: Path, model: Path, count: int) -> Process:
    """Score with so many processes of one thread."""
    return score(settings, source, model, "--processes", str(count), "--threads", str(count))


def sooner(one: dict[str, list[float]], two: dict[str, list[float]], load: float | None) -> Goal:
    """Return the goal on seconds, not measured where others use the cores.

    One process reads and encodes while its model runs: on more than one core, so that two cannot
    be twice as fast on two cores.
    """
    name = "two processes as fast as one, times"
    if load is None or load > QUIET:
        return Goal(name, SOONER, None, floor=2.0, note=f"the cores were in use, load {load}")
    goal = ratio_goal(name, SOONER, one["seconds"], two["seconds"], floor=2.0)
    cores = median(one["cpu"]) / median(one["seconds"])
    note = f"one process uses {cores:.2f} cores, so {COUNTS[-1] / cores:.2f}x is all there is"
    return replace(goal, note=note)


def beyond(short: list[Process], long: list[Process]) -> dict[str, list[float]]:
    """Return what long runs take beyond short ones."""
    pairs = list(zip(short, long, strict=True))
    return {
        "cpu": [b.cpu_seconds - a.cpu_seconds for a, b in pairs],
        "seconds": [b.seconds - a.seconds for a, b in pairs],
    }


def figures(runs: list[Process]) -> tuple[list[float], ...]:
    """Return the columns of a row of the table, a value a run."""
    return (
        [run.seconds for run in runs],
        [run.cpu_seconds for run in runs],
        [run.peak_mib or 0.0 for run in runs],
    )

"""Worker processes: what they cost in CPU seconds, and how much sooner a job is done."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    "`sent-score` with one process of one thread, on one core and on all, against two such "
    "processes, on generated short reviews of which none repeats, with a tiny model (one layer of "
    "8), so that what is not the model weighs most. Of each there is a short run and a long one, "
    "in turn; what a long one takes beyond a short one has no start-up in it. CPU seconds hold on "
    "a busy machine too; the ratios of seconds need two cores that nobody else uses."
)
# Name → processes, and how many cores there are for them: None for all.
WAYS: Final = {"one on one core": (1, 1), "one": (1, None), "two": (2, None)}
SOONER: Final = 1.8
QUIET: Final = 0.5  # load, beyond which the cores are not ours alone
# Two cores that are busy throughout are 1.8 times as fast where they do 1.11 times the work.
COST: Final = 2 / SOONER


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
        f"{way}, {rows}": partial(run, settings, source, model, way)
        for way in WAYS
        for rows, source in sources.items()
    }
    found = interleave(tasks, sizes.repeats)
    raw = {way: beyond(found[f"{way}, {sizes.short}"], found[f"{way}, {sizes.long}"])
           for way in WAYS}  # fmt: skip
    lines: tuple[tuple[Any, ...], ...] = tuple(
        (way, rows, *(median(values) for values in figures(found[f"{way}, {rows}"])))
        for way in WAYS
        for rows in sources
    )
    columns = ("processes", "rows", "seconds", "CPU s", "peak MiB of the first")
    return Result(TITLE, EXPLANATION, goals(raw, load), (Table("Runs", columns, lines),), raw)


def run(settings: Settings, source: Path, model: Path, way: str) -> Process:
    """Score with so many processes of one thread, on so many cores."""
    count, cores = WAYS[way]
    with on_cores(cores):
        return score(settings, source, model, "--processes", str(count), "--threads", str(count))


@contextmanager
def on_cores(count: int | None) -> Iterator[None]:
    """Let what this thread starts use so many cores, None for all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def goals(raw: Mapping[str, Mapping[str, list[float]]], load: float | None) -> tuple[Goal, ...]:
    """Return the goal on CPU seconds; and those on seconds, not measured where cores are in use.

    One process reads and encodes while its model runs: where it may, on more than one core, so that
    two cannot be twice as fast on two cores.
    """
    alone, one, two = (raw[way] for way in WAYS)
    cost = ratio_goal(
        "CPU seconds of two processes against one", COST, two["cpu"], one["cpu"],
        better="lower", floor=1.0,
    )  # fmt: skip
    names = [f"two processes as fast as {what}, times" for what in ("one on one core", "one")]
    if load is None or load > QUIET:
        note = f"the cores were in use, load {load}"
        return (cost, *(Goal(name, SOONER, None, floor=2.0, note=note) for name in names))
    scaled, sooner = (
        ratio_goal(name, SOONER, way["seconds"], two["seconds"], floor=2.0)
        for name, way in zip(names, (alone, one), strict=True)
    )
    cores = median(one["cpu"]) / median(one["seconds"])
    note = f"one process keeps {cores:.2f} of the two cores busy"
    return cost, scaled, replace(sooner, note=note)


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

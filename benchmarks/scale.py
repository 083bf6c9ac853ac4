"""Scale: what a row costs in CPU seconds, however a job is shared out."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow.parquet as pq

from benchmarks.harness import ROOT
from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import SCORE
from benchmarks.harness.reviews import distinct_reviews
from benchmarks.harness.timing import interleave
from benchmarks.harness.trees import Tree, run_tree

TITLE = "Scale"
EXPLANATION = (
    "One job shared out in every way that docs/cluster.md shows: a folder of files of generated "
    "short reviews of which none repeats, a model of the size of `small` in fp32, one thread a "
    "process. CPU seconds are those of all processes that a way starts. Of each there is a short "
    "run and a long one; what a long one takes beyond a short one has no start-up in it, and what "
    "is left of the short one is start-up."
)
FILES: Final = 8
SHARDS: Final = 4
RECIPES: Final = ROOT / "examples" / "engines"
# What a row may cost beyond one process of `sent-score`.
GOALS: Final = {
    "two processes": 1.11, "shards": 1.05, "Ray tasks": 1.25, "Ray Data": 1.25, "Spark": 1.25,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Rows of the short and of the long run, rounds."""

    short: int
    long: int
    repeats: int


SIZES = {
    "tiny": Sizes(40, 80, 1),
    "quick": Sizes(2_000, 40_000, 1),
    "full": Sizes(2_000, 100_000, 3),
}


@dataclass(frozen=True)
class Way:
    """How a job is shared out.

    Attributes:
        package: what has to be installed for it.
        commands: from source, output and model to the commands that are run one after the other.
    """

    package: str
    commands: Callable[[Path, Path, Path], list[list[object]]]


def command(source: Path, output: Path, model: Path, *options: object) -> list[object]:
    """Return `sent-score` on one thread."""
    return ["-c", SCORE, source, "-o", output, "--model", model, "--device", "cpu", "--threads", 1,
            "--quiet", *options]  # fmt: skip


def shards(source: Path, output: Path, model: Path) -> list[list[object]]:
    """Return a command for each shard."""
    words = command(source, output, model, "--processes", 1)
    return [[*words, "--shard", f"{number}/{SHARDS}"] for number in range(1, SHARDS + 1)]


def recipe(name: str, *options: object, single: bool = False) -> Callable[..., list[list[object]]]:
    """Return what runs a recipe; a single output comes of a glob."""

    def commands(source: Path, output: Path, model: Path) -> list[list[object]]:
        read = source / "*.parquet" if single else source
        return [[RECIPES / f"{name}.py", read, output, "--model", model, *options]]

    return commands


WAYS: Final = {
    "one process": Way("infer", lambda *job: [command(*job, "--processes", 1)]),
    "two processes": Way("infer", lambda *job: [command(*job, "--processes", 2)]),
    "shards": Way("infer", shards),
    "Ray tasks": Way("ray", recipe("ray_shards", "--shards", SHARDS)),
    "Ray Data": Way("ray", recipe("ray_data", "--actors", 1)),
    "Spark": Way("pyspark", recipe("spark")),
    "DuckDB": Way("duckdb", recipe("duckdb_function", single=True)),
    "Polars": Way("polars", recipe("polars_batches", single=True)),
}


def measure(settings: Settings) -> Result:
    """Run every way whose engine is installed on a short and a long job."""
    sizes = settings.sizes("scale", SIZES)
    model = model_path(settings, "small fp32")
    table = distinct_reviews(sizes.long)
    sources = {rows: write_files(settings, table, rows) for rows in (sizes.short, sizes.long)}
    tasks = {
        (name, rows): partial(run, settings, way, source, model)
        for name, way in WAYS.items()
        if importlib.util.find_spec(way.package)
        for rows, source in sources.items()
    }
    named = {f"{name}, {rows}": task for (name, rows), task in tasks.items()}
    runs = dict(zip(tasks, interleave(named, sizes.repeats).values(), strict=True))
    found = {
        name: (runs[name, sizes.short], runs[name, sizes.long])
        for name in WAYS
        if (name, sizes.short) in runs
    }
    cost = {name: beyond(*pair, sizes.long - sizes.short) for name, pair in found.items()}
    raw = {"cpu_seconds_a_million_rows": cost}
    return Result(TITLE, EXPLANATION, goals(cost), (ways_table(found, cost, sizes.short),), raw)


def write_files(settings: Settings, table: Any, rows: int) -> Path:
    """Write the first rows as a folder of files."""
    folder = settings.work / f"scale-{rows}"
    folder.mkdir(exist_ok=True)
    a_file = -(-rows // FILES)
    for number in range(FILES):
        part = table.slice(number * a_file, min(a_file, rows - number * a_file))
        pq.write_table(part, folder / f"part-{number}.parquet")
    return folder


def run(settings: Settings, way: Way, source: Path, model: Path) -> list[Tree]:
    """Run a way once, into an output that is not there yet."""
    output = settings.work / "scale-output"
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)
    commands = way.commands(source, output, model)
    return [run_tree([sys.executable, *map(str, words)], OMP_NUM_THREADS="1") for words in commands]


def cpu_of(trees: list[Tree]) -> float:
    """Return the CPU seconds of all commands of a run."""
    return sum(tree.cpu_seconds for tree in trees)


def beyond(short: list[list[Tree]], long: list[list[Tree]], rows: int) -> list[float]:
    """Return the CPU seconds a million rows, start-up apart, a value a round."""
    pairs = zip(short, long, strict=True)
    return [(cpu_of(b) - cpu_of(a)) / rows * 1e6 for a, b in pairs]


def goals(cost: dict[str, list[float]]) -> tuple[Goal, ...]:
    """Return what a row costs in each way, against one process."""
    found = []
    for name, most in GOALS.items():
        title = f"CPU seconds a row, {name} against one process"
        if name in cost:
            found.append(
                ratio_goal(title, most, cost[name], cost["one process"], better="lower", floor=1.0)
            )
        else:
            note = f"{WAYS[name].package} is not installed"
            found.append(Goal(title, most, None, "lower", floor=1.0, note=note))
    return tuple(found)


def ways_table(
    found: dict[str, tuple[list[list[Tree]], list[list[Tree]]]],
    cost: dict[str, list[float]],
    rows: int,
) -> Table:
    """Show what each way costs."""
    body = []
    for name, (short, long) in found.items():
        a_million = median(cost[name])
        start_up = median([cpu_of(trees) for trees in short]) - a_million * rows / 1e6
        peak = max(tree.peak_mib for trees in long for tree in trees)
        body.append((name, 1e6 / a_million, a_million, start_up, peak))
    columns = ("way", "rows a CPU second", "CPU s a million rows", "start-up, CPU s", "peak MiB")
    note = (
        f"{SHARDS} shards, each with a start-up of its own; Ray and Spark start their own cluster. "
        "Peak: all processes together."
    )
    return Table(f"{FILES} files of short reviews", columns, tuple(body), note)

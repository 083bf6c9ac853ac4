"""Reports: seconds, CPU seconds and memory of `sent-report` on many rows."""

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import SEED
from benchmarks.harness.contract import Goal, Result, Settings, Table
from benchmarks.harness.processes import Process, run_process

TITLE = "Reports"
EXPLANATION = (
    "`sent-report` as a whole process, start-up included, on made-up scores: an id, one of 200 "
    "products, a date in two years, a true label, score, prediction and status. Once nothing is "
    "asked for, once everything but texts: `--by`, `--over`, `--label-column`. Without a text "
    "there are no examples. Medians."
)
SECONDS: Final = 60
MEMORY_MIB: Final = 1_000
REPORT: Final = "from reporter.cli import main; main()"
ALL: Final = ("--by", "product", "--over", "date", "--label-column", "label")
_ROW_GROUP: Final = 1 << 20


@dataclass(frozen=True)
class Sizes:
    """Rows, and how often each report is made."""

    rows: int
    repeats: int


SIZES = {"tiny": Sizes(1_000, 1), "quick": Sizes(1_000_000, 1), "full": Sizes(10_000_000, 3)}


def measure(settings: Settings) -> Result:
    """Make both reports, in turn."""
    sizes = settings.sizes("reports", SIZES)
    source = settings.work / "many-scores.parquet"
    write_scores(source, sizes.rows)
    kinds = {"plain": (), "everything": ALL}
    runs: dict[str, list[Process]] = {name: [] for name in kinds}
    for _ in range(sizes.repeats):
        for name, options in kinds.items():
            output = settings.work / "report.html"
            command = [sys.executable, "-c", REPORT, str(source), "-o", str(output)]
            runs[name].append(run_process([*command, "--overwrite", "--quiet", *options]))
    rows: tuple[tuple[Any, ...], ...] = tuple(
        (name, sizes.rows, median(run.seconds for run in found),
         median(run.cpu_seconds for run in found), peak(found))
        for name, found in runs.items()
    )  # fmt: skip
    last = runs["everything"]
    words = f"a report of {sizes.rows:,} rows by group, over time and against the truth"
    cpu = tuple(run.cpu_seconds for run in last)
    goals = (
        Goal(f"{words}: CPU seconds", SECONDS, median(cpu), "lower", " s", runs=cpu),
        Goal(f"{words}: peak memory", MEMORY_MIB, peak(last), "lower", " MiB"),
    )
    columns = ("report", "rows", "seconds", "CPU seconds", "peak MiB")
    raw = {
        name: [[run.seconds, run.cpu_seconds, run.peak_mib] for run in found]
        for name, found in runs.items()
    }
    return Result(TITLE, EXPLANATION, goals, (Table("Whole processes", columns, rows),), raw)


def peak(runs: list[Process]) -> float:
    """Return the most memory that a run took, in MiB."""
    return max(run.peak_mib or 0.0 for run in runs)


def write_scores(path: Path, rows: int) -> None:
    """Write made-up scores, as many row groups as they need."""
    random = np.random.default_rng(SEED)
    writer = None
    for start in range(0, rows, _ROW_GROUP):
        table = made_up(random, start, min(_ROW_GROUP, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def made_up(random: np.random.Generator, start: int, rows: int) -> pa.Table:
    """Return rows whose scores are true: of those with 0.9 nine in ten are positive."""
    score = 1 / (1 + np.exp(-random.normal(0, 3, rows)))
    status = random.choice(3, rows, p=[0.97, 0.02, 0.01])
    empty = status == 2
    return pa.table(
        {
            "id": pa.array(np.arange(start, start + rows)).cast(pa.string()),
            "product": words(random.integers(0, 200, rows), [f"product {i}" for i in range(200)]),
            "date": pa.array(random.integers(19_700, 20_430, rows, np.int32)).cast(pa.date32()),
            "label": pa.array((random.random(rows) < score).astype(np.int8)),
            "score": pa.array(score.astype(np.float32), mask=empty),
            "prediction": words(score >= 0.5, ["negative", "positive"], empty),
            "status": words(status, ["ok", "truncated", "empty"]),
        }
    )


def words(
    numbers: npt.NDArray[Any], names: list[str], missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return the names that numbers stand for."""
    indices = pa.array(numbers.astype(np.int16), mask=missing)
    return pa.DictionaryArray.from_arrays(indices, names).cast(pa.string())

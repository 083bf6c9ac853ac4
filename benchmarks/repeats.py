"""Texts that repeat: CPU seconds of `sent-score` with and without running equal ones once."""

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import onnx
import pyarrow.parquet as pq

from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import SCORE, run_process, score_command
from benchmarks.harness.reviews import distinct_reviews, repeated_reviews
from benchmarks.harness.timing import interleave
from infer.model.file import read_model_file, stamp

TITLE = "Repeated texts"
EXPLANATION = (
    "CPU seconds of `sent-score` as a whole process, start-up included, on generated short "
    "reviews, against the same with equal texts run as often as they come. The model is `small` in "
    "int8, certified to give a text the same bits whatever stands beside it, so that logits are "
    "kept from window to window. Two tables: the distinct texts over and over in an order that is "
    "drawn, and one in which nothing repeats. In turn, with and without; medians of pairs."
)
GOAL: Final = 1 / 3
COST: Final = 1.02
# Both begin with the same imports, so that start-up is the same.
ONCE: Final = f"""
import numpy as np
import infer.model.scorer as scorer
from infer.model.repeats import Distinct
{SCORE}
"""
# Every row is run, and nothing is remembered.
EACH: Final = f"""
import numpy as np
import infer.model.scorer as scorer
from infer.model.repeats import Distinct
scorer._stands_alone = lambda file, session: False
scorer.distinct = lambda encoded: Distinct(None, np.arange(len(encoded)), np.arange(len(encoded)))
{SCORE}
"""
CODE: Final = {"once": ONCE, "each": EACH}


@dataclass(frozen=True)
class Sizes:
    """Rows of the table that repeats and its distinct texts, rows of the other one, rounds."""

    rows: int
    distinct: int
    different: int
    repeats: int


SIZES = {
    "tiny": Sizes(60, 20, 40, 1),
    "quick": Sizes(50_000, 2_000, 20_000, 1),
    "full": Sizes(1_000_000, 10_662, 100_000, 3),
}


def measure(settings: Settings) -> Result:
    """Score both tables, with and without, in turn."""
    sizes = settings.sizes("repeats", SIZES)
    model = certified(settings)
    tables = {
        "repeating": repeated_reviews(sizes.rows, sizes.distinct),
        "different": distinct_reviews(sizes.different),
    }
    raw: dict[str, dict[str, list[float]]] = {}
    for name, table in tables.items():
        source = settings.work / f"{name}.parquet"
        pq.write_table(table, source)
        # Of the larger table one pair is enough: nothing hangs on two hundredths there.
        rounds = sizes.repeats if name == "different" else 1
        tasks = {way: partial(seconds, settings, way, source, model) for way in CODE}
        raw[name] = interleave(tasks, rounds)
    repeating, different = raw["repeating"], raw["different"]
    goals: tuple[Goal, ...] = (
        ratio_goal(f"{sizes.rows:,} rows of {sizes.distinct:,} distinct texts", GOAL,
                   repeating["once"], repeating["each"], better="lower", floor=0.0),
        ratio_goal(f"{sizes.different:,} rows of which none repeats", COST,
                   different["once"], different["each"], better="lower", floor=1.0),
    )  # fmt: skip
    rows: tuple[tuple[Any, ...], ...] = tuple(
        (name, tables[name].num_rows, *(median(raw[name][way]) for way in CODE)) for name in tables
    )
    columns = ("table", "rows", "CPU s, equal ones once", "CPU s, each run")
    return Result(TITLE, EXPLANATION, goals, (Table("CPU seconds", columns, rows),), raw)


def seconds(settings: Settings, way: str, source: Path, model: Path) -> float:
    """Return the CPU seconds of one run."""
    output = settings.work / f"{source.stem}-{way}-scores.parquet"
    command = score_command(source, output, model, "--device", "cpu")
    command[: command.index(SCORE) + 1] = [sys.executable, "-c", CODE[way]]
    return run_process(command).cpu_seconds


def certified(settings: Settings) -> Path:
    """Return the small int8 model with what its certificate would say of batch-mates."""
    source = model_path(settings, "small int8")
    file = read_model_file(source)
    path = settings.work / f"{source.stem}-certified.onnx"
    card = replace(file.card, parity={**file.card.parity, "batch_mates": 0.0})
    path.write_bytes(stamp(onnx.ModelProto.FromString(file.data), card))
    return path

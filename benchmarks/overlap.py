"""The whole process against the model alone: what reading, encoding and writing cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from benchmarks.batching import run_batches
from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import encode_with, model_path, padded_batches
from benchmarks.harness.processes import Process, score
from benchmarks.harness.reviews import write_reviews
from benchmarks.harness.timing import interleave, timed
from infer.model.file import read_model_file
from infer.model.session import DEFAULT_BATCH_TOKENS, Session

TITLE = "Overlap"
EXPLANATION = (
    "`sent-score` from start to exit, divided by the time that `session.run` alone needs for the "
    "same reviews, sorted as a whole, padded beforehand, in a warm session. The goal is stated for "
    "25,000 reviews; on fewer the start-up weighs more, so the ratio that 25,000 would give is "
    "computed beside it: everything grows with the rows but start-up, which stays."
)
WHOLE = 25_000  # the rows for which the goal is stated
GOALS = {"article fp32": 1.05, "article int8": 1.12}


@dataclass(frozen=True)
class Sizes:
    """Reviews, repeats, and models taken."""

    rows: int
    repeats: int
    models: int = 2


SIZES = {"tiny": Sizes(40, 1, 1), "quick": Sizes(800, 2), "full": Sizes(5_000, 3)}


def measure(settings: Settings) -> Result:
    """Measure each precision, the two sides in turn."""
    sizes = settings.sizes("overlap", SIZES)
    source = write_reviews(settings, "test", sizes.rows)
    goals: list[Goal] = []
    rows: list[tuple[Any, ...]] = []
    raw: dict[str, Any] = {}
    for name in tuple(GOALS)[: sizes.models]:
        wholes, seconds = pairs(settings, name, source, sizes.repeats)
        goals += [one_goal(name, sizes.rows, wholes, seconds)]
        rows.append(stage_row(name, wholes, seconds))
        raw[name] = {**seconds, "stages": [whole.summary["seconds"] for whole in wholes]}
    columns = (
        "model", "process s", "session.run alone s", "start-up s", "read s", "encode s",
        "run s", "write s", "peak MiB",
    )  # fmt: skip
    note = "Medians. Reading and encoding run beside the model; the rest of the job is in line."
    table = Table(f"{sizes.rows:,} reviews, where the time goes", columns, tuple(rows), note)
    return Result(TITLE, EXPLANATION, tuple(goals), (table,), raw)


def pairs(
    settings: Settings, name: str, source: Path, repeats: int
) -> tuple[list[Process], dict[str, list[float]]]:
    """Run the process and the model alone in turn."""
    model = model_path(settings, name)
    file = read_model_file(model)
    session = Session(file.data, settings.device, precision=file.card.precision)
    texts = pq.read_table(source)["text"].combine_chunks()
    batches = padded_batches(encode_with(model, texts), DEFAULT_BATCH_TOKENS[session.provider])
    run_batches(session, batches[:: max(1, len(batches) // 4)])

    def alone() -> float:
        time.sleep(0.2)  # the other side's threads have come to rest
        return timed(lambda: run_batches(session, batches))

    tasks: dict[str, Callable[[], Any]] = {
        "process": lambda: score(settings, source, model), "alone": alone,
    }  # fmt: skip
    found = interleave(tasks, repeats)
    wholes = found["process"]
    return wholes, {**found, "process": [whole.seconds for whole in wholes]}


def one_goal(name: str, rows: int, wholes: list[Process], seconds: dict[str, list[float]]) -> Goal:
    """Return the goal for one precision, brought to 25,000 rows where fewer were scored."""
    if rows >= WHOLE:
        return ratio_goal(f"{name}, {rows:,} reviews", GOALS[name], seconds["process"],
                          seconds["alone"], better="lower", floor=1.0)  # fmt: skip
    larger = WHOLE / rows
    processes = [w.start_up + (w.seconds - w.start_up) * larger for w in wholes]
    alone = [s * larger for s in seconds["alone"]]
    measured = median([p / a for p, a in zip(seconds["process"], seconds["alone"], strict=True)])
    return ratio_goal(
        f"{name}, brought to {WHOLE:,} reviews", GOALS[name], processes, alone, better="lower",
        floor=1.0, note=f"{measured:.3f}x measured on {rows:,}, start-up included",
    )  # fmt: skip


def stage_row(name: str, wholes: list[Process], seconds: dict[str, list[float]]) -> tuple[Any, ...]:
    """Return the medians of the stages."""
    stages = [
        median([float(w.summary["seconds"][stage]) for w in wholes])
        for stage in ("read", "encode", "run", "write")
    ]
    peaks = [w.peak_mib for w in wholes if w.peak_mib is not None]
    start_up = median([w.start_up for w in wholes])
    return (
        name, median(seconds["process"]), median(seconds["alone"]), start_up, *stages,
        max(peaks, default=None),
    )  # fmt: skip

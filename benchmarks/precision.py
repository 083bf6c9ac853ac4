"""int8 against fp32 on the CPU: end to end, and whether the labels stay."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import is_trained, model_path
from benchmarks.harness.processes import score
from benchmarks.harness.reviews import write_reviews
from benchmarks.harness.timing import interleave

TITLE = "int8 on the CPU"
EXPLANATION = (
    "`sent-score` as a whole process with the int8 and the fp32 file of one model, in turn on the "
    "same reviews. Labels and accuracy are compared where a trained model is given "
    "(`--model`, `--small-model`): random weights decide nothing."
)
PAIRS = ("article", "small")


@dataclass(frozen=True)
class Sizes:
    """How many reviews.

    Attributes:
        article: in each timed run of the article's size.
        small: in each timed run of the small model.
        repeats: rounds.
        compared: whose labels are compared.
        models: take so many models.
    """

    article: int
    small: int
    repeats: int
    compared: int
    models: int = 2


SIZES = {
    "tiny": Sizes(40, 40, 1, 40, 1),
    "quick": Sizes(400, 3_000, 2, 2_000),
    "full": Sizes(2_500, 12_000, 3, 25_000),
}


def measure(settings: Settings) -> Result:
    """Time both precisions of each model; compare labels where the model is trained."""
    sizes = settings.sizes("precision", SIZES)
    goals: list[Goal] = []
    tables: list[Table] = []
    raw: dict[str, Any] = {}
    for size in PAIRS[: sizes.models]:
        source = write_reviews(settings, "test", getattr(sizes, size))
        seconds = timings(settings, size, source, sizes.repeats)
        goals += [speed_goal(size, seconds)] if size == "article" else []
        raw[size] = seconds
        tables.append(speed_table(size, getattr(sizes, size), seconds))
        goals += label_goals(settings, size, sizes.compared)
    return Result(TITLE, EXPLANATION, tuple(goals), tuple(tables), raw)


def timings(settings: Settings, size: str, source: Path, repeats: int) -> dict[str, list[float]]:
    """Return seconds of the two processes, and of `session.run` within them."""
    tasks = {
        name: partial(score, settings, source, model_path(settings, f"{size} {name}"))
        for name in ("fp32", "int8")
    }
    runs = interleave(tasks, repeats)
    seconds = {name: [whole.seconds for whole in wholes] for name, wholes in runs.items()}
    inside = {f"{name} run": [float(whole.summary["seconds"]["run"]) for whole in wholes]
              for name, wholes in runs.items()}  # fmt: skip
    return {**seconds, **inside}


def speed_goal(size: str, seconds: dict[str, list[float]]) -> Goal:
    """Return how many times fp32's speed int8 has; the floor is the kernels' own ratio.

    The goal is stated for the article's size; the small model is in the table.
    """
    kernels = median(seconds["fp32 run"]) / median(seconds["int8 run"])
    return ratio_goal(
        f"int8 against fp32 end to end, {size} model", 2.2, seconds["fp32"], seconds["int8"],
        floor=kernels, note="floor: the ratio within session.run",
    )  # fmt: skip


def speed_table(size: str, rows: int, seconds: dict[str, list[float]]) -> Table:
    """Show both in reviews a second."""
    first = median(seconds["fp32"])
    body = tuple(
        (name, rows / median(seconds[name]), rows / median(seconds[f"{name} run"]),
         first / median(seconds[name]))
        for name in ("fp32", "int8")
    )  # fmt: skip
    columns = ("precision", "reviews/s, process", "reviews/s, session.run", "times fp32")
    return Table(f"{size} model, {rows:,} reviews", columns, body)


def label_goals(settings: Settings, size: str, rows: int) -> list[Goal]:
    """Return how many labels agree and what accuracy is lost, on reviews with labels."""
    agreement = f"labels that agree, {size} model"
    loss = f"accuracy lost (points), {size} model"
    if not is_trained(settings, size):
        option = "--model" if size == "article" else "--small-model"
        note = f"needs a trained model: {option}"
        return [
            Goal(agreement, 99.5, None, "higher", "%", 100.0, note=note),
            Goal(loss, 0.1, None, "lower", "", 0.0, note=note),
        ]
    source = write_reviews(settings, "test", rows)
    truth = pq.read_table(source)["label"].to_numpy() == 1
    found = {name: predicted(settings, source, f"{size} {name}") for name in ("fp32", "int8")}
    right = {name: 100 * float(np.mean(labels == truth)) for name, labels in found.items()}
    same = 100 * float(np.mean(found["fp32"] == found["int8"]))
    note = f"{len(truth):,} reviews; fp32 {right['fp32']:.2f} %, int8 {right['int8']:.2f} %"
    return [
        Goal(agreement, 99.5, same, "higher", "%", 100.0, note=note),
        Goal(loss, 0.1, right["fp32"] - right["int8"], "lower", "", 0.0, note=note),
    ]


def predicted(settings: Settings, source: Path, name: str) -> Any:
    """Score and return which rows came out positive: (R,) bool."""
    model = model_path(settings, name)
    summary = score(settings, source, model).summary
    scores = pq.read_table(summary["files"][0]["output"])["score"].to_numpy()
    return scores >= 0.5

"""Start-up: one row against what has to be imported and loaded anyway; `--help` against Click."""

import sys
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import model_path
from benchmarks.harness.processes import run_process, score_command
from benchmarks.harness.reviews import write_reviews
from benchmarks.harness.timing import interleave

TITLE = "Start-up"
EXPLANATION = (
    "Whole processes in turn, the files in the system's cache. `sent-score` on one row against a "
    "process that imports spaCy, ONNX Runtime and pyarrow and makes a session of the same model, "
    "once as it comes (spaCy loads torch where it is installed) and once without torch, which is "
    "what `sent-score` needs; `--help` of each command against a process that imports Click."
)
FLOOR = """
import sys
import pyarrow.parquet, spacy, onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None" + FLOOR
FLOORS = {"imports and a session": FLOOR, "the same without torch": WITHOUT_TORCH}
HELP = {"sent-score": "infer", "sent-train": "trainer", "sent-export": "exporter"}


@dataclass(frozen=True)
class Sizes:
    """Repeats."""

    repeats: int


SIZES = {"tiny": Sizes(1), "quick": Sizes(3), "full": Sizes(15)}


def measure(settings: Settings) -> Result:
    """Run all of them in turn."""
    sizes = settings.sizes("startup", SIZES)
    model = model_path(settings, "article fp32")
    row, scores = write_reviews(settings, "test", 1), settings.work / "one.parquet"
    python = sys.executable
    commands = {
        "sent-score, one row": score_command(row, scores, model, "--device", "cpu"),
        **{name: [python, "-c", code, str(model)] for name, code in FLOORS.items()},
        **{f"{name} --help": [python, "-c", f"from {package}.cli import main; main()", "--help"]
           for name, package in HELP.items()},
        "import click": [python, "-c", "import click"],
    }  # fmt: skip
    tasks = {name: partial(run_process, command) for name, command in commands.items()}
    if sizes.repeats > 1:
        interleave(tasks, 1)  # compiled and cached
    runs = interleave(tasks, sizes.repeats)
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    table = Table(
        "Whole processes", ("process", "seconds"), tuple((n, median(s)) for n, s in seconds.items())
    )
    return Result(TITLE, EXPLANATION, goals(seconds), (table,), {"seconds": seconds})


def goals(seconds: dict[str, list[float]]) -> tuple[Goal, ...]:
    """Return the goals: one row, and each command's help."""
    pairs = [("sent-score, one row", name, 1.3) for name in FLOORS]
    pairs += [(f"{name} --help", "import click", 3.0) for name in HELP]
    return tuple(
        ratio_goal(f"{a} against {b}", goal, seconds[a], seconds[b], better="lower", floor=1.0)
        for a, b, goal in pairs
    )

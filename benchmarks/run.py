"""Run the benchmarks: `python -m benchmarks.run quick|full [--only NAME …]`.

Each runs in a process of its own, one after another. `quick` takes some four minutes and writes
to artifacts/benchmarks/, `full` some twenty-five and writes to benchmarks/results/, from which
`python -m benchmarks.report` makes the documents.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.harness import BENCHMARKS, RESULTS, ROOT
from benchmarks.harness.contract import MODEL_OPTIONS, Settings
from benchmarks.harness.formats import goal_line
from benchmarks.harness.machine import machine
from benchmarks.harness.record import write_result
from benchmarks.harness.reviews import data_name, find_data

QUICK_RESULTS = ROOT / "artifacts" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a benchmark failed."""
    given = parse(arguments)
    failed = []
    with tempfile.TemporaryDirectory(prefix="sent-benchmarks-") as work:
        settings = settings_of(given, Path(work))
        for name in given.only or BENCHMARKS:
            print(f"{name} …", flush=True)
            try:
                print_goals(run_apart(name, settings, given.results))
            except Exception:
                traceback.print_exc()
                failed.append(name)
    if given.mode != "full":
        print("Small sizes: start-up weighs more, and ratios are worse, than in `full`.")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("mode", choices=("tiny", "quick", "full"))
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=[],
                        help=f"of {', '.join(BENCHMARKS)}")  # fmt: skip
    parser.add_argument("--data", type=Path, help="folder with IMDB's train.parquet and "
                        "test.parquet (default: $SENT_IMDB, ../shared/data/imdb, or generated "
                        "reviews)")  # fmt: skip
    for name, option in MODEL_OPTIONS.items():
        parser.add_argument(f"--{option}", dest=name, type=Path, help="a trained model file")
    parser.add_argument("--device", default="cpu", help="for batching: cpu or cuda[:N]")
    parser.add_argument("--results", type=Path, help="where the JSON goes")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME.FIELD=N",
                        help="change a size, such as overlap.rows=25000")  # fmt: skip
    given = parser.parse_args(arguments)
    if given.results is None:
        given.results = RESULTS if given.mode == "full" else QUICK_RESULTS
    return given


def settings_of(given: argparse.Namespace, work: Path) -> Settings:
    """Return the settings that a command line stands for."""
    models = {name: getattr(given, name) for name in MODEL_OPTIONS}
    return Settings(
        mode=given.mode,
        work=work,
        data=find_data(given.data),
        models={name: path.resolve() for name, path in models.items() if path is not None},
        device=given.device,
        overrides={name: int(value) for name, _, value in (s.partition("=") for s in given.set)},
    )


def run_apart(name: str, settings: Settings, results: Path) -> Path:
    """Run one benchmark in a process of its own; a crash is an error like any other."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run_one, name, settings, results).result()


def run_one(name: str, settings: Settings, results: Path) -> Path:
    """Measure one benchmark and write its JSON."""
    module: Any = importlib.import_module(f"benchmarks.{name}")
    about: dict[str, Any] = {"machine": machine(), "data": data_name(settings)}
    start = time.perf_counter()
    result = module.measure(settings)
    about["seconds"] = round(time.perf_counter() - start, 1)
    label = file_name(name, settings.device).removesuffix(".json")
    return write_result(result, label, settings, results, about)


def file_name(name: str, device: str) -> str:
    """Return the name of a benchmark's JSON; one on a GPU has its own."""
    return f"{name}.json" if device == "cpu" else f"{name}-{device.partition(':')[0]}.json"


def print_goals(path: Path) -> None:
    """Say what was found, for whoever waits."""
    body = json.loads(path.read_text(encoding="utf-8"))
    for goal in body["goals"]:
        print(f"  {goal_line(goal)}")
    print(f"  {body['seconds']:.0f} s → {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

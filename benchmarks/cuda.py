"""What only a GPU can show, as one command: `python -m benchmarks.cuda`.

It ends within `--limit` seconds, finished or not, and needs onnxruntime-gpu, spaCy, pytest, PyTorch
with CUDA for the last parts, and the repository on PYTHONPATH. Each part runs in a process of its
own, has a bound in time and fails alone: its error is recorded and the rest goes on. The JSON is
written after each part. `--device cpu --quick` runs the same code where there is no GPU.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.cuda_parts import PARTS, Context
from benchmarks.harness import RESULTS, ROOT, SEED
from benchmarks.harness.cuda_page import cuda_document
from benchmarks.harness.machine import commit, machine, versions
from benchmarks.harness.record import write_json
from benchmarks.harness.reviews import data_name, find_data

LIMIT: Final = 240.0  # seconds for everything; a part that would start later is left out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, write the JSON, print the table; 1 if a part failed."""
    given = parse(arguments)
    if given.part:
        return run_inside(given)
    with tempfile.TemporaryDirectory(prefix="sent-cuda-") as work:
        given.work = given.work or Path(work)
        body = about(given)
        for name, part in run_parts(given):
            body["parts"][name] = part
            if given.out is not None:
                write_json(given.out, body)
    print(cuda_document(json.loads(json.dumps(body))))
    return 1 if any(wrong(part) for part in body["parts"].values()) else 0


def about(given: argparse.Namespace) -> dict[str, Any]:
    """Return what is said of the whole run, its parts still empty."""
    return {
        "benchmark": "cuda",
        "device": given.device,
        "quick": given.quick,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": SEED,
        "data": data_name(context_of(given)),
        "machine": machine(),
        "versions": versions(),
        "parts": {},
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu (default: cuda)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--data", type=Path, help="IMDB's folder, or its test.parquet "
                        "(default: as benchmarks.run, else generated reviews)")  # fmt: skip
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds (default: {LIMIT:g})")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", default=[],
                        help=f"of {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, help="the JSON (default on a GPU: "
                        "benchmarks/results/cuda.json)")  # fmt: skip
    parser.add_argument("--in-process", action="store_true", help="no process for each part")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.data is not None and given.data.is_file():
        given.data = given.data.parent
    if given.out is None and given.device != "cpu" and not given.quick:
        given.out = RESULTS / "cuda.json"
    return given


def context_of(given: argparse.Namespace) -> Context:
    """Return what the parts are told."""
    return Context(
        mode="tiny" if given.quick else "full",
        work=given.work or Path(),
        data=find_data(given.data),
        device=given.device,
    )


def run_parts(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run each part, whatever becomes of the others, and yield what it gave."""
    began = time.perf_counter()
    for name in given.only or PARTS:
        start = time.perf_counter()
        left = min(PARTS[name].seconds, given.limit - (start - began))
        if left <= 0:
            part: dict[str, Any] = {"error": f"not started: {given.limit:.0f} s were over"}
        else:
            part = run_here(name, given) if given.in_process else run_apart(name, given, left)
        part["seconds"] = time.perf_counter() - start
        said = wrong(part) or "done"
        print(f"{name}: {said} ({part['seconds']:.0f} s)", file=sys.stderr, flush=True)
        yield name, part


def wrong(part: dict[str, Any]) -> str | None:
    """Return in a line why a part failed, None where it did not."""
    if "error" in part:
        return str(part["error"]).strip().splitlines()[-1]
    return "; ".join(part["result"]["failed"]) or None


def run_here(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run a part in this process."""
    try:
        return {"result": PARTS[name].measure(context_of(given))}
    except Exception:
        return {"error": traceback.format_exc(limit=-6)}


def run_apart(name: str, given: argparse.Namespace, limit: float) -> dict[str, Any]:
    """Run a part in a process of its own; a crash is an error like any other."""
    command = [sys.executable, "-m", "benchmarks.cuda", "--part", name, "--device", given.device,
               "--work", str(given.work)]  # fmt: skip
    command += ["--quick"] if given.quick else []
    command += ["--data", str(given.data.resolve())] if given.data is not None else []
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as process:  # fmt: skip
        try:
            stdout, stderr = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # what it has started too
            return {"error": f"stopped after {limit:.0f} s"}
    try:
        found: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"exit {process.returncode}: {stderr[-2_000:]}"}
    return found


def run_inside(given: argparse.Namespace) -> int:
    """Run one part and print what it found as the last line."""
    print(json.dumps(run_here(given.part, given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What only a GPU can show, as one command: `python -m benchmarks.cuda`.

It ends within 8 minutes, finished or not. It needs PyTorch with CUDA, onnxruntime-gpu, spaCy and
the repository on PYTHONPATH. Each part runs in a process of its own and fails alone: its error is
recorded and the rest goes on. `--device cpu --quick` runs the same code where there is no GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.common import RESULTS, ROOT, SEED, commit, machine, versions, write_json
from benchmarks.cuda_parts import PARTS, Context
from benchmarks.material import data_name, find_data
from benchmarks.report_cuda import cuda_document

LIMIT: Final = 450.0  # seconds for everything; parts that would start later are left out
NO_TF32: Final = {"NVIDIA_TF32_OVERRIDE": "0"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, write the JSON, print the table; 1 if a part failed."""
    given = parse(arguments)
    if given.part:
        return run_inside(given)
    with tempfile.TemporaryDirectory(prefix="sent-cuda-") as work:
        given.work = Path(work)
        parts = run_parts(given)
    body = {
        "benchmark": "cuda",
        "device": given.device,
        "quick": given.quick,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": SEED,
        "data": data_name(context_of(given)),
        "trained": given.checkpoint is not None,
        "machine": machine(),
        "versions": versions(),
        "parts": parts,
    }
    if given.out is not None:
        write_json(given.out, body)
    print(cuda_document(json.loads(json.dumps(body))))
    return 1 if any("error" in part for part in parts.values()) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu (default: cuda)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--data", type=Path, help="IMDB's folder, or its test.parquet "
                        "(default: as benchmarks.run, else generated reviews)")  # fmt: skip
    parser.add_argument("--checkpoint", type=Path, help="trained weights (default: random ones)")
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
        checkpoint=given.checkpoint.resolve() if given.checkpoint else None,
    )


def run_parts(given: argparse.Namespace) -> dict[str, Any]:
    """Run each part, whatever becomes of the others."""
    parts: dict[str, Any] = {}
    began = time.perf_counter()
    for name in given.only or PARTS:
        left = LIMIT - (time.perf_counter() - began)
        if left <= 0:
            parts[name] = {"error": f"not started: {LIMIT:.0f} s were over", "seconds": 0.0}
            continue
        start = time.perf_counter()
        parts[name] = run_here(name, given) if given.in_process else run_apart(name, given, left)
        parts[name]["seconds"] = time.perf_counter() - start
        error = parts[name].get("error")
        print(f"{name}: {error.splitlines()[-1] if error else 'done'} "
              f"({parts[name]['seconds']:.0f} s)", file=sys.stderr, flush=True)  # fmt: skip
    return parts


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
    for option in ("data", "checkpoint"):
        if (value := getattr(given, option)) is not None:
            command += [f"--{option}", str(value.resolve())]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    env = {**os.environ, "PYTHONPATH": path, **(NO_TF32 if PARTS[name].no_tf32 else {})}
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True,
                              timeout=limit, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {limit:.0f} s"}
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"exit {done.returncode}: {done.stderr[-2_000:]}"}
    return found


def run_inside(given: argparse.Namespace) -> int:
    """Run one part and print what it found as the last line."""
    print(json.dumps(run_here(given.part, given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

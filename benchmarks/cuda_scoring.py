"""CUDA evidence on scoring: the shipped model, without PyTorch in the process."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cuda_parts import Context, Found, found
from benchmarks.harness.contract import Goal, Table
from benchmarks.harness.processes import Process, run_process, score_command
from benchmarks.harness.processes import score as score_whole
from benchmarks.harness.reviews import generated, reviews
from exporter.parity.difference import Difference, find_problems, measure_difference
from exporter.parity.tolerance import Tolerance, tolerance_for
from infer.model.cuda import cuda_problem, library_folders, wheel_conflict
from infer.model.file import ModelFile, read_model_file
from infer.model.session import OutOfMemoryError, Session
from infer.model.shipped import find_model
from infer.text.batching import Logits, Rows, run_in_batches
from infer.text.encoding import EncodedTexts, Encoder

BUDGETS: Final = (262_144, 131_072, 524_288, 1_048_576, 65_536)
AT_ONCE: Final = (1, 2, 3)
SWEEP_SECONDS: Final = 30  # nothing of the sweep is begun later
AGAIN_SECONDS: Final = 30  # a run that took longer is not made twice
GPU_TESTS: Final = (
    "tests/infer/model/test_session.py", "tests/trainer/network/test_device.py",
    "tests/trainer/run/test_train.py", "tests/exporter/test_pipeline.py",
)  # fmt: skip


def host(context: Context) -> Found:
    """Describe card, driver and builds."""
    facts = {
        "ONNX Runtime's providers": ", ".join(ort.get_available_providers()),
        "why CUDA would not work": cuda_problem() or "it works",
        "wheels": wheel_conflict() or "no conflict",
        "folders of NVIDIA's wheels": ", ".join(map(str, library_folders())) or "none",
    }
    if context.is_cuda:
        queries = ("name", "memory.total", "memory.free", "compute_cap", "driver_version")
        facts |= {query: nvidia_smi(query, context.device) or "unknown" for query in queries}
    table = Table("Host", ("what", "found"), tuple(facts.items()))
    failed = [facts["why CUDA would not work"]] if context.is_cuda and cuda_problem() else []
    return found(table, failed=failed, **facts)


def nvidia_smi(query: str, device: str) -> str | None:
    """Ask nvidia-smi for one value."""
    if shutil.which("nvidia-smi") is None:
        return None
    index = device.partition(":")[2] or "0"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "-i", index]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() or None


@cache
def shipped() -> ModelFile:
    """Return the shipped model `imdb`."""
    return read_model_file(find_model("imdb")[0])


def score(context: Context) -> Found:
    """Score the test reviews by one `sent-score --device cuda`, and count the labels it has right.

    A GPU that answers, but wrongly, gives about half of them: that fails.
    """
    table = reviews(context, "test", context.pick(40, 25_000))
    source = context.work / "test.parquet"
    pq.write_table(table, source)
    row = one_run(context, source)
    output = context.work / f"scores-{source.stem}-{shipped().path.stem}.parquet"
    scores = pq.read_table(output)["score"].to_numpy()
    accuracy = float(np.mean((scores > 0.5) == (table["label"].to_numpy() == 1)))
    wrong = [] if spread(scores) else [f"all {len(scores):,} scores are alike"]
    if context.data is not None and accuracy < 0.85:
        wrong.append(f"{accuracy:.2%} of the labels are right, expected at least 85 %")
    goal = Goal("accuracy on the test reviews, on the device", 91, 100 * accuracy, unit="%")
    body = Table(f"{len(table):,} reviews, first run", tuple(row), (tuple(row.values()),))
    return found(goal, body, failed=wrong, accuracy=accuracy, run=row)


def spread(values: Logits) -> bool:
    """Whether scores or logits tell one review from another."""
    return len(np.unique(values)) > max(1, len(values) // 10)


def parity(context: Context) -> Found:
    """Compare the shipped model's logits on the device with the CPU's, TF32 and not.

    The CPU takes the first reviews only, which are a sample: it is a hundred times slower.
    """
    file = shipped()
    table = reviews(context, "test", context.pick(40, 25_000))
    truth = table["label"].to_numpy() == 1
    encoded = encode(table["text"])
    on_cpu = Session(file.data, "cpu", precision=file.card.precision)
    few = context.pick(40, 8_000)
    logits, _ = logits_of(on_cpu, encoded, on_cpu.batch_tokens, np.arange(few))
    expected = logits[:few]
    rows, failed = [parity_row(on_cpu.label, expected, truth[:few], None)], []
    for tf32 in (True, False):
        session = Session(file.data, context.device, precision=file.card.precision, tf32=tf32)
        logits, _ = logits_of(session, encoded, session.batch_tokens)
        apart = measure_difference(expected, logits[:few], encoded.lengths)
        # Both sides read the same weights: what holds is fp32's bound, whatever they are stored in.
        bounds = tolerance_for("fp32", session.provider, session.tf32)
        rows.append(parity_row(session.label, logits, truth, apart))
        problems = parity_problems(expected, logits[:few], apart, bounds)
        failed += [f"{session.label}: {problem}" for problem in problems]
    columns = ("where", "reviews", "right, %", "largest difference", "mean", "labels flipped")
    goal = Goal("bounds broken against the CPU", 0, len(failed), "lower", "", 0)
    body = Table(f"Differences over {few:,} reviews", columns, tuple(rows))
    return found(goal, body, failed=failed)


def parity_problems(
    expected: Logits, logits: Logits, apart: Difference, bounds: Tolerance
) -> list[str]:
    """Say which bounds are broken; logits that are all alike break one too."""
    problems = find_problems(expected, logits, apart, bounds)
    if apart.flips > bounds.flips_allowed(apart.rows):
        problems.append(f"{apart.flips} labels changed")
    if not spread(logits):
        problems.append("the logits are all alike")
    return problems


def parity_row(
    where: str, logits: Logits, truth: npt.NDArray[np.bool_], apart: Difference | None
) -> tuple[Any, ...]:
    """Return a row of the table; differences in scientific notation."""
    right = 100 * float(np.mean((logits > 0) == truth))
    if apart is None:
        return (where, len(logits), right, "", "", "")
    gaps = apart.logit_absolute
    return (where, len(logits), right, f"{gaps.maximum:.1e}", f"{gaps.mean:.1e}", str(apart.flips))


def encode(texts: pa.ChunkedArray) -> EncodedTexts:
    """Encode texts as the shipped model reads them."""
    return Encoder(shipped().card.text, shipped().card.vocabulary).encode(texts.combine_chunks())


def logits_of(
    session: Session, encoded: EncodedTexts, budget: int, rows: Rows | None = None
) -> tuple[Logits, float]:
    """Run rows (None: all) in batches, as many side by side as the session allows.

    Padding counts, as in `sent-score`; a batch for which there is no room raises.

    Returns:
        The logits (R,), NaN for the rows left out, and the seconds.
    """
    began = time.perf_counter()
    with session.side_by_side() as executor:
        logits = run_in_batches(encoded, budget, session.run, rows, executor.map)
    return logits, time.perf_counter() - began


def sweep(context: Context) -> Found:
    """Run the model alone at each budget, with one, two and three batches at once."""
    encoded = encode(distinct(context, context.pick(40, 30_000)))
    rates: dict[tuple[int, int], float] = {}
    began = time.perf_counter()
    for budget in BUDGETS[: context.pick(1, len(BUDGETS))]:
        rates |= budget_rates(context, encoded, budget, began)
    best = max(rates, key=lambda key: rates[key])
    session = Session(shipped().data, context.device, precision=shipped().card.precision)
    default = session.batch_tokens, session.at_once
    goals = [Goal("reviews/s of the model alone, best", 20_000, rates[best], unit="",
                  note=f"budget {best[0]:,}, {best[1]} at once")]  # fmt: skip
    if default in rates:
        goals.append(Goal("default budget and batches at once against the best", 0.95,
                          rates[default] / rates[best], floor=1.0))  # fmt: skip
    rows = tuple((budget, n, rate) for (budget, n), rate in rates.items())
    table = Table(f"{len(encoded):,} distinct reviews, encoded beforehand",
                  ("budget", "batches at once", "reviews/s"), rows)  # fmt: skip
    return found(*goals, table, default=default)


def budget_rates(
    context: Context, encoded: EncodedTexts, budget: int, began: float
) -> dict[tuple[int, int], float]:
    """Return reviews a second by (budget, batches at once); 0 where there is no room."""
    file, some = shipped(), np.arange(0, len(encoded), 4)
    session = Session(file.data, context.device, precision=file.card.precision)
    rates = {}
    for at_once in AT_ONCE:
        if time.perf_counter() - began > SWEEP_SECONDS:
            break
        session.at_once = at_once
        try:
            logits_of(session, encoded, budget, some)  # the arena grows, kernels are loaded
            rates[budget, at_once] = len(encoded) / logits_of(session, encoded, budget)[1]
        except OutOfMemoryError:
            rates[budget, at_once] = 0.0
    return rates


def distinct(context: Context, rows: int) -> pa.ChunkedArray:
    """Return reviews of which none comes twice: of all three files where they are there."""
    if context.data is None:
        return generated("test", rows)["text"]
    files = (context.data / f"{part}.parquet" for part in ("unsup", "test", "train"))
    tables = [pq.read_table(file, columns=["text"]) for file in files if file.is_file()]
    return pa.concat_tables(tables).slice(0, rows)["text"]


def scale(context: Context) -> Found:
    """Score up to 100,000 distinct reviews as a whole command: first cold, then again."""
    texts = distinct(context, context.pick(40, 100_000))
    source = context.work / "distinct.parquet"
    pq.write_table(pa.table({"text": texts}), source)
    began = time.perf_counter()
    runs = [{"run": "cold", **one_run(context, source)}]
    if time.perf_counter() - began < AGAIN_SECONDS:
        runs.append({"run": "again", **one_run(context, source)})
    goal = Goal("reviews/s end to end, new text", 20_000, max(run["reviews/s"] for run in runs),
                unit="", note=f"{len(texts):,} distinct reviews")  # fmt: skip
    table = Table(f"{len(texts):,} distinct reviews, sent-score from start to exit",
                  tuple(runs[0]), tuple(tuple(run.values()) for run in runs))  # fmt: skip
    return found(goal, table, runs=runs)


def one_run(context: Context, source: Path, *options: str) -> dict[str, Any]:
    """Score once and return the figures by column."""
    with device_memory(context.device) as used:
        whole: Process = score_whole(context, source, shipped().path, *options)
    summary, seconds = whole.summary, whole.summary["seconds"]
    return {
        "reviews/s": summary["rows"] / whole.seconds,
        "without start-up": summary["rows"] / seconds["total"],
        "start-up s": whole.start_up,
        "run s": seconds["run"],
        "encode s": seconds["encode"],
        "read s": seconds["read"],
        "write s": seconds["write"],
        "padding %": 100 * summary["padding"],
        "device MiB": max(used, default=None),
        "host MiB": whole.peak_mib,
        "budget at the end": summary["batch_tokens"],
    }


@contextmanager
def device_memory(device: str) -> Iterator[list[int]]:
    """Collect the device's used memory in MiB while the block runs."""
    used: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.3):
            answer = nvidia_smi("memory.used", device)
            used.extend([int(answer)] if answer and answer.isdecimal() else [])

    thread = threading.Thread(target=watch, daemon=True)
    if device != "cpu" and shutil.which("nvidia-smi"):
        thread.start()
    try:
        yield used
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()


def tests(context: Context) -> Found:
    """Run the tests that are marked `gpu`."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider",
               "--show-capture=no", "--tb=short", "-W", "default",
               *GPU_TESTS[: context.pick(1, len(GPU_TESTS))]]  # fmt: skip
    done = run_process(command, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr[-300:]]
    skipped = context.is_cuda and "passed" not in lines[-1]
    failed = [f"pytest ended with {done.code}", *lines[-8:]] if done.code or skipped else []
    body = (("last line", lines[-1]), ("seconds", f"{done.seconds:.0f}"))
    table = Table("pytest -m gpu", ("what", "found"), body)
    return found(table, failed=failed, said=lines[-150:], stderr=done.stderr[-2_000:])


def out_of_memory(context: Context) -> Found:
    """Leave the device too little memory for the budget: the scorer has to halve it and go on."""
    if not context.is_cuda:
        return found(why="the CPU's memory is not squeezed")
    source = context.work / "squeezed.parquet"
    pq.write_table(reviews(context, "test", context.pick(60, 12_000)), source)
    command = [sys.executable, "-m", "benchmarks.harness.squeeze", str(source), str(shipped().path),
               "--device", context.device, "--leave-mib", str(context.pick(128, 1_024)),
               "--batch-tokens", str(context.pick(1 << 18, 2 << 20))]  # fmt: skip
    done = run_process(command)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    goals = (
        Goal("times the budget was halved", 1, facts["halvings"], unit="",
             note=f"down to {facts['batch_tokens']:,}"),
        Goal("largest difference of a score from an unhurried run", 0.01, facts["difference"],
             "lower", "", 0.0),
    )  # fmt: skip
    failed = [] if facts["difference"] <= 0.01 else [f"scores differ by {facts['difference']:.2g}"]
    failed += [] if facts["halvings"] else ["the budget was not halved"]
    return found(*goals, failed=failed, **facts)


def refusals(context: Context) -> Found:
    """Ask for a device that cannot be had: it has to be one line of an error, not the CPU."""
    source, output = context.work / "one.parquet", context.work / "must-not-be.parquet"
    pq.write_table(reviews(context, "test", 1), source)
    cases = {
        "no device visible": ("cuda", {"CUDA_VISIBLE_DEVICES": "-1"}),
        "a number that is not there": ("cuda:99", {}),
    }
    body, failed = [], []
    for name, (device, env) in cases.items():
        output.unlink(missing_ok=True)
        command = score_command(source, output, shipped().path, "--device", device)
        done = run_process(command, env, check=False)
        if done.code == 0 or output.exists():
            failed.append(f"{name}: --device {device} did not end in an error")
        body.append((name, str(done.code), " ".join(done.stderr.split())[-300:]))
    table = Table("--device cuda without CUDA", ("case", "exit", "said"), tuple(body))
    return found(table, failed=failed)

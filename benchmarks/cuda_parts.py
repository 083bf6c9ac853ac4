"""The parts of the CUDA evidence; each takes the context and gives goals, tables and figures."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
import torch

from benchmarks.batching import run_batches
from benchmarks.common import (
    Goal,
    Settings,
    Table,
    interleave,
    median,
    ratio_goal,
    run_process,
    score_command,
    timed,
)
from benchmarks.encoding import one_arrow_thread, scaling, thread_counts, window
from benchmarks.material import (
    Batch,
    Subject,
    convert,
    padded_batches,
    repeated,
    reviews,
    untrained,
    write_model,
)
from benchmarks.overlap import Whole, score
from benchmarks.packed import pack_model
from benchmarks.providers import (
    assignments,
    by_provider,
    heavy_elsewhere,
    make_session,
)
from benchmarks.training import BATCH, article_model, precision_of, random_batch, stepper
from exporter.graph.build import build_graph
from exporter.parity.difference import Difference, measure_difference
from exporter.parity.tolerance import tolerance_for
from infer.model.session import (
    CPU,
    CUDA,
    DEFAULT_BATCH_TOKENS,
    Session,
    cuda_problem,
    wheel_conflict,
)
from infer.text.encoding import EncodedTexts, Encoder
from trainer.settings.recipe import RECIPES, Recipe

SWEEP_SECONDS: Final = 120  # no budget is begun later


@dataclass(frozen=True)
class Context(Settings):
    """Settings, with trained weights where there are some."""

    checkpoint: Path | None = None
    device: str = field(default="cuda", kw_only=True)

    @property
    def is_cuda(self) -> bool:
        """Whether this runs on a GPU."""
        return self.device != "cpu"

    @property
    def provider(self) -> str:
        """ONNX Runtime's name for the device."""
        return CUDA if self.is_cuda else CPU

    def pick(self, tiny: int, full: int) -> int:
        """Return a size for the mode."""
        return tiny if self.mode == "tiny" else full


@dataclass(frozen=True)
class Part:
    """A part; `no_tf32` runs it where the CUDA libraries may not round to TF32 at all."""

    measure: Callable[[Context], dict[str, Any]]
    no_tf32: bool = False


def found(*given: Goal | Table, **raw: Any) -> dict[str, Any]:
    """Return what a part found, JSON-ready."""
    return {
        "goals": [asdict(one) for one in given if isinstance(one, Goal)],
        "tables": [asdict(one) for one in given if isinstance(one, Table)],
        **raw,
    }


def subject_of(context: Context, size: str = "article") -> Subject:
    """Return the checkpoint's model, or one with random weights."""
    if context.checkpoint is None or size != "article":
        return untrained(context, size)
    from trainer.checkpoint.folder import load_checkpoint

    checkpoint = load_checkpoint(context.checkpoint)
    return Subject(checkpoint.model, checkpoint.vocabulary, checkpoint.text, trained=True)


def model_file(context: Context, precision: str = "fp32") -> Path:
    """Export the subject in a precision, once."""
    path = context.work / f"cuda-{precision}.onnx"
    if not path.exists() and precision == "fp32":
        write_model(subject_of(context), path)
    elif not path.exists():
        convert(model_file(context), precision, path)
    return path


def encoded_reviews(context: Context, subject: Subject, rows: int) -> EncodedTexts:
    """Encode test reviews as the subject reads them."""
    texts = reviews(context, "test", rows)["text"].combine_chunks()
    return Encoder(subject.text, subject.vocabulary).encode(texts)


def host(context: Context) -> dict[str, Any]:
    """Describe card, driver and builds."""
    facts: dict[str, Any] = {
        "torch CUDA": torch.version.cuda,
        "cuDNN of torch": torch.backends.cudnn.version(),
        "ONNX Runtime's providers": ", ".join(ort.get_available_providers()),
        "why CUDA would not work": cuda_problem() or "it works",
        "wheels": wheel_conflict() or "no conflict",
    }
    if context.is_cuda:
        properties = torch.cuda.get_device_properties(torch.device(context.device))
        facts |= {
            "card": properties.name,
            "memory GiB": round(properties.total_memory / 2**30, 1),
            "compute capability": f"{properties.major}.{properties.minor}",
            "driver": nvidia_smi("driver_version") or "unknown",
        }
    table = Table("Host", ("what", "found"), tuple((k, str(v)) for k, v in facts.items()))
    return found(table, **facts)


def nvidia_smi(query: str, device: str = "cuda") -> str | None:
    """Ask nvidia-smi for one value."""
    if shutil.which("nvidia-smi") is None:
        return None
    index = device.partition(":")[2] or "0"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "-i", index]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() or None


def training(context: Context) -> dict[str, Any]:
    """Steps a second in fp32, TF32 and bf16, ours against packing."""
    recipe = RECIPES["article"] if context.mode != "tiny" else replace(RECIPES["article"], hidden=8)
    batch = random_batch(
        context.pick(4, 64), context.pick(12, 256), recipe.vocabulary, torch.device(context.device)
    )
    goals, rows = [], []
    for precision in ("fp32", "tf32", "bf16"):
        with precision_of(precision):
            seconds = step_seconds(context, replace(recipe, precision=precision), batch)
        rows.append((precision, *(1 / median(values) for values in seconds.values())))
        goals.append(ratio_goal(f"training step against packing, {precision}", 1.0,
                                seconds["packed"], seconds["ours"]))  # fmt: skip
    shape = f"{batch[0].shape[0]} x {batch[0].shape[1]}"
    columns = ("precision", "ours, steps/s", "packed, steps/s")
    return found(*goals, Table(f"Training steps, batch {shape}", columns, tuple(rows)))


def step_seconds(context: Context, recipe: Recipe, batch: BATCH) -> dict[str, list[float]]:
    """Return seconds of training steps, ours and packed, in turn."""
    model = article_model(recipe)
    networks = {"ours": model, "packed": pack_model(model)}
    tasks = {n: stepper(m.to(context.device), recipe, batch) for n, m in networks.items()}
    interleave(tasks, context.pick(1, 3))
    return interleave(tasks, context.pick(1, 15))


def parity(context: Context) -> dict[str, Any]:
    """Compare logits on the device with fp32 PyTorch on the CPU."""
    subject = subject_of(context)
    encoded = encoded_reviews(context, subject, context.pick(20, 1_000))
    batches = padded_batches(encoded, DEFAULT_BATCH_TOKENS[CPU])
    lengths = np.concatenate([lengths for _, lengths in batches])
    expected = pytorch_logits(subject, batches)
    rows, flips = [], 0
    for precision, tf32 in (("fp32", True), ("fp32", False), ("fp16", True)):
        data = model_file(context, precision).read_bytes()
        session = Session(data, context.device, precision=precision, tf32=tf32)
        logits = np.concatenate([session.run(*batch) for batch in batches])
        apart = measure_difference(expected, logits, lengths)
        rows.append(parity_row(precision, tf32, session.provider, apart))
        flips = apart.flips if (precision, tf32) == ("fp32", False) else flips
    goal = Goal("labels flipped, fp32 without TF32", 0, flips, "lower", "", 0,
                note=f"{len(lengths):,} reviews, {'trained' if subject.trained else 'random'} "
                "weights")  # fmt: skip
    columns = ("precision", "TF32 asked for", "provider", "largest difference", "mean",
               "tolerance", "within", "labels flipped")  # fmt: skip
    return found(goal, Table("Logits against PyTorch on the CPU", columns, tuple(rows)))


@torch.inference_mode()
def pytorch_logits(subject: Subject, batches: list[Batch]) -> Any:
    """Return PyTorch's logits on the CPU: (R,) float32."""
    return np.concatenate(
        [subject.model(*map(torch.from_numpy, batch)).numpy() for batch in batches]
    )


def parity_row(precision: str, tf32: bool, provider: str, apart: Difference) -> tuple[Any, ...]:
    """Return a row of the table; differences in scientific notation."""
    largest, mean = apart.logit_absolute.maximum, apart.logit_absolute.mean
    tolerance = tolerance_for(precision, provider)
    within = largest <= tolerance.absolute and not apart.not_finite
    return (precision, "yes" if tf32 else "no", provider, f"{largest:.1e}", f"{mean:.1e}",
            f"{tolerance.absolute:.0e}", "yes" if within else "NO", apart.flips)  # fmt: skip


def opsets(context: Context) -> dict[str, Any]:
    """Export at each opset and look where each node runs; one that fails is a row like others."""
    subject = subject_of(context)
    cases = [("article", opset) for opset in (17, 21, 22, 23)] + [("small", 17)]
    rows, raw, misplaced = [], {}, []
    for size, opset in cases:
        name = f"{size}, opset {opset}"
        try:
            model = subject.model if size == "article" else subject_of(context, size).model
            data = build_graph(model, opset).SerializeToString()
            raw[name] = placed(data, context)
            rows.append(opset_row(name, raw[name]))
            if opset == 17:
                misplaced += [f"{name}: {node}" for node in raw[name]["elsewhere"]]
        except Exception as error:
            rows.append((name, "failed: " + " ".join(str(error).split())[:300], "", "", None))
    goal = Goal("LSTM, Gather and matrix products elsewhere, opset 17", 0, len(misplaced), "lower",
                "", 0, note="; ".join(misplaced))  # fmt: skip
    columns = ("graph", f"on {context.provider}", "on the CPU", "heavy nodes elsewhere",
               "largest difference from the CPU")  # fmt: skip
    return found(goal, Table("Where nodes run", columns, tuple(rows)), graphs=raw)


def placed(data: bytes, context: Context) -> dict[str, Any]:
    """Make a session, read its assignments, and compare a mixed batch with the CPU."""
    session, reference = make_session(data, context.device), make_session(data, "cpu")
    assigned = assignments(session)
    feeds = mixed_batch(context)
    logits = [s.run(None, feeds)[0] for s in (session, reference)]
    return {
        "nodes": assigned,
        "counts": by_provider(assigned),
        "elsewhere": heavy_elsewhere(assigned, context.provider),
        "difference": float(np.abs(logits[0] - logits[1]).max()),
    }


def opset_row(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row of the table of nodes."""
    counts = one["counts"]
    on_cuda, on_cpu = counts.get(CUDA, {}), counts.get(CPU, {})
    said = [", ".join(f"{n} {op}" for op, n in c.items()) or "none" for c in (on_cuda, on_cpu)]
    if not on_cuda:
        said = [said[1], "the same"]
    return (name, *said, ", ".join(one["elsewhere"]) or "none", f"{one['difference']:.1e}")


def mixed_batch(context: Context, shortest: int = 1) -> dict[str, Any]:
    """Return ids (B, T) and lengths (B,) from `shortest` tokens to the whole."""
    rows, tokens = context.pick(4, 32), context.pick(9, 300)
    draw = np.random.default_rng(0)
    lengths = draw.integers(shortest, tokens + 1, rows).astype(np.int32)
    lengths[:3] = tokens, shortest, 1
    ids = draw.integers(2, 100, (rows, tokens))
    ids[np.arange(tokens) >= lengths[:, None]] = 0
    return {"input_ids": ids.astype(np.int64), "lengths": lengths}


def rows(context: Context) -> dict[str, Any]:
    """Score rows of mixed lengths together and each alone; zero-length and one-token rows too."""
    session = make_session(model_file(context).read_bytes(), context.device, tf32=False)
    body = []
    for shortest, name in ((1, "one token and more"), (0, "a row without tokens among them")):
        feeds = mixed_batch(context, shortest)
        together = session.run(None, feeds)[0]
        apart = max(alone(session, feeds, row, together) for row in range(len(together)))
        finite = "yes" if np.isfinite(together).all() else "NO"
        body.append((name, len(together), f"{apart:.1e}", finite))
    columns = ("batch", "rows", "largest difference, together and alone", "all finite")
    return found(Table("Mixed lengths in one batch, fp32", columns, tuple(body)))


def alone(session: Any, feeds: dict[str, Any], row: int, together: Any) -> float:
    """Return how far a row scored alone, without padding, is from the same row in its batch."""
    length = int(feeds["lengths"][row])
    if length == 0:
        return 0.0
    one = {"input_ids": feeds["input_ids"][row : row + 1, :length],
           "lengths": feeds["lengths"][row : row + 1]}  # fmt: skip
    return float(abs(session.run(None, one)[0][0] - together[row]))


def encoding(context: Context) -> dict[str, Any]:
    """Encoding rate by threads."""
    texts = window(context, context.pick(50, 16_384))
    vocabulary = subject_of(context).vocabulary
    with one_arrow_thread():
        rates = scaling(texts, vocabulary, thread_counts(), context.pick(1, 3))
    body = tuple((n, rate, rate / rates[0][1]) for n, rate in rates)
    return found(Table("Encoding, warm", ("threads", "reviews/s", "times one"), body))


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
    if device != "cpu":
        thread.start()
    try:
        yield used
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()


def sweep(context: Context) -> dict[str, Any]:
    """Score as a whole command at each token budget, then fp16 at the best one."""
    source = context.work / "repeated.parquet"
    count = context.pick(30, 200_000)
    pq.write_table(repeated(reviews(context, "test", context.pick(15, 25_000)), count), source)
    budgets = (16_384, 32_768, 65_536, 131_072, 262_144, 524_288)
    default = DEFAULT_BATCH_TOKENS[context.provider]
    order = [default, *(b for b in reversed(budgets) if b != default)]
    began = time.perf_counter()
    runs = [
        one_run(context, source, "fp32", budget)
        for budget in order[: context.pick(1, 6)]
        if time.perf_counter() - began < SWEEP_SECONDS
    ]
    best = max(runs, key=lambda run: float(run["reviews/s"]))
    runs.append(one_run(context, source, "fp16", best["budget"]))
    goals = (
        Goal("reviews/s end to end, best budget, fp32", 20_000, best["reviews/s"], unit=""),
        Goal("share of the job in session.run, best budget", 70, best["in session.run %"], unit="%",
             floor=100),
        Goal("default budget against the best", 0.95, runs[0]["reviews/s"] / best["reviews/s"],
             floor=1.0, note=f"default {default:,}, best {best['budget']:,}"),
    )  # fmt: skip
    table = Table(f"{count:,} reviews, sent-score from start to exit", tuple(runs[0]),
                  tuple(tuple(run.values()) for run in runs))  # fmt: skip
    return found(*goals, table, runs=runs, best_session_run_rate=best["session.run reviews/s"])


def one_run(context: Context, source: Path, precision: str, budget: int) -> dict[str, Any]:
    """Score once and return the figures by column."""
    with device_memory(context.device) as used:
        whole: Whole = score(
            context, source, model_file(context, precision), "--batch-tokens", str(budget)
        )
    summary, seconds = whole.summary, whole.summary["seconds"]
    return {
        "precision": precision,
        "budget": budget,
        "reviews/s": summary["rows"] / whole.seconds,
        "without start-up": summary["rows"] / seconds["total"],
        "session.run reviews/s": summary["rows"] / max(seconds["run"], 1e-9),
        "in session.run %": 100 * seconds["run"] / seconds["total"],
        "encode s": seconds["encode"],
        "write s": seconds["write"],
        "padding %": 100 * summary["padding"],
        "device MiB": max(used, default=None),
        "host MiB": whole.peak_mib,
        "budget at the end": summary["batch_tokens"],
    }


def pytorch(context: Context) -> dict[str, Any]:
    """Run the same batches through ONNX Runtime and through PyTorch on the device."""
    subject = subject_of(context)
    encoded = encoded_reviews(context, subject, context.pick(20, 20_000))
    batches = padded_batches(encoded, DEFAULT_BATCH_TOKENS[context.provider])
    goals, body = [], []
    data = model_file(context).read_bytes()
    for kind in ("tf32", "fp32"):
        session = Session(data, context.device, tf32=kind == "tf32")
        with precision_of(kind):
            seconds = network_seconds(context, subject, session, batches)
        body += [(f"{n}, {kind}", len(encoded) / median(s)) for n, s in seconds.items()]
        goals.append(ratio_goal(f"ONNX Runtime against PyTorch with packing, {kind}", 3.0,
                                seconds["PyTorch, packing"], seconds["ONNX Runtime"]))  # fmt: skip
    return found(*goals, Table("The model alone", ("what", "reviews/s"), tuple(body)))


def network_seconds(
    context: Context, subject: Subject, session: Session, batches: list[Batch]
) -> dict[str, list[float]]:
    """Return seconds of the batches in ONNX Runtime and in PyTorch's two networks, in turn."""
    networks = {"PyTorch, packing": pack_model(subject.model), "PyTorch, ours": subject.model}
    tasks: dict[str, Callable[[], float]] = {
        "ONNX Runtime": lambda: timed(lambda: run_batches(session, batches))
    }
    for name, network in networks.items():
        moved = network.eval().to(context.device)
        tasks[name] = lambda m=moved: timed(lambda: run_torch(m, batches, context.device))  # type: ignore[misc]
    interleave(tasks, 1)
    return interleave(tasks, context.pick(1, 3))


@torch.inference_mode()
def run_torch(model: Any, batches: list[Batch], device: str) -> None:
    """Run batches through PyTorch, from the host's memory and back."""
    for input_ids, lengths in batches:
        model(torch.from_numpy(input_ids).to(device), torch.from_numpy(lengths).to(device)).cpu()


def out_of_memory(context: Context) -> dict[str, Any]:
    """Leave the device too little memory for the budget: the scorer has to halve it and go on."""
    source = context.work / "squeezed.parquet"
    pq.write_table(reviews(context, "test", context.pick(600, 12_000)), source)
    command = [sys.executable, "-m", "benchmarks.squeeze", str(source), str(model_file(context)),
               "--device", context.device, "--leave-mib", str(context.pick(32, 1_024)),
               "--batch-tokens", str(context.pick(1 << 20, 2 << 20))]  # fmt: skip
    done = run_process(command)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    halvings, note = facts["halvings"], f"down to {facts['batch_tokens']:,}"
    goals = (
        Goal("times the budget was halved", 1, halvings, unit="", note=note),
        Goal("largest difference of a score from an unhurried run", 0.01, facts["difference"],
             "lower", "", 0.0),
    )  # fmt: skip
    return found(*goals, **facts)


HIDDEN = "import onnxruntime; onnxruntime.preload_dlls = lambda *a, **k: None; "


def hidden_libraries(context: Context) -> dict[str, Any]:
    """Ask for `--device cuda` where CUDA cannot be had: it has to be an error, not the CPU."""
    source, output = context.work / "one.parquet", context.work / "must-not-be.parquet"
    pq.write_table(reviews(context, "test", 1), source)
    plain = score_command(source, output, model_file(context), "--device", "cuda")
    unloaded = [*plain[:2], HIDDEN + plain[2], *plain[3:]]
    cases = {
        "no device visible": (plain, {"CUDA_VISIBLE_DEVICES": "-1"}),
        "libraries not found": (unloaded, {"LD_LIBRARY_PATH": ""}),
    }
    body, wrong = [], 0
    for name, (command, env) in cases.items():
        output.unlink(missing_ok=True)
        done = run_process(command, env, check=False)
        wrong += done.code == 0 or output.exists()
        body.append((name, done.code, " ".join(done.stderr.split())[-300:]))
    goal = Goal("runs that did not end in an error", 0, wrong, "lower", "", 0)
    return found(goal, Table("--device cuda without CUDA", ("case", "exit", "said"), tuple(body)))


PARTS = {
    "host": Part(host),
    "opsets": Part(opsets),
    "rows": Part(rows),
    "parity": Part(parity),
    "parity-no-tf32": Part(parity, no_tf32=True),
    "training": Part(training),
    "encoding": Part(encoding),
    "pytorch": Part(pytorch),
    "out-of-memory": Part(out_of_memory),
    "hidden-libraries": Part(hidden_libraries),
    "sweep": Part(sweep),
}

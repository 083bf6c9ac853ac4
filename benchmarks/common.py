"""What all benchmarks share: the machine, fair timing, whole processes, and results as JSON."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from infer.base.cores import cores

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = Path(__file__).resolve().parent / "results"
SEED: Final = 123
MODES: Final = ("tiny", "quick", "full")
# The command's option for a trained model file of each kind.
MODEL_OPTIONS: Final = {
    "article fp32": "model",
    "article int8": "int8-model",
    "small fp32": "small-model",
    "small int8": "small-int8-model",
}
# Instruction sets that decide how fast float32 and int8 products are.
FLAGS: Final = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16")
PACKAGES: Final = (
    "onnxruntime-gpu", "onnxruntime", "torch", "spacy", "pyarrow", "numpy", "onnx", "onnxscript",
    "scikit-learn", "fasttext-numpy2-wheel", "click",
)  # fmt: skip
SCORE: Final = "from infer.cli import main; main()"

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Attributes:
        mode: `tiny` (the tests), `quick` or `full`; each benchmark has its sizes for each.
        work: folder for inputs, models and outputs, shared by the benchmarks of one run.
        data: folder with IMDB's train.parquet and test.parquet; None for generated reviews.
        models: trained model files by name (`article fp32`, `article int8`, `small fp32`, …);
            what is not named is made on the spot with random weights.
        device: `cpu` or `cuda[:N]`, for the benchmarks that run a session.
        overrides: `benchmark.field` → value, in place of a mode's size.
    """

    mode: str
    work: Path
    data: Path | None = None
    models: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    overrides: Mapping[str, int] = field(default_factory=dict)

    def sizes(self, benchmark: str, by_mode: Mapping[str, T]) -> T:
        """Return the sizes of this mode, with the overrides put in."""
        sizes: Any = by_mode[self.mode]
        known = {spec.name for spec in fields(sizes)}
        given = {name.removeprefix(f"{benchmark}."): value for name, value in self.overrides.items()
                 if name.startswith(f"{benchmark}.")}  # fmt: skip
        if unknown := given.keys() - known:
            raise ValueError(f"{benchmark} has no size {min(unknown)!r}, expected {sorted(known)}")
        changed: T = replace(sizes, **given)
        return changed


@dataclass(frozen=True)
class Goal:
    """A number that was promised, and what was measured.

    Attributes:
        name: what is measured, in words.
        goal: the number.
        measured: the median; None where it could not be measured (`note` says why).
        better: `higher` or `lower`.
        unit: put behind the numbers: `x` or `%`.
        floor: what the machine allows at best, in the same unit; None where nothing bounds it.
        runs: the measured values that the median is of.
        note: what a reader has to know about the number.
    """

    name: str
    goal: float
    measured: float | None
    better: str = "higher"
    unit: str = "x"
    floor: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Figures for people: a header and rows of words and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What one benchmark found; `raw` holds every single measurement."""

    title: str
    explanation: str
    goals: tuple[Goal, ...] = ()
    tables: tuple[Table, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """A finished process: seconds from start to exit, peak resident memory, what it said."""

    seconds: float
    peak_mib: float | None
    stdout: str
    stderr: str
    code: int = 0


def interleave(tasks: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run each task once a round, in an order that turns, so that drift hits all alike.

    Returns:
        The values of each task, one a round; values of the same round are a pair.
    """
    names = list(tasks)
    values: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            values[name].append(tasks[name]())
    return values


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Divide pair by pair."""
    return tuple(a / b for a, b in zip(above, below, strict=True))


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


def ratio_goal(
    name: str, goal: float, above: Sequence[float], below: Sequence[float], **rest: Any
) -> Goal:
    """Return a goal on the median of paired ratios."""
    runs = ratios(above, below)
    return Goal(name, goal, median(runs), runs=runs, **rest)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run_process(
    command: Sequence[str], env: Mapping[str, str] | None = None, check: bool = True
) -> Process:
    """Run a command from the repository's root, from its start to its exit.

    Raises:
        RuntimeError: it failed, and `check` is set; the end of its stderr is in the message.
    """
    environment = {**os.environ, "PYTHONPATH": _python_path(), **(env or {})}
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process, _watch_memory(process.pid) as peaks:  # fmt: skip
        stdout, stderr = process.communicate()
        seconds = time.perf_counter() - start
    if check and process.returncode:
        raise RuntimeError(f"{command[:4]} … exited {process.returncode}: {stderr[-2000:]}")
    peak = max(peaks) / 1024 if peaks else None
    return Process(seconds, peak, stdout, stderr, process.returncode)


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))


@contextmanager
def _watch_memory(pid: int, every: float = 0.05) -> Iterator[list[int]]:
    """Collect a process's peak memory (KiB) while it runs.

    `getrusage` would count the parent's memory, which a child is born with.
    """
    peaks: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            peaks.extend(_peak_kib(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _peak_kib(pid: int) -> list[int]:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]


def score_command(source: Path, output: Path, model: Path, *options: str) -> list[str]:
    """Return `sent-score` as a command that needs no installation."""
    return [
        sys.executable, "-c", SCORE, str(source), "-o", str(output), "--model", str(model),
        "--overwrite", "--no-resume", "--quiet", "--json", *options,
    ]  # fmt: skip


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it was."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in _cpu_flags()],
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }  # fmt: skip


def _cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _cpu_model() -> str:
    family = "/".join(filter(None, (_cpu_info("cpu family"), _cpu_info("model\t"))))
    name = _cpu_info("model name") or platform.processor() or "unknown"
    return f"{name} (family/model {family})" if family else name


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpu_info("flags").split())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit that was measured, with `+` where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )  # fmt: skip
        return done.stdout.strip()

    try:
        code = ("infer", "trainer", "exporter", "benchmarks/*.py")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *code)
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_result(
    result: Result, name: str, settings: Settings, folder: Path, about: Mapping[str, Any]
) -> Path:
    """Write one benchmark's JSON under its fixed name; `about` is what only the caller knows."""
    body = {
        "benchmark": name,
        "mode": settings.mode,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": SEED,
        "trained_models": sorted(settings.models),
        "sizes_changed": dict(settings.overrides),
        "device": settings.device,
        "versions": versions(),
        **about,
        **asdict(result),
    }
    return write_json(folder / f"{name}.json", body)


def write_json(path: Path, body: Mapping[str, Any]) -> Path:
    """Write JSON with rounded numbers, beside its place and then by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(_rounded(body), indent=1, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def _rounded(value: Any) -> Any:
    """Copy with floats of five significant digits: more than any timing has."""
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value

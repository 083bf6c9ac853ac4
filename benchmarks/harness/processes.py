"""Whole processes, from start to exit: seconds and peak memory; `sent-score` as one of them."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ROOT
from benchmarks.harness.contract import Settings

SCORE: Final = "from infer.cli import main; main()"


@dataclass(frozen=True)
class Process:
    """A finished process: seconds from start to exit, of CPU, peak memory, what it said."""

    seconds: float
    cpu_seconds: float
    peak_mib: float | None
    stdout: str
    stderr: str
    code: int = 0

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What `sent-score --json` says."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def start_up(self) -> float:
        """Seconds before the job begins and after it ends."""
        return self.seconds - float(self.summary["seconds"]["total"])


def run_process(
    command: Sequence[str], env: Mapping[str, str] | None = None, check: bool = True
) -> Process:
    """Run a command from the repository's root, from its start to its exit.

    Raises:
        RuntimeError: it failed, and `check` is set; the end of its stderr is in the message.
    """
    environment = {**os.environ, "PYTHONPATH": _python_path(), **(env or {})}
    start, cpu = time.perf_counter(), _cpu_of_children()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process, _watch_memory(process.pid) as peaks:  # fmt: skip
        stdout, stderr = process.communicate()
        seconds = time.perf_counter() - start
    if check and process.returncode:
        raise RuntimeError(f"{command[:4]} … exited {process.returncode}: {stderr[-2000:]}")
    peak = max(peaks) / 1024 if peaks else None
    used = _cpu_of_children() - cpu
    return Process(seconds, used, peak, stdout, stderr, process.returncode)


def _cpu_of_children() -> float:
    """Return the CPU seconds of the processes that were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def score(settings: Settings, source: Path, model: Path, *options: str) -> Process:
    """Run `sent-score` as a process."""
    output = settings.work / f"scores-{source.stem}-{model.stem}.parquet"
    return run_process(score_command(source, output, model, "--device", settings.device, *options))

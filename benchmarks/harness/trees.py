"""A process with all that it starts: CPU seconds and memory, whoever waits for whom."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ROOT

EVERY: Final = 0.5
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Tree:
    """What was seen of a process and of those that it started, while they ran.

    Attributes:
        seconds: from start to exit.
        peak_mib: the most that all of them were seen to hold at one time, a shared page once.
        waited: CPU seconds of those that were waited for.
    """

    seconds: float = 0.0
    peak_mib: float = 0.0
    waited: float = 0.0
    _ticks: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all of them, the better known of two sums.

        What was looked at lacks what each did after the last look. What was waited for lacks those
        that an engine ended without waiting for them.
        """
        return max(self.waited, sum(self._ticks.values()) / TICKS)

    def look(self, process: int) -> None:
        """Read how far each has come."""
        resident = 0
        for pid in [process, *descendants(process)]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
                shares = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:  # it has ended
                continue
            # A number is used again, its start is not.
            self._ticks[pid, fields[19]] = int(fields[11]) + int(fields[12])
            resident += sum(int(line.split()[1]) for line in shares if line.startswith("Pss:"))
        self.peak_mib = max(self.peak_mib, resident / 1024)


def descendants(process: int) -> Iterator[int]:
    """Yield the processes that one has started, and those that they have."""
    try:
        files = list(Path(f"/proc/{process}/task").glob("*/children"))
        children = [int(pid) for file in files for pid in file.read_text().split()]
    except OSError:  # it has ended
        return
    for child in children:
        yield child
        yield from descendants(child)


def run_tree(command: Sequence[str], **settings: Any) -> Tree:
    """Run a command from the repository's root, from its start to its exit.

    Raises:
        RuntimeError: it failed; the end of its stderr is in the message.
    """
    tree, ended = Tree(), threading.Event()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    start, before = time.perf_counter(), _waited_for()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip

        def watch() -> None:
            while not ended.wait(EVERY):
                tree.look(process.pid)

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, stderr = process.communicate()
        ended.set()
        watcher.join()
    tree.seconds, tree.waited = time.perf_counter() - start, _waited_for() - before
    if process.returncode:
        raise RuntimeError(f"{command[:4]} … exited {process.returncode}: {stderr[-2000:]}")
    return tree


def _waited_for() -> float:
    """Return the CPU seconds of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

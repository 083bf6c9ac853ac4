"""Worker processes that score the windows of a job as one scorer would.

A pool of the standard library's (`concurrent.futures`) gives a process one call at a time, and ends
none that is at work. Here a process has two windows at a time, one that is encoded beside one that
is run, and whatever happens ends all of them at once.
"""

import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, TypeVar

import pyarrow as pa

from infer.base.console import say
from infer.base.errors import JobError
from infer.base.prefetch import prefetch
from infer.job.posts import Post
from infer.job.windows import Advance, Window
from infer.job.worker import Answer, Order, WorkerSession, send_texts, work
from infer.model.file import ModelFile

WINDOWS_A_WORKER: Final = 2
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# A process that was told to end, or has closed its lines, is gone within that.
_END_SECONDS: Final = 5.0
T = TypeVar("T")


@dataclass
class _Worker:
    """A process, and what was heard of it last."""

    process: SpawnProcess
    lines: list[Connection]
    batch_tokens: int = 0
    run_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ended(self) -> int:
        """Return its exit code; the threads of all its lines ask, and the system tells one."""
        with self.lock:
            self.process.join(_END_SECONDS)
            return self.process.exitcode or 0


class Crew:
    """Worker processes with a model; made by `open_crew`.

    Attributes:
        file: the model file.
        session: what each of them says of its session.
    """

    file: ModelFile
    session: WorkerSession

    def __init__(self, file: ModelFile) -> None:
        """Begin without a worker."""
        self.file = file
        self._workers: list[_Worker] = []
        self._free: queue.SimpleQueue[tuple[_Worker, Connection]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_ended = False

    def __len__(self) -> int:
        """Return the number of processes."""
        return len(self._workers)

    @property
    def batch_tokens(self) -> int:
        """Padded tokens in a batch, as far as every worker's device has room."""
        return min(worker.batch_tokens for worker in self._workers)

    @property
    def seconds(self) -> float:
        """Time within the model; in all workers at once."""
        return sum(worker.run_seconds for worker in self._workers) / len(self._workers)

    @contextmanager
    def scored(
        self, windows: Iterator[tuple[T, pa.Array | None]], advance: Advance
    ) -> Iterator[Iterator[tuple[T, Future[Window] | None]]]:
        """Score windows of text side by side, in their order.

        Args:
            windows: texts with what they belong to; None is handed on in its place.
            advance: is told how many rows more are scored, in several threads.
        """
        at_once = WINDOWS_A_WORKER * len(self._workers)
        with (
            ThreadPoolExecutor(at_once, "window") as pool,
            prefetch(
                (
                    (task, None if texts is None else pool.submit(self._score, texts, advance))
                    for task, texts in windows
                ),
                at_once,
                self.end,
            ) as running,
        ):
            yield running

    def _score(self, texts: pa.Array, advance: Advance) -> Window:
        """Have one window scored, in a thread of its own."""
        worker, line = self._free.get()
        try:
            with _heard(worker):
                send_texts(line, texts)
            answer: Answer = _listen(worker, line, advance)
        finally:
            self._free.put((worker, line))
        worker.batch_tokens = answer.batch_tokens
        worker.run_seconds = answer.run_seconds
        return replace(
            answer.window, encode_seconds=answer.window.encode_seconds / len(self._workers)
        )

    def start(self, order: Order) -> WorkerSession:
        """Start one worker, in a thread of its own, and wait until it is ready.

        Raises:
            JobError: it cannot be started, or ended before.
            SentError: the model or its device cannot be had.
        """
        try:
            worker = self._launch()
        except (OSError, AssertionError) as error:  # the latter in a process of a pool
            reason = error.strerror if isinstance(error, OSError) else error
            raise JobError(
                f"a worker process cannot be started ({reason}). Use fewer --processes"
            ) from error
        with _heard(worker):
            worker.lines[0].send(order)
        session: WorkerSession = _listen(worker, worker.lines[0], lambda rows: None)
        worker.batch_tokens = session.batch_tokens
        for line in worker.lines:
            self._free.put((worker, line))
        return session

    def _launch(self) -> _Worker:
        """Start a process with its lines."""
        context = get_context("spawn")
        ours, theirs = zip(*(context.Pipe() for _ in range(WINDOWS_A_WORKER)), strict=True)
        process = context.Process(target=work, args=(theirs,), name="sent-score worker")
        worker = _Worker(process, list(ours))
        with self._lock:
            if self._is_ended:
                raise JobError("stopped while its processes were started")
            # The process inherits what this thread blocks. Ctrl-C and a service manager's SIGTERM
            # reach the whole group, and this process decides what becomes of the job. (The tracker,
            # a helper of the standard library's, would let them through again when it starts.)
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            process.start()
            self._workers.append(worker)
        for line in theirs:
            line.close()  # so that ours end when the process does
        return worker

    def end(self) -> None:
        """End all processes at once: they hold nothing that is worth keeping."""
        with self._lock:
            self._is_ended = True
            for worker in self._workers:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join()


@contextmanager
def open_crew(
    file: ModelFile,
    posts: Sequence[Post],
    tf32: bool = True,
    batch_tokens: int | None = None,
    probabilities: bool = False,
) -> Iterator[Crew]:
    """Start a process for each post, all at once; behind the block none is left.

    Args:
        file: the model file.
        posts: where each works.
        tf32: on CUDA, let matrix products round their inputs to TF32.
        batch_tokens: padded tokens in a batch (None: what suits the device).
        probabilities: whether the probability of each label is told too.

    Raises:
        DeviceError: a device cannot be had.
        ModelFileError: ONNX Runtime refuses the graph.
        JobError: a process ended before it was ready.
    """
    crew = Crew(file)
    orders = [Order(file, post, tf32, batch_tokens, probabilities) for post in posts]
    try:
        with ThreadPoolExecutor(len(posts), "start") as pool:
            started = [pool.submit(crew.start, order) for order in orders]
            try:
                crew.session, *_ = [future.result() for future in started]
            except BaseException:
                crew.end()  # so that the threads that wait for others end too
                raise
        yield crew
    finally:
        crew.end()


@contextmanager
def _heard(worker: _Worker) -> Iterator[None]:
    """Say what has become of a worker that cannot be spoken with any more.

    Raises:
        JobError: it has ended.
    """
    try:
        yield
    except (EOFError, OSError) as error:
        code = worker.ended()
        how = (
            f"was ended by {signal.Signals(-code).name}. Where that is for want of memory, use "
            "fewer --processes"
            if code < 0
            else "could not begin: see what it said. A script that asks for processes is a file, "
            'not stdin, and keeps its own work under `if __name__ == "__main__":`'
        )
        raise JobError(f"worker process {worker.process.pid} {how}") from error


def _listen(worker: _Worker, line: Connection, advance: Advance) -> Any:
    """Return a worker's answer; meanwhile pass on how far it is, and what it says."""
    while True:
        with _heard(worker):
            heard = line.recv()
        if isinstance(heard, int):
            advance(heard)
        elif isinstance(heard, str):
            say(heard)
        elif isinstance(heard, BaseException):
            raise heard
        else:
            return heard

"""A worker process: it scores windows for a job, with an encoder and a session of its own.

It serves several lines, each in a thread: while one window is run, the next one is encoded. Along a
line come texts, and back go the rows that are scored (a number), what is to be said (words), and in
the end the answer, or the error.
"""

import logging
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import pyarrow as pa

from infer.base.console import LOGGER
from infer.base.errors import SentError
from infer.job.posts import Post
from infer.job.windows import Window, score_window
from infer.model.file import ModelFile
from infer.model.scorer import Scorer
from infer.model.session import Session

TEXTS: Final = pa.schema([("text", pa.large_binary())])
# Between two words on how far a window is.
TELL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Order:
    """What a worker is to score with, and whether the probability of each label is told too."""

    file: ModelFile
    post: Post
    tf32: bool
    batch_tokens: int | None
    probabilities: bool


@dataclass(frozen=True)
class WorkerSession:
    """What a worker says of its session; see `Session`."""

    provider: str
    reason: str
    tf32: bool
    batch_tokens: int


@dataclass(frozen=True)
class Answer:
    """A window that was scored, and where the worker's scorer stands; see `Scorer`."""

    window: Window
    batch_tokens: int
    run_seconds: float


def work(lines: Sequence[Connection]) -> None:
    """Take an order from the first line, then serve all of them until they are closed."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(_Told())
    _Told.line.is_at = lines[0]
    order: Order = lines[0].recv()
    try:
        scorer = _open(order)
    except BaseException as error:
        _send_error(lines[0], error)
        return
    session = scorer.session
    lines[0].send(
        WorkerSession(session.provider, session.reason, session.tf32, scorer.batch_tokens)
    )
    threads = [
        threading.Thread(target=_serve, args=(line, order, scorer), name="line") for line in lines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send_texts(line: Connection, texts: pa.Array) -> None:
    """Send a window's texts; of a slice nothing more than its rows."""
    batch = pa.record_batch([texts.cast(pa.large_binary())], TEXTS)
    line.send_bytes(memoryview(batch.serialize()))


def _receive_texts(line: Connection) -> pa.Array:
    return pa.ipc.read_record_batch(pa.py_buffer(line.recv_bytes()), TEXTS).column(0)


def _end_with_parent() -> None:
    """End this process at once when the one that started it has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _open(order: Order) -> Scorer:
    post, file = order.post, order.file
    session = Session(
        file.data, post.device, post.threads, file.card.precision, order.tf32, post.sharing
    )
    return Scorer(file, session, order.batch_tokens)


def _serve(line: Connection, order: Order, scorer: Scorer) -> None:
    """Score what comes along one line, in a thread of its own."""
    _Told.line.is_at = line
    while True:
        try:
            texts = _receive_texts(line)
        except (EOFError, OSError):  # nobody is there any more
            return
        try:
            progress = _Progress(line)
            began = time.perf_counter()
            encoded = scorer.encode(texts)
            took = time.perf_counter() - began
            window = score_window(scorer, encoded, took, order.probabilities, progress.advance)
            line.send(progress.rows)
            line.send(Answer(window, scorer.batch_tokens, scorer.seconds))
        except BaseException as error:
            _send_error(line, error)


def _send_error(line: Connection, error: BaseException) -> None:
    """Send an error of any kind; of one that is none of the toolkit's, where it came from too."""
    if not isinstance(error, SentError | MemoryError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        line.send(error)
    except OSError:  # nobody is there any more, as `_serve` will find
        return
    except Exception:  # it cannot be pickled
        line.send(RuntimeError("".join(traceback.format_exception(error))))


class _Progress:
    """Tells how many rows more are scored, every so often."""

    def __init__(self, line: Connection) -> None:
        self.rows = 0
        self._line = line
        self._told = time.monotonic()

    def advance(self, rows: int) -> None:
        self.rows += rows
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._line.send(self.rows)
            self.rows, self._told = 0, now


class _Told(logging.Handler):
    """Sends what is said along the line that is served in the same thread."""

    line: Any = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        self.line.is_at.send(record.getMessage())

"""What TensorBoard shows of a run: event files, by tensorboardX, which needs no TensorFlow.

Its `SummaryWriter` writes in a thread that a full disk ends, whereupon the next points wait for
ever. What that is made of is used here, and raises.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infer.base.console import say
from infer.base.errors import OutputError
from trainer.run.state import State

if TYPE_CHECKING:
    from tensorboardX.record_writer import RecordWriter

FLUSH_SECONDS: Final = 30.0
EVERY: Final = 10  # steps between two points of a curve within an epoch

# (step of the run, name of a curve → its value) → None
Note = Callable[[int, Mapping[str, float]], None]


@contextmanager
def event_file(folder: Path | None, steps: int) -> Iterator[Note]:
    """Give what puts points on curves for the block. A disk that is full by then is told once.

    Args:
        folder: where an event file is added; None: nothing is written.
        steps: those that the run has taken. Points beyond, of a run that was killed, are hidden.

    Raises:
        OutputError: nothing can be written there.
    """
    if folder is None:
        yield lambda step, values: None
        return
    try:
        writer = _begin(folder, steps)
    except OSError as error:
        raise OutputError(f"--tensorboard {folder}: cannot be written ({error})") from error
    curves = _Curves(folder, writer)
    try:
        yield curves.note
    finally:
        with suppress(OSError):
            writer.close()


def _begin(folder: Path, steps: int) -> "RecordWriter":
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    # TensorBoard looks for `tfevents` and reads files in the order of their names.
    name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}"
    writer = RecordWriter(str(folder / name))
    start = SessionLog(status=SessionLog.START)
    for event in (
        Event(wall_time=now, file_version="brain.Event:2"),
        Event(wall_time=now, step=steps + 1, session_log=start),
    ):
        writer.write(event.SerializeToString())
    writer.flush()
    return writer


def note_step(note: Note, state: State) -> None:
    """Put the mean loss of the epoch so far and the learning rate on their curves, now and then."""
    if state.steps % EVERY == 0 and state.part.weight:
        loss, rate = state.part.loss / state.part.weight, state.optimizer.param_groups[0]["lr"]
        note(state.steps, {"training/loss_of_epoch_so_far": loss, "training/learning_rate": rate})


def note_epoch(note: Note, state: State) -> None:
    """Put the figures of the last epoch on their curves: all that the history has of it."""
    figures = {n: value for n, value in state.history[-1].items() if isinstance(value, int | float)}
    note(state.steps, {f"epoch/{name}": value for name, value in figures.items()})


class _Curves:
    """Writes points, until writing fails."""

    def __init__(self, folder: Path, writer: "RecordWriter") -> None:
        self.folder, self.writer = folder, writer
        self.flushed = time.monotonic()
        self.is_broken = False

    def note(self, step: int, values: Mapping[str, float]) -> None:
        """Put a point on each curve."""
        if self.is_broken:
            return
        try:
            self._write(step, values)
        except OSError as error:
            self.is_broken = True
            say(f"Warning: --tensorboard {self.folder}: cannot be written ({error}); no more is")

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(wall_time=time.time(), step=step, summary=scalar(name, value))
            self.writer.write(event.SerializeToString())
        if (now := time.monotonic()) - self.flushed >= FLUSH_SECONDS:
            self.writer.flush()
            self.flushed = now

"""What of a run is kept while it goes on, when, and what its user is told of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infer.base.console import say
from infer.base.errors import InputError, SentError, TrainingError
from trainer.checkpoint.config import TRAINING
from trainer.checkpoint.place import errors_told
from trainer.checkpoint.record import TrainingRecord
from trainer.checkpoint.unfinished import (
    Begun,
    begin_training,
    is_unfinished,
    replace_training,
    write_begun,
)
from trainer.data.prepared import Prepared
from trainer.run.state import STATE_TENSORS, State, best_of, place_of, save_state
from trainer.settings.request import Request
from trainer.teaching.self_training import save_targets


def write_down(request: Request, prepared: Prepared, state: State, record: TrainingRecord) -> None:
    """Write down what the run began with, before its first step or with what changes from here."""
    begun = Begun(record, prepared.text, prepared.vocabulary)

    def write(training: Path) -> None:
        write_begun(training, begun)
        save_targets(training, prepared.targets)
        save_state(training / STATE_TENSORS, state)

    if request.resume:
        with errors_told(request.output):
            write_begun(request.output / TRAINING, begun)
    else:
        begin_training(request.output, write)


def save_part(folder: Path, state: State) -> None:
    """Keep the steps of the epoch under way."""
    replace_training(folder, STATE_TENSORS, lambda path: save_state(path, state))


def every(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
    """Return what does the work when it is called, but not before so many seconds after the last.

    Where the disk is full at that moment, that is said; the next time there may be room.
    """
    last = time.monotonic()

    def work_if_due() -> None:
        nonlocal last
        if time.monotonic() - last < seconds:
            return
        try:
            work()
        except TrainingError as error:
            say(f"Warning: {error}; training goes on, what was kept before stays")
        last = time.monotonic()

    return work_if_due


@contextmanager
def saving_when_stopped(folder: Path, state: State) -> Iterator[None]:
    """Save the epoch under way when a signal ends the block."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        if state.part.steps:
            try:
                save_part(folder, state)
            except TrainingError as error:
                stopped.add_note(str(error))
        raise


def warn_of_unfinished(folder: Path) -> None:
    """Say that a run which could go on will not, where there is one."""
    if is_unfinished(folder):
        say(
            f"Warning: this run takes the place of the unfinished one in {folder}. To go on with "
            "that one, stop now and use --resume"
        )


@contextmanager
def telling_what_is_kept(request: Request, goes_on: Path) -> Iterator[None]:
    """Let what ends a run say from where it can go on, and by which folder."""
    folder, select = request.output, request.recipe.select
    try:
        yield
    except (KeyboardInterrupt, SentError) as error:
        if is_unfinished(folder):
            _, _, history, _ = place_of(folder / TRAINING)
            best = (
                f"the best so far, epoch {best_of(history, select)['epoch']}, and "
                if history
                else ""
            )
            error.add_note(
                f"{folder} keeps {best}the run as it was after {where(folder)}; "
                f"sent-train --resume --output {goes_on} goes on"
            )
        raise


def where(folder: Path) -> str:
    """Say how far the unfinished run in a folder has come."""
    epoch, _, _, part = place_of(folder / TRAINING)
    if part.steps:
        return f"step {part.steps:,} of epoch {part.epoch}"
    return f"epoch {epoch}" if epoch else "the preparation"


@contextmanager
def telling_of_other_places(request: Request) -> Iterator[None]:
    """Let what a resumed run misses say that it may be elsewhere."""
    try:
        yield
    except InputError as error:
        places = {"--data": request.data, "--unlabelled": request.unlabelled}
        for option, place in places.items() if request.resume else ():
            if place not in (None, "sample", "imdb") and not Path(place).exists():
                error.add_note(
                    f"Where the same files are elsewhere now, say so: --resume {option} PATH"
                )
        raise

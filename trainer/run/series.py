"""Several runs of one request: begun, taken up again, each carried out in a folder of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from infer.base.errors import SentError, UsageError
from infer.base.words import counted
from trainer.checkpoint.folder import Checkpoint, load_checkpoint
from trainer.checkpoint.place import check_place, one_run
from trainer.checkpoint.series import Series, begin_series, published, read_series, write_series
from trainer.checkpoint.unfinished import is_unfinished
from trainer.run.keeping import warn_of_unfinished
from trainer.run.resume import LOCAL, check_asked, local_of, resumed
from trainer.run.train import carry_out
from trainer.settings.request import Request

# What the best run is the best in → the name of the figure.
SELECTED: Final = {"loss": "calibrated_loss", "accuracy": "accuracy", "f1": "macro_f1"}
# The figures of each run that are told.
NAMES: Final = ("accuracy", "macro_f1", "loss")


def resumed_series(folder: Path, asked: Mapping[str, Any]) -> Series:
    """Return the series in a folder, taken up again.

    Args:
        folder: where it was begun.
        asked: as in `resumed`, but for the length of a run; and how many runs there are to be.

    Raises:
        ModelFileError: the series is damaged.
        UsageError: it is finished, or has something else than is asked for.
    """
    series, asked = read_series(folder), dict(asked)
    number = asked.pop(series.kind, None) or series.number
    if published(folder) >= number:
        raise UsageError(
            f"--resume: {folder} has {counted(number, 'run')}, all finished. "
            f"--{series.kind} with a larger number adds some"
        )
    local = local_of(asked)
    request = replace(series.request, resume=True)
    check_asked(request, asked)
    return replace(series, number=number, request=replace(request, **local))


@contextmanager
def under_way(series: Series) -> Iterator[None]:
    """Hold the folder of a series for the block; what ends it says how to go on.

    Raises:
        OutputError: the output may not be written, or another run is training there.
        TrainingError: the disk is full or failing.
    """
    folder = series.folder
    check_place(folder)
    with one_run(folder):
        if series.request.resume:
            write_series(series)
        else:
            warn_of_unfinished(folder)
            begin_series(series)
        try:
            yield
        except (KeyboardInterrupt, SentError) as error:
            if not hasattr(error, "__notes__"):
                error.add_note(f"sent-train --resume --output {folder} goes on with the others")
            raise


def judging_figures(checkpoint: Checkpoint) -> dict[str, float]:
    """Return the validation figures of a run: those that are told, and the loss that decides."""
    found = checkpoint.metrics["validation"]
    loss = found.get("calibrated_loss", found["loss"])  # runs of older versions have one loss
    return {**{name: found[name] for name in NAMES}, "calibrated_loss": loss}


def demerit(validation: Mapping[str, float], select: str) -> tuple[float, float]:
    """Return by what a run is behind another one: the least is the best, as among epochs.

    Args:
        validation: `judging_figures` of it.
        select: the recipe's.
    """
    loss, decides = validation["calibrated_loss"], validation[SELECTED[select]]
    return (loss if select == "loss" else -decides, loss)


def carry_out_one(series: Series, name: object, request: Request, test: bool = True) -> Checkpoint:
    """Carry out one run of a series, go on with it, or read it where it is finished.

    Args:
        series: what it belongs to.
        name: of its folder.
        request: the run, but for its output.
        test: see `carry_out`.
    """
    folder, events = series.place(name), request.tensorboard
    if events is not None:
        request = replace(request, tensorboard=events / str(name))
    if is_unfinished(folder):
        local = {option: getattr(request, option) for option in LOCAL}
        request = resumed(folder, {o: value for o, value in local.items() if value is not None})
    elif folder.exists():
        return load_checkpoint(folder)
    else:
        request = replace(request, output=folder, resume=False)
    return carry_out(request, goes_on=series.folder, test=test)

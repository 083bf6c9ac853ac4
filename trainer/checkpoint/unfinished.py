"""What a run goes on from while it is not finished: `training/` within its checkpoint folder.

::

    checkpoint/training/
    ├── config.json           the run: recipe, seed, data, teachers, versions, text settings
    ├── vocabulary.txt
    ├── targets.safetensors   what every text is trained towards
    └── state.safetensors     weights, optimizer, random numbers; replaced every few minutes

It stands beside the best finished epoch's model, and before the first one alone or beside an older
checkpoint, which stays until there is a better thing to have.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infer.base.commit import atomic_file, remove_stale_temporaries, sync
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.config import (
    CONFIG,
    FORMAT,
    FORMAT_VERSIONS,
    TRAINING,
    is_checkpoint,
    read_config,
)
from trainer.checkpoint.files import read_vocabulary, write_json
from trainer.checkpoint.folder import VOCABULARY
from trainer.checkpoint.place import check_place, errors_told, new_beside, recover, sync_all
from trainer.checkpoint.record import TrainingRecord


@dataclass(frozen=True)
class Begun:
    """What a run began with, as it is written down.

    Attributes:
        record: of the run.
        text: how text becomes tokens.
        vocabulary: token ↔ id.
    """

    record: TrainingRecord
    text: TextSettings
    vocabulary: Vocabulary


def is_unfinished(folder: Path) -> bool:
    """Tell whether there is a run in a checkpoint folder that can go on."""
    recover(folder)
    return (folder / TRAINING).is_dir()


def write_begun(training: Path, begun: Begun) -> None:
    """Write down what a run began with; config.json, which tells that it is all there, comes last.

    Args:
        training: an existing folder.
        begun: what to write.
    """
    with atomic_file(training / VOCABULARY) as path:
        path.write_text(begun.vocabulary.to_text(), encoding="utf-8", newline="\n")
    values = {"format": FORMAT, "format_version": FORMAT_VERSIONS[0]}
    with atomic_file(training / CONFIG) as path:
        write_json(path, values | begun.record.to_json() | {"text": begun.text.to_json()})


def load_begun(folder: Path) -> Begun:
    """Read what the unfinished run in a checkpoint folder began with.

    Runs of older versions have it beside their best epoch's model alone.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    recover(folder)
    place = folder / TRAINING
    if not (place / CONFIG).exists():
        place = folder
    config = read_config(place)
    return Begun(
        record=TrainingRecord.from_json(config, place),
        text=TextSettings.from_json(config.get("text")),
        vocabulary=read_vocabulary(place / VOCABULARY),
    )


def begin_training(folder: Path, write: Callable[[Path], None]) -> None:
    """Put a new run's `training/` into a checkpoint folder, and leave the rest of it as it is.

    Args:
        folder: a checkpoint, an empty folder or none yet; an unfinished run in it is given up.
        write: writes what --resume needs into the folder it is given.

    Raises:
        OutputError: `check_place` refuses the place.
        TrainingError: the disk is full or failing.
    """
    check_place(folder)
    with new_beside(folder) as new:
        (new / TRAINING).mkdir()
        write(new / TRAINING)
        sync_all(new)
        if not is_checkpoint(folder):
            new.rename(folder)
        else:
            if (folder / TRAINING).exists():
                (folder / TRAINING).rename(new / "given-up")
            (new / TRAINING).rename(folder / TRAINING)
            sync(folder)
        sync(folder.parent)


def replace_training(folder: Path, name: str, write: Callable[[Path], None]) -> None:
    """Replace one file of `training/`, at once.

    Raises:
        TrainingError: the disk is full or failing; the file is as it was.
    """
    path = folder / TRAINING / name
    with errors_told(folder):
        remove_stale_temporaries(path)
        with atomic_file(path) as temporary:
            write(temporary)

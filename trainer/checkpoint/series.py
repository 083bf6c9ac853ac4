"""The folder of several runs: each in a folder of its own, the best one's checkpoint over them.

::

    checkpoint/
    ├── series.json           what is run: how many, of which kind, and the request
    ├── seeds/123/            or trials/0, a checkpoint folder each
    ├── …
    └── weights.safetensors … the best one's files, once all are done
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infer.base.commit import atomic_file, sync
from infer.base.errors import ModelFileError
from trainer.checkpoint.config import CONFIG, FORMAT, SERIES, TRAINING
from trainer.checkpoint.files import read_json, write_json
from trainer.checkpoint.folder import HISTORY, METRICS, REPORT, VALIDATION, VOCABULARY, WEIGHTS
from trainer.checkpoint.place import check_place, errors_told
from trainer.checkpoint.unfinished import is_unfinished
from trainer.settings.request import Request

SEEDS: Final = "seeds"
TRIALS: Final = "trials"
KINDS: Final = (SEEDS, TRIALS)
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Series:
    """Several runs of one request.

    Attributes:
        kind: `seeds` or `trials`.
        number: how many runs.
        request: what all have in common; its output is the folder over theirs.
        searched: the settings of the recipe that trials differ in.
    """

    kind: str
    number: int
    request: Request
    searched: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder over those of the runs."""
        return self.request.output

    def place(self, name: object) -> Path:
        """The folder of one run."""
        return self.folder / self.kind / str(name)


def is_series(folder: Path) -> bool:
    """Tell whether several runs are in a folder; a single one that came later takes their place."""
    return (folder / SERIES).is_file() and not is_unfinished(folder)


def begin_series(series: Series) -> None:
    """Make the folder; other runs in it go, and an older checkpoint stays until all are done.

    Raises:
        OutputError: `check_place` refuses the place.
        TrainingError: the disk is full or failing.
    """
    check_place(series.folder)
    with errors_told(series.folder):
        series.folder.mkdir(exist_ok=True)
        for name in (TRAINING, *KINDS):
            shutil.rmtree(series.folder / name, ignore_errors=True)
        write_series(series)


def write_series(series: Series) -> None:
    """Write down what is run.

    Raises:
        TrainingError: the disk is full or failing.
    """
    values = {
        "format": FORMAT,
        "series_version": FORMAT_VERSION,
        "kind": series.kind,
        "number": series.number,
        "searched": list(series.searched),
        "request": series.request.to_json(),
    }
    with errors_told(series.folder), atomic_file(series.folder / SERIES) as path:
        write_json(path, values)


def read_series(folder: Path) -> Series:
    """Read what is run in a folder.

    Raises:
        ModelFileError: the file is missing or damaged, or of a later version.
        UsageError: this version does not compute what was asked for.
    """
    path = folder / SERIES
    values = read_json(path)
    if (version := values.get("series_version")) != FORMAT_VERSION or values["kind"] not in KINDS:
        raise ModelFileError(f"{path}: version {version!r}, expected {FORMAT_VERSION}")
    try:
        return Series(
            kind=values["kind"],
            number=int(values["number"]),
            request=Request.from_json(values["request"], folder),
            searched=tuple(values["searched"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: damaged ({error!r})") from error


def publish(series: Series, name: object, figures: Mapping[str, Any]) -> None:
    """Put the checkpoint of one run over all of them, with figures of all in its metrics.

    Without its config.json, which goes first and comes last, a folder is no checkpoint: there is no
    instant at which files of two would be taken for one.

    Raises:
        TrainingError: the disk is full or failing.
    """
    folder, best = series.folder, series.place(name)
    with errors_told(folder):
        (folder / CONFIG).unlink(missing_ok=True)
        sync(folder)
        for file in (WEIGHTS, VOCABULARY, HISTORY, REPORT, VALIDATION):
            with atomic_file(folder / file) as path:
                shutil.copyfile(best / file, path)
        with atomic_file(folder / METRICS) as path:
            write_json(path, read_json(best / METRICS) | {series.kind: dict(figures)})
        with atomic_file(folder / CONFIG) as path:
            shutil.copyfile(best / CONFIG, path)


def published(folder: Path) -> int:
    """Return of how many runs the checkpoint over them is the best; 0 where there is none yet."""
    if not (folder / CONFIG).exists():
        return 0
    series, metrics = read_series(folder), read_json(folder / METRICS)
    return len(metrics.get(series.kind, {}).get("runs", ()))

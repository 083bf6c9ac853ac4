"""What training leaves: a folder of weights, vocabulary, configuration, metrics and validation.

::

    checkpoint/
    ├── weights.safetensors   the best epoch's weights, float32
    ├── vocabulary.txt        one token a line, in the order of the ids
    ├── config.json           recipe, sizes, text settings, labels, temperature, seed, versions
    ├── metrics.json          validation and test figures
    ├── history.csv           a line an epoch
    ├── report.html           the figures to look at, once training is finished
    ├── validation.parquet    up to 2,000 validation reviews, for the exporter's parity check
    └── training/             only while unfinished: what --resume goes on from
"""

import csv
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.commit import check_folder, sync, writable
from infer.base.errors import ModelFileError, OutputError, TrainingError
from infer.model.labels import format_version
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.config import (
    CONFIG,
    FORMAT,
    is_checkpoint,
    model_sizes,
    names_of_labels,
    read_config,
    temperature_of,
    written_sizes,
)
from trainer.checkpoint.files import load_tensors, load_weights, read_json, save_tensors, write_json
from trainer.checkpoint.record import TrainingRecord
from trainer.network.model import ModelConfig, SentimentLSTM

WEIGHTS: Final = "weights.safetensors"
VOCABULARY: Final = "vocabulary.txt"
METRICS: Final = "metrics.json"
HISTORY: Final = "history.csv"
REPORT: Final = "report.html"
VALIDATION: Final = "validation.parquet"
TRAINING: Final = "training"

MAX_VALIDATION_ROWS: Final = 2_000
# Of a folder's name, so that there is room for `.NAME.new` in any file system in use.
MAX_NAME_BYTES: Final = 250


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with everything that goes with it.

    Attributes:
        model: in evaluation mode, on the CPU, float32.
        vocabulary: token ↔ id.
        text: how text becomes tokens.
        labels: names of the labels; of two, (negative, positive).
        metrics: `validation`, `test` (null while training is unfinished), `data`, and `scores`
            where a column of them taught.
        record: of the run that made it.
        validation: `text` (string) and `label` (int16) of up to 2,000 validation reviews.
        temperature: what logits are divided by before they become probabilities (1 =
            uncalibrated).
    """

    model: SentimentLSTM
    vocabulary: Vocabulary
    text: TextSettings
    labels: tuple[str, ...]
    metrics: dict[str, Any]
    record: TrainingRecord
    validation: pa.Table
    temperature: float = 1.0


def check_place(folder: Path) -> None:
    """Make sure that a checkpoint may be written to `folder`.

    A checkpoint or an empty folder may be replaced; nothing else is.

    Raises:
        OutputError: something else is there, nothing can be made beside it, or it is a mount
            point, which cannot be renamed.
    """
    with writable(folder):
        _refuse_wrong_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
    check_folder(folder)


def _refuse_wrong_place(folder: Path) -> None:
    if folder.name in ("", ".."):
        raise OutputError(f"{folder}: expected the folder's name. Use --output with another path")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: not a folder. Use --output with another path")
    if folder.is_dir() and any(folder.iterdir()) and not is_checkpoint(folder):
        raise OutputError(
            f"{folder}: a folder that is no checkpoint and not empty; it is left as it is. "
            "Use --output with another path"
        )
    if os.path.ismount(folder):
        raise OutputError(
            f"{folder}: a mount point cannot be replaced. Use --output with a folder within it"
        )
    if (length := len(os.fsencode(folder.name))) > MAX_NAME_BYTES:
        raise OutputError(
            f"{folder}: the name has {length} bytes, expected at most {MAX_NAME_BYTES}. "
            "Use --output with another path"
        )


def save_checkpoint(
    folder: Path,
    checkpoint: Checkpoint,
    history: Sequence[Mapping[str, Any]],
    save_training: Callable[[Path], None] | None = None,
    report: str | None = None,
) -> None:
    """Write a checkpoint folder beside its place, then put it there by renaming.

    Args:
        folder: where it goes; an older checkpoint there is replaced.
        checkpoint: what to write.
        history: a mapping of the same keys for each epoch.
        save_training: writes what --resume needs into the folder it is given.
        report: a finished run's figures as an HTML page.

    Raises:
        OutputError: `check_place` refuses the place.
        TrainingError: the disk is full or failing; an older checkpoint is intact.
    """
    check_place(folder)
    new = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        _write(new, checkpoint, history)
        if report is not None:
            (new / REPORT).write_text(report, encoding="utf-8", newline="\n")
        if save_training is not None:
            (new / TRAINING).mkdir()
            save_training(new / TRAINING)
        for path in [*new.rglob("*"), new]:
            sync(path)
        _replace(folder, new)
        sync(folder.parent)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error})") from error
    finally:
        recover(folder)
        shutil.rmtree(new, ignore_errors=True)


def _write(folder: Path, checkpoint: Checkpoint, history: Sequence[Mapping[str, Any]]) -> None:
    save_tensors(folder / WEIGHTS, checkpoint.model.state_dict())
    (folder / VOCABULARY).write_text(
        checkpoint.vocabulary.to_text(), encoding="utf-8", newline="\n"
    )
    config = {
        "format": FORMAT,
        "format_version": format_version(len(checkpoint.labels)),
        **checkpoint.record.to_json(),
        "model": written_sizes(checkpoint.model.config),
        "text": checkpoint.text.to_json(),
        "labels": list(checkpoint.labels),
        "temperature": checkpoint.temperature,
    }
    write_json(folder / CONFIG, config)
    write_json(folder / METRICS, checkpoint.metrics)
    (folder / HISTORY).write_text(_csv(history), encoding="utf-8", newline="\n")
    rows = checkpoint.validation.slice(0, MAX_VALIDATION_ROWS)
    rows = rows.cast(_validation_schema(len(checkpoint.labels)))
    pq.write_table(rows, folder / VALIDATION, compression="zstd")


def _replace(folder: Path, new: Path) -> None:
    """Rename `new` to `folder`; a kill in between leaves the old one as `.NAME.old`."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back a checkpoint whose replacement was killed between its two renames."""
    old = folder.with_name(f".{folder.name}.old")
    if not folder.exists() and is_checkpoint(old):
        old.rename(folder)


def _csv(history: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    if history:
        writer = csv.DictWriter(out, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    return out.getvalue()


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and hold its parts against each other.

    Args:
        folder: what `sent-train` wrote.

    Raises:
        ModelFileError: a file is missing or damaged, or parts do not agree; the message says which.
    """
    config = _read_config(folder)
    vocabulary = _read_vocabulary(folder / VOCABULARY)
    labels = names_of_labels(config, folder)
    sizes = model_sizes(config, len(labels), folder)
    if sizes.vocabulary_size != len(vocabulary):
        raise ModelFileError(
            f"{folder}: the embedding has {sizes.vocabulary_size} rows, the vocabulary "
            f"{len(vocabulary)} tokens; expected as many"
        )
    return Checkpoint(
        model=_load_model(folder / WEIGHTS, sizes),
        vocabulary=vocabulary,
        text=TextSettings.from_json(config.get("text")),
        labels=labels,
        metrics=read_json(folder / METRICS),
        record=TrainingRecord.from_json(config, folder),
        validation=_read_validation(folder / VALIDATION, len(labels)),
        temperature=temperature_of(config, folder),
    )


def load_record(folder: Path) -> TrainingRecord:
    """Read what is written down of the run in a checkpoint folder, and nothing else.

    Raises:
        ModelFileError: there is no checkpoint, or its config.json is damaged.
    """
    return TrainingRecord.from_json(_read_config(folder), folder)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        recover(folder)
        is_there = folder.is_dir()
    except OSError as error:
        raise ModelFileError(f"{folder}: cannot be read ({error.strerror})") from error
    if not is_there:
        raise ModelFileError(f"{folder}: no checkpoint there. Train one with sent-train")
    return read_config(folder)


def _load_model(path: Path, sizes: ModelConfig) -> SentimentLSTM:
    model = SentimentLSTM(sizes)
    load_weights(model, load_tensors(path), path)
    return model.eval()


def _read_vocabulary(path: Path) -> Vocabulary:
    try:
        # `newline=""`: a token is never changed by what a platform takes for a line's end.
        with path.open(encoding="utf-8", newline="") as file:
            return Vocabulary.from_text(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error


def _validation_schema(labels: int) -> pa.Schema:
    """Return the columns of the validation file; numbers of two labels have a byte."""
    return pa.schema([("text", pa.string()), ("label", pa.int8() if labels == 2 else pa.int16())])


def _read_validation(path: Path, labels: int) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error
    if not table.schema.equals(_validation_schema(labels)):
        raise ModelFileError(f"{path}: columns {table.schema.names}, expected text and label")
    return table.set_column(1, "label", table["label"].cast(pa.int16()))

"""What training leaves: a folder of weights, vocabulary, configuration, metrics and validation.

::

    checkpoint/
    ├── weights.safetensors   the best epoch's weights, float32
    ├── vocabulary.txt        one token a line, in the order of the ids
    ├── config.json           recipe, sizes, text settings, labels, temperature, threshold, seed, …
    ├── metrics.json          validation and test figures
    ├── history.csv           a line an epoch
    ├── report.html           the figures to look at, once training is finished
    ├── validation.parquet    up to 2,000 validation reviews, for the exporter's parity check
    └── training/             only while unfinished, see `trainer.checkpoint.unfinished`
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.errors import MissingModelError, ModelFileError
from infer.model.labels import format_version
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.config import (
    CONFIG,
    FORMAT,
    TRAINING,
    is_checkpoint,
    model_sizes,
    names_of_labels,
    read_config,
    temperature_of,
    threshold_of,
    written_sizes,
)
from trainer.checkpoint.files import (
    load_tensors,
    load_weights,
    read_json,
    read_vocabulary,
    save_tensors,
    write_json,
)
from trainer.checkpoint.place import check_place, new_beside, put, recover, sync_all
from trainer.checkpoint.record import TrainingRecord
from trainer.network.model import ModelConfig, SentimentLSTM

WEIGHTS: Final = "weights.safetensors"
VOCABULARY: Final = "vocabulary.txt"
METRICS: Final = "metrics.json"
HISTORY: Final = "history.csv"
REPORT: Final = "report.html"
VALIDATION: Final = "validation.parquet"

MAX_VALIDATION_ROWS: Final = 2_000


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
        threshold: the score from which on the positive label is predicted, of two labels.
    """

    model: SentimentLSTM
    vocabulary: Vocabulary
    text: TextSettings
    labels: tuple[str, ...]
    metrics: dict[str, Any]
    record: TrainingRecord
    validation: pa.Table
    temperature: float = 1.0
    threshold: float = 0.5

    @property
    def ordinal(self) -> bool:
        """Whether the labels are numbers in an order."""
        return self.record.data.ordinal

    @property
    def text_column(self) -> str | None:
        """The column that the texts of training stood in, where that is known."""
        return self.record.data.found_text_column


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
    with new_beside(folder) as new:
        _write(new, checkpoint, history)
        if report is not None:
            (new / REPORT).write_text(report, encoding="utf-8", newline="\n")
        if save_training is not None:
            (new / TRAINING).mkdir()
            save_training(new / TRAINING)
        sync_all(new)
        put(new, folder)


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
        "threshold": checkpoint.threshold,
    }
    write_json(folder / CONFIG, config)
    write_json(folder / METRICS, checkpoint.metrics)
    (folder / HISTORY).write_text(_csv(history), encoding="utf-8", newline="\n")
    rows = checkpoint.validation.slice(0, MAX_VALIDATION_ROWS)
    rows = rows.cast(_validation_schema(len(checkpoint.labels)))
    pq.write_table(rows, folder / VALIDATION, compression="zstd")


def _csv(history: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    if history:
        # Epochs of an older version, which --resume took up, have fewer figures.
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(out, names, lineterminator="\n")
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
    vocabulary = read_vocabulary(folder / VOCABULARY)
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
        threshold=threshold_of(config, folder),
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
        raise MissingModelError(f"{folder}: cannot be read ({error.strerror})") from error
    if not is_there:
        raise MissingModelError(f"{folder}: no checkpoint there. Train one with sent-train")
    if is_checkpoint(folder) and not (folder / CONFIG).exists():
        raise ModelFileError(
            f"{folder}: its training has not come so far that there is a model. "
            f"Go on with sent-train --resume --output {folder}"
        )
    return read_config(folder)


def _load_model(path: Path, sizes: ModelConfig) -> SentimentLSTM:
    model = SentimentLSTM(sizes)
    load_weights(model, load_tensors(path), path)
    return model.eval()


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

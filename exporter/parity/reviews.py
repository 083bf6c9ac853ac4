"""The real texts that parity is checked on, with their labels where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError, UsageError
from infer.base.words import counted
from infer.model.probability import Labels
from infer.table.columns import LABEL_COLUMNS
from infer.table.files import read_schema
from trainer.checkpoint.folder import Checkpoint
from trainer.data.datasets import numbered
from trainer.data.labels import labels_like
from trainer.data.reading import Columns, hash_files, read_raw, read_texts
from trainer.settings.labels import LabelRules


@dataclass(frozen=True)
class Reviews:
    """R texts to compare on.

    Attributes:
        texts: (R,) large_string.
        labels: (R,) numbers of the true labels; None where nothing is labelled.
        source: what they are, for people.
        sha256: hash of the file they come from, '' for the checkpoint's own.
    """

    texts: pa.Array
    labels: Labels | None
    source: str
    sha256: str = ""


def read_reviews(path: Path | None, checkpoint: Checkpoint) -> Reviews:
    """Read `--parity-data`, or the validation reviews that the checkpoint keeps for the purpose.

    Args:
        path: a file with a text column and perhaps a label column; None for the default.
        checkpoint: the trained model.

    Raises:
        InputError: the file cannot be read, has no text, or other labels than the checkpoint.
    """
    if path is None:
        table, source, sha256 = checkpoint.validation, "the checkpoint's validation reviews", ""
    else:
        table, source, sha256 = _read(path, checkpoint), path.name, hash_files([path])
    reviews = _reviews(table, source, sha256)
    if not _has_text(reviews.texts):
        raise InputError(
            f"{path or source}: {counted(len(reviews.texts), 'row')} without any text, expected "
            "reviews to compare on. Use --parity-data with another file"
        )
    return reviews


def reviews_of(texts: Sequence[str]) -> Reviews:
    """Return texts that a caller has, which are not labelled.

    Raises:
        UsageError: there is nothing in them to compare on.
    """
    found = pa.array(texts, pa.large_string())
    if not _has_text(found):
        raise UsageError(
            f"{counted(len(found), 'text')} without any text, expected some to compare on"
        )
    return Reviews(found, None, "the caller's texts")


def _has_text(texts: pa.Array) -> bool:
    return bool(pc.any(pc.greater(pc.utf8_length(texts), 0)).as_py())


def _read(path: Path, checkpoint: Checkpoint) -> pa.Table:
    """Return a table of `text` and, where the file has labels, `label` (int16)."""
    columns = _columns(path, checkpoint)
    if columns.label is None:
        return pa.table({"text": read_texts(path, columns)})
    raw = read_raw(path, columns)
    if raw["label"].null_count == raw.num_rows:  # a column that is there for the others' sake
        return pa.table({"text": raw["text"]})
    labels = labels_like(raw["label"], checkpoint.labels, rules_of(checkpoint), path)
    return numbered(raw, labels, path).select(["text", "label"])


def _columns(path: Path, checkpoint: Checkpoint) -> Columns:
    """Return where the file's texts and labels stand: where the trainer was told, else as usual."""
    trained = checkpoint.record.data
    there = read_schema(path, trained.delimiter).names
    names = (trained.text_column, trained.found_text_column)
    text = next((name for name in names if name in there), None)
    label = [name for name in (trained.label_column, *LABEL_COLUMNS) if name in there]
    return Columns(text, label[0] if label else None, delimiter=trained.delimiter)


def rules_of(checkpoint: Checkpoint) -> LabelRules:
    """Return what was asked for about the labels that a checkpoint was trained on."""
    data = checkpoint.record.data
    return LabelRules(data.positive, data.labels, data.ordinal)


def _reviews(table: pa.Table, source: str, sha256: str) -> Reviews:
    labels = None
    if "label" in table.column_names:
        labels = table["label"].to_numpy().astype(np.int16)
    texts = table["text"].cast(pa.large_string()).combine_chunks()
    return Reviews(texts, labels, source, sha256)

"""Labelled reviews: the embedded sample, IMDB, or anybody's Parquet files.

Legend: R rows.
"""

import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.encoding import decode_utf8
from infer.errors import InputError
from trainer.labels import Labels, name_labels, read_labels

TEXT_COLUMNS: Final = ("text", "review")
LABEL_COLUMNS: Final = ("label", "sentiment", "target")
SCHEMA: Final = pa.schema([("text", pa.large_string()), ("label", pa.int8())])
TEST_SHARE: Final = 0.2


@dataclass(frozen=True)
class Dataset:
    """Reviews to train on, and reviews that are looked at once, after training.

    Attributes:
        name: what was asked for: `sample`, `imdb` or a path.
        train: (R,) `text` large_string, `label` int8 (1 positive, 0 negative).
        test: the same columns.
        unlabelled: the file with texts without a label, where there is one.
        labels: names of the classes, (negative, positive).
        sha256: hash over the bytes of the files.
        notes: what a person should know about the data, a sentence each.
    """

    name: str
    train: pa.Table
    test: pa.Table
    unlabelled: Path | None
    labels: tuple[str, str]
    sha256: str
    notes: tuple[str, ...] = ()


def load_dataset(name: str, seed: int) -> Dataset:
    """Load the reviews that `--data` names.

    Args:
        name: `sample`, `imdb`, a Parquet file, or a folder of train.parquet and test.parquet.
        seed: decides which rows of a single file become the test part.

    Raises:
        InputError: files, columns or classes are missing or wrong, or a download failed.
    """
    path = _locate(name)
    data = _load_folder(name, path) if path.is_dir() else _load_file(name, path, seed)
    return replace(data, notes=(*data.notes, *_remarks(data)))


def _locate(name: str) -> Path:
    """Return the file or folder that holds the data, downloading it where that is asked for."""
    if name == "sample":
        return find_sample()
    if name == "imdb":
        from trainer.download import fetch_imdb

        return fetch_imdb()
    path = Path(name)
    if not path.exists():
        raise InputError(
            f"--data {name}: no such file or folder. Expected sample, imdb, a Parquet file, or a "
            "folder with train.parquet and test.parquet"
        )
    return path


def find_sample() -> Path:
    """Return the repository's data folder, looked for beside the package, then from here.

    Raises:
        InputError: neither place has it (an installed wheel does not carry it).
    """
    places = (Path(__file__).resolve().parent.parent / "data", Path.cwd() / "data")
    for place in places:
        if all((place / name).is_file() for name in ("train.parquet", "test.parquet")):
            return place
    raise InputError(
        "--data sample: the embedded sample is not here (looked for train.parquet and "
        f"test.parquet in {' and '.join(map(str, dict.fromkeys(places)))}). It comes with a clone "
        "of the repository, not with the wheel. Use --data imdb or --data PATH"
    )


def _load_folder(name: str, folder: Path) -> Dataset:
    train, test = folder / "train.parquet", folder / "test.parquet"
    for path in (train, test):
        if not path.is_file():
            raise InputError(
                f"{folder}: no {path.name}. A data folder holds train.parquet and test.parquet "
                "(and perhaps unsup.parquet)"
            )
    raw_train, raw_test = read_raw(train), read_raw(test)
    labels = name_labels(raw_train["label"], train)
    unsup = folder / "unsup.parquet"
    return Dataset(
        name=name,
        train=_table(raw_train, labels, train),
        test=_table(raw_test, labels, test),
        unlabelled=unsup if unsup.is_file() else None,
        labels=labels.names,
        sha256=hash_files([train, test]),
        notes=labels.notes,
    )


def _load_file(name: str, path: Path, seed: int) -> Dataset:
    """Load a single Parquet file and split its test part off."""
    raw = read_raw(path)
    labels = name_labels(raw["label"], path)
    table = _table(raw, labels, path)
    train, test = split_rows(table, TEST_SHARE, seed)
    note = (
        f"{path} is one file: {test.num_rows:,} of its {table.num_rows:,} rows, drawn with seed "
        f"{seed}, are kept apart as the test part."
    )
    return Dataset(
        name=name,
        train=train,
        test=test,
        unlabelled=None,
        labels=labels.names,
        sha256=hash_files([path]),
        notes=(*labels.notes, note),
    )


def split_rows(table: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Draw `share` of the rows with `seed`: (the others, the drawn ones), both in file order.

    At least one row is drawn and at least one is left.

    Raises:
        InputError: the table has fewer than two rows.
    """
    if table.num_rows < 2:
        raise InputError(f"{table.num_rows} rows cannot be split; expected at least 2 reviews")
    count = min(max(1, round(share * table.num_rows)), table.num_rows - 1)
    order = np.random.default_rng([seed, 0]).permutation(table.num_rows)
    return table.take(np.sort(order[count:])), table.take(np.sort(order[:count]))


def read_raw(path: Path) -> pa.Table:
    """Read a file's text and label columns as `text` (large_string) and `label` (as stored).

    Raises:
        InputError: it is no Parquet file, or a column is missing.
    """
    schema = _schema(path)
    label = _label_column(schema, path)
    text = text_column(schema, path, without=(label,))
    table = pq.read_table(path, columns=[text, label])
    return pa.table({"text": _strings(table[text]), "label": table[label]})


def read_texts(path: Path) -> pa.Array:
    """Read a file's text column: (R,) large_string.

    Raises:
        InputError: it is no Parquet file, or has no text column.
    """
    name = text_column(_schema(path), path, without=LABEL_COLUMNS)
    return _strings(pq.read_table(path, columns=[name])[name])


def read_unlabelled(path: Path) -> pa.Array:
    """Read the texts of a file that has no labels, or whose labels are not looked at.

    Raises:
        InputError: it is no Parquet file, or has no text column.
    """
    return read_texts(path).drop_null()


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Expected a Parquet file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def text_column(schema: pa.Schema, path: Path, without: Container[str] = ()) -> str:
    """Return the text column: `text`, else `review`, else the only string column.

    Raises:
        InputError: there is no such column, or several could be meant.
    """
    strings: list[str] = [f.name for f in schema if _holds_text(f.type) and f.name not in without]
    for name in TEXT_COLUMNS:
        if name in strings:
            return name
    if len(strings) == 1:
        return strings[0]
    raise InputError(
        f"{path}: no text column. Columns: {', '.join(schema.names)}. Expected a string column "
        f"named {' or '.join(TEXT_COLUMNS)}, or a single string column"
    )


def _label_column(schema: pa.Schema, path: Path) -> str:
    for name in LABEL_COLUMNS:
        if name in schema.names:
            return name
    raise InputError(
        f"{path}: no label column. Columns: {', '.join(schema.names)}. Expected one named "
        f"{', '.join(LABEL_COLUMNS)}"
    )


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _strings(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one large_string array; what is not UTF-8 becomes null."""
    parts = [decode_utf8(chunk)[0] for chunk in column.chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.large_string())


def _table(raw: pa.Table, labels: Labels, path: Path) -> pa.Table:
    """Turn the labels into int8, and leave out rows without text."""
    table = pa.table([raw["text"], read_labels(raw["label"], labels, path)], schema=SCHEMA)
    return table.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(table["text"])), 0))


def _remarks(data: Dataset) -> Iterable[str]:
    """Say what makes a figure doubtful: test texts seen in training, texts with two labels."""
    shared = int(pc.sum(pc.is_in(data.test["text"], pc.unique(data.train["text"]))).as_py() or 0)
    if shared:
        yield (
            f"Warning: {shared:,} of the {data.test.num_rows:,} test texts stand in the training "
            "part too, so the test accuracy is too high."
        )
    spans = data.train.group_by("text").aggregate([("label", "min"), ("label", "max")])
    torn = int(pc.sum(pc.not_equal(spans["label_min"], spans["label_max"])).as_py() or 0)
    if torn:
        yield f"Warning: {torn:,} training texts carry both labels."


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 over the bytes of the files, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()

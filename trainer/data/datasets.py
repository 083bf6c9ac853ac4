"""Labelled reviews: the embedded sample, IMDB, or anybody's files.

Legend: R rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.table.columns import SCORE_COLUMN
from infer.table.files import how_read, read_schema
from infer.table.formats import FORMATS
from trainer.data.labels import Labels, has_label, name_labels, read_labels
from trainer.data.reading import USUAL, Columns, find_columns, hash_files, read_raw
from trainer.data.scores import read_scores
from trainer.data.splits import split_rows

SCHEMA: Final = pa.schema(
    [
        ("text", pa.large_string()),
        ("label", pa.int8()),
        ("id", pa.large_string()),
        ("score", pa.float32()),
    ]
)
TEST_SHARE: Final = 0.2
# Its generator tells the sample from anybody's own `data/`.
SAMPLE_FILES: Final = ("train.parquet", "test.parquet", "generate.py", "grammar.py")


@dataclass(frozen=True)
class Dataset:
    """Reviews to train on, and reviews that are looked at once, after training.

    Attributes:
        name: what was asked for: `sample`, `imdb` or a path.
        train: (R,) `text` large_string, `label` int8 (1 positive, 0 negative), `id` large_string
            (the file's `id` or `review_id`, else the row's number in the file, from 0), `score`
            float32 (a teacher's probability of the positive label; null where there is none).
        scored: rows of the training file that have a score and no label: the same columns.
        test: the same columns; its scores are not looked at.
        unlabelled: the file with texts without a label, where there is one.
        labels: names of the classes, (negative, positive).
        sha256: hash over the bytes of the files.
        notes: what a person should know about the data, a sentence each.
        text_column: the column that the training texts stood in.
        score_column: the column that the training file's scores stood in, if any.
    """

    name: str
    train: pa.Table
    scored: pa.Table
    test: pa.Table
    unlabelled: Path | None
    labels: tuple[str, str]
    sha256: str
    notes: tuple[str, ...] = ()
    text_column: str | None = None
    score_column: str | None = None


@dataclass(frozen=True)
class TrainingFile:
    """The reviews of a file to train on.

    Attributes:
        labelled: (R,) rows of `SCHEMA`, each with a label.
        scored: rows of `SCHEMA` with a score and no label.
        labels: the two classes.
        text_column: where the texts stood.
        score_column: where the scores stood, if there are any.
        notes: what a person should know, a sentence each.
    """

    labelled: pa.Table
    scored: pa.Table
    labels: Labels
    text_column: str
    score_column: str | None
    notes: tuple[str, ...]


def load_dataset(name: str, seed: int, columns: Columns = USUAL) -> Dataset:
    """Load the reviews that `--data` names.

    Args:
        name: `sample`, `imdb`, a file of Parquet, CSV or JSON Lines, or a folder of two such
            files, train and test.
        seed: decides which rows of a single file become the test part.
        columns: where texts and labels stand.

    Raises:
        InputError: files, columns or classes are missing or wrong, or a download failed.
    """
    try:
        path = _locate(name)
        if path.is_dir():
            data = _load_folder(name, path, columns)
        else:
            data = _load_file(name, path, seed, columns)
    except OSError as error:
        raise InputError(f"--data {name}: cannot be read ({error})") from error
    return replace(data, notes=(*data.notes, *_remarks(data)))


def _locate(name: str) -> Path:
    """Return the file or folder that holds the data, downloading it where that is asked for."""
    if name == "sample":
        return find_sample()
    if name == "imdb":
        from trainer.data.download import fetch_imdb

        return fetch_imdb()
    path = Path(name)
    if not path.exists():
        raise InputError(
            f"--data {name}: no such file or folder. Expected sample, imdb, a file (Parquet, CSV "
            "or JSON Lines), or a folder with train.parquet and test.parquet"
        )
    return path


def find_sample() -> Path:
    """Return the repository's data folder, looked for beside the package, then from here.

    Raises:
        InputError: neither place has it (an installed wheel does not carry it).
    """
    places = (Path(__file__).resolve().parents[2] / "data", Path.cwd() / "data")
    for place in places:
        if all((place / name).is_file() for name in SAMPLE_FILES):
            return place
    raise InputError(
        f"--data sample: the embedded sample is not here (looked for {', '.join(SAMPLE_FILES)} "
        f"in {' and '.join(map(str, dict.fromkeys(places)))}). It comes with a clone "
        "of the repository, not with the wheel. Use --data imdb or --data PATH"
    )


def _load_folder(name: str, folder: Path, columns: Columns) -> Dataset:
    train, test = _part(folder, "train"), _part(folder, "test")
    if train is None or test is None:
        raise InputError(
            f"{folder}: no {'test' if train else 'train'}.parquet. A data folder holds "
            "train.parquet and test.parquet (and perhaps unsup.parquet), or the same as .csv or "
            ".jsonl"
        )
    found, raw = _read_training_file(train, columns), read_raw(test, columns)
    labels = found.labels
    testing = _labelled(raw, labels, test)
    for problem in _one_class(found.labelled, labels, train):
        raise InputError(f"{problem} Nothing can be learnt from one class")
    left_out = _left_out(raw.num_rows, testing.num_rows, test)
    return Dataset(
        name=name,
        train=found.labelled,
        scored=found.scored,
        test=testing,
        unlabelled=_part(folder, "unsup"),
        labels=labels.names,
        sha256=hash_files([train, test]),
        notes=(*found.notes, *left_out, *_one_class(testing, labels, test)),
        text_column=found.text_column,
        score_column=found.score_column,
    )


def _part(folder: Path, part: str) -> Path | None:
    """Return the folder's file of a part, in whichever format it is."""
    found = [path for suffix in FORMATS if (path := folder / f"{part}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder}: holds {names}, expected one of them. Move the others away")
    return found[0] if found else None


def _load_file(name: str, path: Path, seed: int, columns: Columns) -> Dataset:
    """Load a single file and split its test part off."""
    found = _read_training_file(path, columns)
    train, test = split_rows(found.labelled, TEST_SHARE, seed)
    note = (
        f"{path} is one file: {test.num_rows:,} of its {found.labelled.num_rows:,} labelled rows, "
        f"drawn with seed {seed} from each class by about its share, are kept apart as the test "
        "part."
    )
    return Dataset(
        name=name,
        train=train,
        scored=found.scored,
        test=test,
        unlabelled=None,
        labels=found.labels.names,
        sha256=hash_files([path]),
        notes=(*found.notes, note),
        text_column=found.text_column,
        score_column=found.score_column,
    )


def _read_training_file(path: Path, columns: Columns) -> TrainingFile:
    """Read labels and scores; a row without a label needs a score."""
    raw = read_raw(path, columns)
    text, label = find_columns(read_schema(path, columns.delimiter), path, columns)
    scores, notes = read_scores(path, columns.score, (text, label), columns.delimiter)
    known, unknown = raw, raw.slice(0, 0)
    if scores is not None:
        raw = raw.append_column("score", scores)
        is_known = has_label(raw["label"], path)
        known, unknown = raw.filter(is_known), raw.filter(pc.invert(is_known))
        if raw.num_rows and not known.num_rows:
            raise InputError(
                f"{path}: none of its {raw.num_rows:,} rows has a label. Scores teach, but "
                "validation and test go by true labels: label some rows of both classes"
            )
    labels = name_labels(known["label"], path)
    labelled, scored = _labelled(known, labels, path), _scored(unknown, path)
    left_out = _left_out(raw.num_rows, labelled.num_rows + scored.num_rows, path)
    return TrainingFile(
        labelled=labelled,
        scored=scored,
        labels=labels,
        text_column=text,
        score_column=None if scores is None else columns.score or SCORE_COLUMN,
        notes=(*how_read(path, columns.delimiter), *labels.notes, *left_out, *notes),
    )


def _labelled(raw: pa.Table, labels: Labels, path: Path) -> pa.Table:
    """Return the rows with their labels as int8, but for those without a text."""
    found = _table(raw, read_labels(raw["label"], labels, path))
    if not found.num_rows:
        raise InputError(f"{path}: none of its {raw.num_rows:,} rows has a text")
    return found


def _scored(raw: pa.Table, path: Path) -> pa.Table:
    """Return rows that have a score in place of a label, but for those without a text."""
    found = _table(raw, pa.nulls(raw.num_rows, pa.int8()))
    if missing := found["score"].null_count:
        raise InputError(
            f"{path}: {missing:,} rows have neither a label nor a score, expected one of them. "
            "Remove these rows, or pass them with --unlabelled"
        )
    return found


def _table(raw: pa.Table, labels: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Put a table of `SCHEMA` together, and leave out rows without text."""
    is_scored = "score" in raw.column_names
    scores = raw["score"] if is_scored else pa.nulls(raw.num_rows, pa.float32())
    table = pa.table([raw["text"], labels, raw["id"], scores], schema=SCHEMA)
    return table.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(table["text"])), 0))


def _one_class(table: pa.Table, labels: Labels, path: Path) -> Iterable[str]:
    """Say where no row of a class is left."""
    for label, name in enumerate(labels.names):
        if not pc.any(pc.equal(table["label"], label)).as_py():
            yield f"{path}: none of its {table.num_rows:,} reviews is {name!r}."


def _left_out(rows: int, kept: int, path: Path) -> Iterable[str]:
    """Say how many of a file's rows have no text, where there are any."""
    if empty := rows - kept:
        yield f"{path}: {empty:,} of its {rows:,} rows have no text and are left out."


def _remarks(data: Dataset) -> Iterable[str]:
    """Say what makes a figure doubtful: test texts seen in training, texts with two labels."""
    learnt = pa.concat_tables([data.train, data.scored])["text"]
    shared = int(pc.sum(pc.is_in(data.test["text"], pc.unique(learnt))).as_py() or 0)
    if shared:
        yield (
            f"Warning: {shared:,} of the {data.test.num_rows:,} test texts stand in the training "
            "part too, so the test accuracy is too high."
        )
    spans = data.train.group_by("text").aggregate([("label", "min"), ("label", "max")])
    torn = int(pc.sum(pc.not_equal(spans["label_min"], spans["label_max"])).as_py() or 0)
    if torn:
        yield f"Warning: {torn:,} training texts carry both labels."

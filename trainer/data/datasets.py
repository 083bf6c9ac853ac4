"""Labelled reviews: the embedded sample, IMDB, or anybody's files.

Legend: R rows, K labels.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.base.words import counted
from infer.table.files import how_read, read_schema
from infer.table.formats import FORMATS
from trainer.data.labels import (
    USUAL_RULES,
    Labels,
    has_label,
    name_labels,
    read_labels,
)
from trainer.data.reading import USUAL, Columns, find_columns, hash_files, read_raw
from trainer.data.scores import column_of, read_scores, score_type
from trainer.data.splits import GROUP, USUAL_NEAR, Near, count_classes, split_rows
from trainer.settings.labels import LabelRules

SCHEMA: Final = pa.schema(
    [
        ("text", pa.large_string()),
        ("label", pa.int16()),
        ("id", pa.large_string()),
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
        train: (R,) `text` large_string, `label` int16 (its position in `labels`), `id` large_string
            (the file's `id` or `review_id`, else the row's number in the file, from 0), `score` (a
            teacher's probabilities, see `score_type`; null where there are none), and `group`
            large_string where a group column was asked for.
        scored: rows of the training file that have a score and no label: the same columns.
        test: the same columns; its scores are not looked at.
        validation: the same columns, of the data folder's validation file; None where there is
            none, so that rows of `train` are held out for it.
        unlabelled: the file with texts without a label, where there is one.
        labels: names of the classes; of two, (negative, positive).
        sha256: hash over the bytes of the files.
        notes: what a person should know about the data, a sentence each.
        text_column: the column that the training texts stood in.
        score_column: the column that the training file's scores stood in, if any; of more than two
            labels what the columns' names begin with.
        label_column: the column that its labels stood in.
        ordinal: whether the labels are numbers in an order.
    """

    name: str
    train: pa.Table
    scored: pa.Table
    test: pa.Table
    unlabelled: Path | None
    labels: tuple[str, ...]
    sha256: str
    notes: tuple[str, ...] = ()
    text_column: str | None = None
    score_column: str | None = None
    label_column: str | None = None
    validation: pa.Table | None = None
    ordinal: bool = False


@dataclass(frozen=True)
class TrainingFile:
    """The reviews of a file to train on.

    Attributes:
        labelled: (R,) rows as `Dataset.train` has them, each with a label.
        scored: the same with a score and no label.
        labels: the classes.
        text_column: where the texts stood.
        score_column: where the scores stood, if there are any.
        label_column: where the labels stood.
        notes: what a person should know, a sentence each.
    """

    labelled: pa.Table
    scored: pa.Table
    labels: Labels
    text_column: str
    score_column: str | None
    label_column: str
    notes: tuple[str, ...]


def load_dataset(
    name: str,
    seed: int,
    columns: Columns = USUAL,
    rules: LabelRules = USUAL_RULES,
    near: Near = USUAL_NEAR,
) -> Dataset:
    """Load the reviews that `--data` names.

    Args:
        name: `sample`, `imdb`, a file of Parquet, CSV, TSV or JSON Lines, or a folder of two
            such files, train and test, and perhaps a third, validation.
        seed: decides which rows of a single file become the test part.
        columns: where texts and labels stand.
        rules: what was asked for about the labels.
        near: how close to its share of a label a test part is to be, see `split_rows`.

    Raises:
        InputError: files, columns or classes are missing or wrong, or a download failed.
    """
    try:
        path = _locate(name)
        if path.is_dir():
            data = _load_folder(name, path, columns, rules)
        else:
            data = _load_file(name, path, seed, columns, rules, near)
    except OSError as error:
        raise InputError(f"--data {name}: cannot be read ({error})") from error
    return replace(data, notes=(*data.notes, *_remarks(data)), ordinal=rules.ordinal)


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
            f"--data {name}: no such file or folder. Expected sample, imdb, a file (Parquet, CSV, "
            "TSV, JSON Lines), or a folder with train.parquet and test.parquet"
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


def _load_folder(name: str, folder: Path, columns: Columns, rules: LabelRules) -> Dataset:
    train, test = _part(folder, "train"), _part(folder, "test")
    if train is None or test is None:
        raise InputError(
            f"{folder}: no {'test' if train else 'train'}.parquet. A data folder holds "
            "train.parquet and test.parquet (and perhaps validation.parquet and unsup.parquet), or "
            "the same as .csv, .tsv or .jsonl"
        )
    found = _read_training_file(train, columns, rules)
    labels = found.labels
    for problem in _missing_classes(found.labelled, labels, train):
        raise InputError(f"{problem} Nothing can be learnt of a class without a text")
    testing, notes = _read_part(test, labels, columns)
    validating, more = None, tuple[str, ...]()
    if (validation := _part(folder, "validation")) is not None:
        validating, more = _read_part(validation, labels, columns)
        more = (f"{validation} validates; no row of {train.name} is held out for it.", *more)
    return Dataset(
        name=name,
        train=found.labelled,
        scored=found.scored,
        test=testing,
        unlabelled=_part(folder, "unsup"),
        labels=labels.names,
        sha256=hash_files([train, test, *([validation] if validation else [])]),
        notes=(*found.notes, *more, *notes),
        text_column=found.text_column,
        score_column=found.score_column,
        label_column=found.label_column,
        validation=validating,
    )


def _read_part(path: Path, labels: Labels, columns: Columns) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a file that judges, which need not have groups; and say what is missing in it.

    Raises:
        InputError: all its rows are of one class, by which nothing can be judged.
    """
    if columns.group not in read_schema(path, columns.delimiter).names:
        columns = replace(columns, group=None)
    raw = numbered(read_raw(path, columns), labels, path)
    table = _labelled(raw, labels, path)
    missing = list(_missing_classes(table, labels, path))
    if missing and len(pc.unique(table["label"])) < 2:
        raise InputError(f"{missing[0]} Add rows of the others, or give one file, which is split")
    return table, (*_left_out(raw.num_rows, table.num_rows, path), *missing)


def _missing_classes(table: pa.Table, labels: Labels, path: Path) -> Iterable[str]:
    """Say how many rows of each class there are, where one has none."""
    numbers = table["label"].to_numpy()
    if len(np.unique(numbers)) < len(labels.names):
        yield f"{path}: a class is missing ({count_classes(numbers, labels.names)})."


def _part(folder: Path, part: str) -> Path | None:
    """Return the folder's file of a part, in whichever format it is."""
    found = [path for suffix in FORMATS if (path := folder / f"{part}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder}: holds {names}, expected one of them. Move the others away")
    return found[0] if found else None


def _load_file(
    name: str, path: Path, seed: int, columns: Columns, rules: LabelRules, near: Near
) -> Dataset:
    """Load a single file and split its test part off."""
    found = _read_training_file(path, columns, rules)
    with named(path):
        train, test = split_rows(found.labelled, TEST_SHARE, seed, found.labels.names, near)
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
        label_column=found.label_column,
    )


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Put what is being split before an error that names only its rows."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_training_file(path: Path, columns: Columns, rules: LabelRules) -> TrainingFile:
    """Read labels and scores; rows that have neither are yet to be labelled, and left out."""
    raw = read_raw(path, columns)
    text, label = find_columns(read_schema(path, columns.delimiter), path, columns)
    is_known = has_label(raw["label"], path)
    if not raw.num_rows:
        raise InputError(f"{path}: no rows, expected some of each class")
    if not pc.any(is_known).as_py():
        raise InputError(
            f"{path}: none of its {counted(raw.num_rows, 'row')} has a label. Scores teach, but "
            "validation and test go by true labels: label some rows of each class"
        )
    labels = name_labels(raw["label"], path, rules)
    scores, notes = read_scores(path, columns.score, (text, label), labels.names, columns.delimiter)
    has_score = pc.is_valid(scores) if scores is not None else pa.repeat(False, raw.num_rows)
    if scores is not None:
        raw = raw.append_column("score", scores)
    known = numbered(raw.filter(is_known), labels, path)
    unknown = raw.filter(pc.and_not(has_score, is_known))
    labelled, scored = _labelled(known, labels, path), _scored(unknown, labels)
    rows = known.num_rows + unknown.num_rows
    left_out = _left_out(rows, labelled.num_rows + scored.num_rows, path)
    return TrainingFile(
        labelled=labelled,
        scored=scored,
        labels=labels,
        text_column=text,
        score_column=None if scores is None else column_of(columns.score, labels.names),
        label_column=label,
        notes=(
            *how_read(path, columns.delimiter),
            *labels.notes,
            *_unlabelled(pc.or_(is_known, has_score), path),
            *left_out,
            *notes,
        ),
    )


def numbered(raw: pa.Table, labels: Labels, path: Path) -> pa.Table:
    """Return rows with the numbers of their labels, but for those that are to be left out."""
    numbers = read_labels(raw["label"], labels, path)
    place = raw.schema.get_field_index("label")
    return raw.set_column(place, "label", numbers).filter(numbers.is_valid())


def _labelled(raw: pa.Table, labels: Labels, path: Path) -> pa.Table:
    """Return the rows, which have numbers of labels, but for those without a text."""
    found = _table(raw, raw["label"], labels)
    if not found.num_rows:
        raise InputError(f"{path}: none of its {counted(raw.num_rows, 'row')} has a text")
    return found


def _scored(raw: pa.Table, labels: Labels) -> pa.Table:
    """Return rows that have a score in place of a label, but for those without a text."""
    return _table(raw, pa.nulls(raw.num_rows, pa.int16()), labels)


def _unlabelled(is_taught: pa.ChunkedArray, path: Path) -> Iterable[str]:
    """Say how many of a file's rows say nothing of their class, where there are any."""
    if missing := len(is_taught) - (pc.sum(is_taught).as_py() or 0):
        yield (
            f"{path}: {missing:,} of its {len(is_taught):,} rows have neither a label nor a score "
            "and are left out."
        )


def _table(raw: pa.Table, numbers: pa.Array | pa.ChunkedArray, labels: Labels) -> pa.Table:
    """Put the columns together that `Dataset` has, and leave out rows without text."""
    kind = score_type(len(labels.names))
    scores = raw["score"] if "score" in raw.column_names else pa.nulls(raw.num_rows, kind)
    schema = SCHEMA.append(pa.field("score", kind))
    table = pa.table([raw["text"], numbers, raw["id"], scores], schema=schema)
    if GROUP in raw.column_names:
        table = table.append_column(GROUP, raw[GROUP])
    return table.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(table["text"])), 0))


def _left_out(rows: int, kept: int, path: Path) -> Iterable[str]:
    """Say how many of a file's rows have no text, where there are any."""
    if empty := rows - kept:
        yield f"{path}: {empty:,} of its {rows:,} rows have no text and are left out."


def _remarks(data: Dataset) -> Iterable[str]:
    """Say what makes labels doubtful: texts with several."""
    spans = data.train.group_by("text").aggregate([("label", "min"), ("label", "max")])
    torn = int(pc.sum(pc.not_equal(spans["label_min"], spans["label_max"])).as_py() or 0)
    if torn:
        texts = counted(torn, "training text")
        yield f"Warning: {texts} with different labels in different rows."

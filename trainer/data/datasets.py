"""Labelled reviews: the embedded sample, IMDB, or anybody's files.

Legend: R rows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.table.columns import SCORE_COLUMN, find_label_column, find_text_column, is_text
from trainer.data.labels import Labels, has_label, name_labels, read_labels
from trainer.data.scores import read_scores
from trainer.data.tables import FORMATS, find_format, read_columns, read_schema

ID_COLUMNS: Final = ("id", "review_id")
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
class Columns:
    """Which columns hold texts, labels and scores; None stands for the usual search by name."""

    text: str | None = None
    label: str | None = None
    score: str | None = None


USUAL: Final = Columns()


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
    text, label = _text_column(read_schema(path), path, columns)
    scores, notes = read_scores(path, columns.score, (text, label))
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
        notes=(*labels.notes, *left_out, *notes),
    )


def split_rows(table: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Draw `share` of the rows with `seed`: (the others, the drawn ones), both in file order.

    Each class is drawn from by about its share, and both parts get at least one row of each. A draw
    that did not look at the labels is kept where it came close to that: so drew the versions
    before, whose runs can be taken up.

    Raises:
        InputError: a class has fewer than two rows.
    """
    labels = table["label"].to_numpy()
    order = np.random.default_rng([seed, 0]).permutation(table.num_rows)
    classes = [order[labels[order] == label] for label in np.unique(labels)]
    if (least := min(map(len, classes), default=0)) < 2:
        raise InputError(
            f"{table.num_rows:,} rows cannot be split into a part to train on and one to judge by: "
            f"one of the classes has {least} of them, expected at least 2"
        )
    drawn = order[: max(1, round(share * table.num_rows))]
    if not all(_is_near(rows, drawn, share) for rows in classes):
        counts = [min(max(1, round(share * len(rows))), len(rows) - 1) for rows in classes]
        pairs = zip(classes, counts, strict=True)
        drawn = np.concatenate([rows[:count] for rows, count in pairs])
    is_drawn = np.zeros(table.num_rows, bool)
    is_drawn[drawn] = True
    return table.filter(pa.array(~is_drawn)), table.filter(pa.array(is_drawn))


def _is_near(
    rows: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], share: float, off: float = 0.5
) -> bool:
    """Whether a draw took about the share of a class, and neither nothing nor all of it."""
    count, expected = int(np.isin(rows, drawn).sum()), share * len(rows)
    return 1 <= count < len(rows) and abs(count - expected) <= max(1.5, off * expected)


def read_raw(path: Path, columns: Columns = USUAL) -> pa.Table:
    """Read a file's reviews: `text` and `id` (large_string), and `label` (as stored).

    Raises:
        InputError: it cannot be read, or a column is missing.
    """
    schema = read_schema(path)
    text, label = _text_column(schema, path, columns)
    names = [name for name in ID_COLUMNS if _holds_ids(schema, name) and name not in (text, label)]
    own = names[:1]
    _check_once(schema, path, text, label)
    table = read_columns(path, [text, label, *own], strings=[text, *own])
    numbers = pa.array(range(table.num_rows)).cast(pa.large_string())
    ids = pc.coalesce(table[own[0]], numbers) if own else numbers
    return pa.table({"text": table[text], "label": table[label], "id": ids})


def read_texts(path: Path, columns: Columns = USUAL) -> pa.Array:
    """Read a file's text column: (R,) large_string.

    Raises:
        InputError: it cannot be read, or has no text column.
    """
    schema = read_schema(path)
    name = find_text_column(schema, path, columns.text, is_typed=find_format(path).is_typed)
    _check_once(schema, path, name)
    return read_columns(path, [name], strings=[name])[name].combine_chunks()


def read_unlabelled(path: Path, columns: Columns = USUAL) -> pa.Array:
    """Read the texts of a file that has no labels, or whose labels are not looked at.

    The column that was asked for holds for the labelled files; this one may call it otherwise.

    Raises:
        InputError: it cannot be read, or has no text column.
    """
    return read_texts(path, _there(path, columns)).drop_null()


def read_scored(path: Path, columns: Columns = USUAL) -> tuple[pa.Table, tuple[str, ...]]:
    """Read the same texts with their scores.

    Returns:
        `text` large_string and `score` float32 (null where there is none); and what a person
        should know, a sentence each.

    Raises:
        InputError: it cannot be read, has no text column, or the score column that was asked for
            holds no probabilities.
    """
    columns = _there(path, columns)
    texts = read_texts(path, columns)
    is_typed = find_format(path).is_typed
    name = find_text_column(read_schema(path), path, columns.text, is_typed=is_typed)
    scores, notes = read_scores(path, columns.score, (name, columns.label))
    if scores is None:
        scores = pa.nulls(len(texts), pa.float32())
    return pa.table({"text": texts, "score": scores}).filter(texts.is_valid()), notes


def _there(path: Path, columns: Columns) -> Columns:
    """Return the columns of an unlabelled file, which may call that of its texts otherwise."""
    there = columns.text is not None and columns.text in read_schema(path).names
    return replace(columns, text=columns.text if there else None)


def _text_column(schema: pa.Schema, path: Path, columns: Columns) -> tuple[str, str]:
    """Return the columns of a labelled file's texts and labels."""
    label = find_label_column(schema, path, columns.label)
    is_typed = find_format(path).is_typed
    return find_text_column(schema, path, columns.text, label, is_typed), label


def _check_once(schema: pa.Schema, path: Path, *names: str) -> None:
    """Refuse a name that several columns have."""
    for name in names:
        if (count := len(schema.get_all_field_indices(name))) > 1:
            raise InputError(
                f"{path}: {count} columns are called {name!r}, expected one. Rename the others"
            )


def _holds_ids(schema: pa.Schema, name: str) -> bool:
    if schema.get_field_index(name) < 0:  # it is not there, or more than once
        return False
    kind = schema.field(name).type
    return is_text(kind) or pa.types.is_integer(kind)


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


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 over the bytes of the files, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()

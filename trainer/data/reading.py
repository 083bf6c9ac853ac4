"""One file of reviews: which columns hold texts, labels, ids and scores, and what stands in them.

Legend: R rows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.table.columns import find_label_column, find_text_column, is_text
from infer.table.files import read_columns, read_schema
from infer.table.formats import find_format
from trainer.data.scores import read_scores, score_type
from trainer.data.splits import GROUP

ID_COLUMNS: Final = ("id", "review_id")


@dataclass(frozen=True)
class Columns:
    """Which columns hold texts, labels and scores; None stands for the usual search by name.

    `delimiter` parts the fields of CSV; None: what a file's name and looks say.
    `group` holds what rows hang together by, such as a film or an author; None: they do not.
    """

    text: str | None = None
    label: str | None = None
    score: str | None = None
    delimiter: str | None = None
    group: str | None = None


USUAL: Final = Columns()


def read_raw(path: Path, columns: Columns = USUAL) -> pa.Table:
    """Read a file's reviews: `text` and `id` (large_string), and `label` (as stored).

    Where a group column is asked for, `group` (large_string) too.

    Raises:
        InputError: it cannot be read, or a column is missing.
    """
    schema = read_schema(path, columns.delimiter)
    text, label = find_columns(schema, path, columns)
    names = [name for name in ID_COLUMNS if _holds_ids(schema, name) and name not in (text, label)]
    own, groups = names[:1], _group_column(schema, path, columns.group, (text, label))
    _check_once(schema, path, text, label, *groups)
    further = list(dict.fromkeys([*own, *groups]))
    table = read_columns(path, [text, label, *further], [text, *further], columns.delimiter)
    numbers = pa.array(range(table.num_rows)).cast(pa.large_string())
    ids = pc.coalesce(table[own[0]], numbers) if own else numbers
    raw = pa.table({"text": table[text], "label": table[label], "id": ids})
    return raw.append_column(GROUP, table[groups[0]]) if groups else raw


def _group_column(
    schema: pa.Schema, path: Path, asked: str | None, taken: tuple[str, str]
) -> list[str]:
    """Return the column that rows hang together by, or none."""
    if asked is None:
        return []
    if asked in taken or asked not in schema.names:
        fault = "that is its text or label" if asked in taken else "no such column"
        raise InputError(
            f"{path}: --group-column {asked}: {fault}. Columns: {', '.join(schema.names)}. Name "
            "another, or leave it out"
        )
    return [asked]


def read_texts(path: Path, columns: Columns = USUAL) -> pa.Array:
    """Read a file's text column: (R,) large_string.

    Raises:
        InputError: it cannot be read, or has no text column.
    """
    schema = read_schema(path, columns.delimiter)
    name = find_text_column(schema, path, columns.text, is_typed=find_format(path).is_typed)
    _check_once(schema, path, name)
    return read_columns(path, [name], [name], columns.delimiter)[name].combine_chunks()


def read_unlabelled(path: Path, columns: Columns = USUAL) -> pa.Array:
    """Read the texts of a file that has no labels, or whose labels are not looked at.

    The column that was asked for holds for the labelled files; this one may call it otherwise.

    Raises:
        InputError: it cannot be read, or has no text column.
    """
    return read_texts(path, _there(path, columns)).drop_null()


def read_scored(
    path: Path, columns: Columns, labels: Sequence[str]
) -> tuple[pa.Table, tuple[str, ...]]:
    """Read the same texts with their scores, which are of some labels.

    Returns:
        `text` large_string and `score` (see `score_type`, null where there is none); and what a
        person should know, a sentence each.

    Raises:
        InputError: it cannot be read, has no text column, or the score column that was asked for
            holds no probabilities.
    """
    columns = _there(path, columns)
    texts = read_texts(path, columns)
    is_typed = find_format(path).is_typed
    schema = read_schema(path, columns.delimiter)
    name = find_text_column(schema, path, columns.text, is_typed=is_typed)
    scores, notes = read_scores(
        path, columns.score, (name, columns.label), labels, columns.delimiter
    )
    if scores is None:
        scores = pa.nulls(len(texts), score_type(len(labels)))
    return pa.table({"text": texts, "score": scores}).filter(texts.is_valid()), notes


def _there(path: Path, columns: Columns) -> Columns:
    """Return the columns of an unlabelled file, which may call that of its texts otherwise."""
    names = read_schema(path, columns.delimiter).names
    there = columns.text is not None and columns.text in names
    return replace(columns, text=columns.text if there else None)


def find_columns(schema: pa.Schema, path: Path, columns: Columns) -> tuple[str, str]:
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


def hash_files(paths: Iterable[Path]) -> str:
    """Return the SHA-256 over the bytes of the files, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()

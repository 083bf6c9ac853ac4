"""A teacher's probabilities in columns of a file of reviews, checked.

Two labels have one column, of the positive one; more have one each. Legend: R rows, K labels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.model.results import PROBABILITY
from infer.table.columns import SCORE_COLUMN, find_score_columns
from infer.table.files import read_columns, read_schema
from infer.table.formats import find_format

# By so much the probabilities of a row may miss 1, as rounded ones do.
OFF: Final = 0.01


def score_type(labels: int) -> pa.DataType:
    """Return the type of a teacher's probabilities in a table, for so many labels."""
    return pa.float32() if labels == 2 else pa.list_(pa.float32(), labels)


def column_of(asked: str | None, labels: Sequence[str]) -> str:
    """Return what the column of scores is called, or what the names of several begin with."""
    return asked or (SCORE_COLUMN if len(labels) == 2 else PROBABILITY)


def read_scores(
    path: Path,
    asked: str | None,
    taken: Sequence[str | None],
    labels: Sequence[str],
    delimiter: str | None = None,
) -> tuple[pa.Array | None, tuple[str, ...]]:
    """Read a file's scores: probabilities of the positive label, or of each of more than two.

    Args:
        path: the file.
        asked: `--score-column`: a name, `none`, or None for the usual one where it holds
            probabilities.
        taken: the columns that hold texts and labels.
        labels: names of the labels.
        delimiter: what parts the fields of CSV.

    Returns:
        (R,) of `score_type`, from 0 to 1, null where a row has none, or None where the file has no
        such column; and what a person should know, a sentence each.

    Raises:
        InputError: the column that was asked for holds something else.
    """
    try:
        columns = find_score_columns(read_schema(path, delimiter), path, asked, taken, labels)
        if not columns:
            return None, ()
        parts = [_probabilities(path, column, delimiter) for column in columns]
        return (parts[0] if len(parts) == 1 else _side_by_side(parts, path, columns)), ()
    except InputError as error:
        if asked is None:
            return None, (f"{error}; it is left alone. --score-column NAME names another.",)
        raise InputError(
            f"{error}. Name another with --score-column, or none to learn from labels alone"
        ) from error


def _probabilities(path: Path, name: str, delimiter: str | None) -> pa.Array:
    column = read_columns(path, [name], [], delimiter)[name].combine_chunks()
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_number = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    # A column of nothing but 0 and 1 looks like integers where a file does not tell its types.
    if not is_number and (find_format(path).is_typed or not pa.types.is_integer(kind)):
        raise InputError(
            f"{path}: column {name!r} has type {kind}, expected probabilities of the positive "
            "label: float, 0 to 1"
        )
    values = column.cast(pa.float64())
    values = pc.if_else(pc.is_nan(values), None, values)
    outside = values.filter(pc.or_(pc.less(values, 0), pc.greater(values, 1)))
    if len(outside):
        raise InputError(
            f"{path}: column {name!r} holds {outside[0]} (and {len(outside):,} of {len(values):,} "
            "values out of range), expected probabilities of the positive label: float, 0 to 1"
        )
    return values.cast(pa.float32())


def _side_by_side(parts: Sequence[pa.Array], path: Path, columns: Sequence[str]) -> pa.Array:
    """Lay the probabilities of K labels beside each other: (R,) lists of K, null without any."""
    table = np.column_stack([part.to_numpy(zero_copy_only=False) for part in parts])  # (R, K)
    missing = np.isnan(table)
    torn = missing.any(axis=1) & ~missing.all(axis=1)
    totals = table.sum(axis=1)
    wrong = torn | (np.abs(totals - 1) > OFF)
    if wrong.any():
        row = int(wrong.argmax())
        seen = "only some of them" if torn[row] else f"a sum of {totals[row]:.4g}"
        raise InputError(
            f"{path}: columns {columns[0]!r} to {columns[-1]!r} have {seen} in row {row} (and "
            f"{np.count_nonzero(wrong):,} of {len(table):,} rows are so), expected probabilities "
            "of each label that add up to 1"
        )
    whole = (table / totals[:, None]).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(whole.ravel()), len(parts))
    return pc.if_else(pa.array(~missing[:, 0]), lists, pa.scalar(None, lists.type))

"""A teacher's probabilities in a column of a file of reviews, checked. Legend: R rows."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.table.columns import find_score_column
from infer.table.files import read_columns, read_schema
from infer.table.formats import find_format


def read_scores(
    path: Path,
    asked: str | None,
    taken: Sequence[str | None],
    delimiter: str | None = None,
) -> tuple[pa.Array | None, tuple[str, ...]]:
    """Read a file's scores: probabilities of the positive label.

    Args:
        path: the file.
        asked: `--score-column`: a name, `none`, or None for `score` where it holds probabilities.
        taken: the columns that hold texts and labels.
        delimiter: what parts the fields of CSV.

    Returns:
        (R,) float32 from 0 to 1, null where a row has none, or None where the file has no such
        column; and what a person should know, a sentence each.

    Raises:
        InputError: the column that was asked for holds something else.
    """
    column = find_score_column(read_schema(path, delimiter), path, asked, taken)
    if column is None:
        return None, ()
    try:
        return _probabilities(path, column, delimiter), ()
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

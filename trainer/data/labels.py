"""Two classes, however a file writes them → 0 and 1 and two names. Legend: R rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.text.encoding import decode_utf8

LABEL_NAMES: Final = ("negative", "positive")
# How strings that mean the two classes are written, in lower case: (negative, positive).
KNOWN_PAIRS: Final = (("negative", "positive"), ("neg", "pos"))


@dataclass(frozen=True)
class Labels:
    """The two values of a label column.

    Attributes:
        values: as the file holds them, (negative, positive).
        names: what they are called, (negative, positive).
        notes: how they were understood, where that is not plain.
    """

    values: tuple[Any, Any]
    names: tuple[str, str]
    notes: tuple[str, ...] = ()


def name_labels(column: pa.ChunkedArray, path: Path) -> Labels:
    """Find the two classes of a label column and which is the positive one.

    0/1, false/true and strings like negative/positive or neg/pos in any case are understood; of
    other pairs the greater value is taken for the positive class, which is noted.

    Args:
        column: (R,) integers, whole numbers of any type, booleans or strings, plain or as a
            dictionary; NaN is a missing label.
        path: the file, for messages.

    Raises:
        InputError: another type, missing labels, or not exactly two classes.
    """
    column = _plain(column, path)
    if column.null_count:
        raise InputError(
            f"{path}: {column.null_count:,} of {len(column):,} labels are missing or not UTF-8. "
            "Remove these rows, pass them with --unlabelled, or give them a score (--score-column)"
        )
    values = sorted(pc.unique(column).to_pylist())
    if len(values) != 2:
        shown = ", ".join(map(repr, values[:10]))
        raise InputError(f"{path}: {len(values)} classes ({shown}), expected exactly two")
    if values in ([0, 1], [False, True]):
        return Labels((values[0], values[1]), LABEL_NAMES)
    if "" in values:
        raise InputError(f"{path}: a label is an empty string, expected the name of a class")
    if not isinstance(values[0], str):
        note = f"Labels: {values[0]} is taken for negative, {values[1]} for positive."
        return Labels((values[0], values[1]), LABEL_NAMES, (note,))
    return _name_strings(values)


def has_label(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return which rows have a label, (R,) bool; NaN and what is not UTF-8 is none.

    Raises:
        InputError: the column is of another type.
    """
    return _plain(column, path).is_valid()


def _name_strings(values: list[str]) -> Labels:
    known = {name.strip().lower(): name for name in values}
    for negative, positive in KNOWN_PAIRS:
        if known.keys() == {negative, positive}:
            pair = (known[negative], known[positive])
            return Labels(pair, pair)
    note = (
        f"Labels: in alphabetical order {values[0]!r} is taken for the negative class and "
        f"{values[1]!r} for the positive one, whose probability is the score."
    )
    return Labels((values[0], values[1]), (values[0], values[1]), (note,))


def read_labels(column: pa.ChunkedArray, labels: Labels, path: Path) -> pa.ChunkedArray:
    """Turn a label column into (R,) int8: 1 positive, 0 negative.

    Raises:
        InputError: a label is missing, of another type, or neither of the two.
    """
    column = _plain(column, path)
    expected = _plain(pa.chunked_array([list(labels.values)]), path).type
    if column.type != expected:
        raise InputError(
            f"{path}: labels are of type {column.type}, those of the training part of type "
            f"{expected}. Write both alike"
        )
    positive = pc.equal(column, pa.scalar(labels.values[1], column.type))
    negative = pc.equal(column, pa.scalar(labels.values[0], column.type))
    known = int(pc.sum(pc.or_(positive, negative)).as_py() or 0)
    if known < len(column):
        raise InputError(
            f"{path}: {len(column) - known:,} of {len(column):,} labels are missing or neither "
            f"{labels.values[0]!r} nor {labels.values[1]!r}, the labels of the training part"
        )
    return positive.cast(pa.int8())


def _plain(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return the column as int64, bool or large_string; a string that is not UTF-8 as null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(column.cast(pa.float64()), path)
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: a label is no number of 64 bits ({error})") from error
    if pa.types.is_boolean(kind):
        return column.cast(pa.bool_())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        chunks = [decode_utf8(chunk)[0] for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        chunks = [decode_utf8(chunk)[0] for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.large_string())
    raise InputError(f"{path}: labels are of type {kind}, expected integers, booleans or strings")


def _whole(column: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return (R,) float64 as int64: a column of 0 and 1 with a gap is written as 0.0 and 1.0."""
    column = pc.if_else(pc.is_nan(column), None, column)
    parts = pc.drop_null(pc.unique(column)).to_pylist()
    if broken := [value for value in parts if value != value // 1 or abs(value) > 2**53]:
        raise InputError(
            f"{path}: a label is {broken[0]}, expected one of two classes. Write classes such as 0 "
            "and 1, rounded where these are degrees"
        )
    return column.cast(pa.int64())

"""Which columns of a file of scores are read, under which names, and in which types."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.model.results import CONFIDENT, PROBABILITY
from infer.table.columns import RESULT_COLUMNS, is_text
from infer.text.encoding import decode_utf8

ID_COLUMNS: Final = ("id", "review_id")
# What columns are called here, whatever the files call them, and their types.
POSITION: Final = "position"
TYPES: Final = {
    POSITION: pa.int64(),
    "score": pa.float32(),
    "prediction": pa.large_string(),
    "status": pa.large_string(),
    CONFIDENT: pa.bool_(),
    "truth": pa.large_string(),
    "group": pa.large_string(),
    "date": pa.timestamp("us"),
    "text": pa.large_string(),
    "id": pa.large_string(),
}
_SHOWN: Final = 30


@dataclass(frozen=True)
class Asked:
    """The columns that a report is asked to look at; None: none.

    Attributes:
        prefix: what stands before the names of the columns that scoring wrote.
        group: whose values part the rows, such as a product.
        date: when a row is from.
        truth: the true label.
        text: what was scored.
        carry: further columns, which a sample hands on as they are.
    """

    prefix: str = ""
    group: str | None = None
    date: str | None = None
    truth: str | None = None
    text: str | None = None
    carry: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The columns of a file.

    Attributes:
        names: what is read → what the file calls it.
        labels: of the columns with a probability for each label, in their order; () without any.
    """

    names: dict[str, str]
    labels: tuple[str, ...]


def find_columns(schema: pa.Schema, name: str, asked: Asked) -> Found:
    """Return the columns of a file that a report reads.

    Args:
        schema: the file's, by its looks where the format has no types.
        name: the file, for messages.
        asked: what the report is asked to look at.

    Raises:
        InputError: it is not what `sent-score` writes, or a column that is asked for is missing or
            of a type that cannot be used.
    """
    names = {column: asked.prefix + column for column in RESULT_COLUMNS}
    _check_scored(schema, name, names, asked.prefix)
    confident = asked.prefix + CONFIDENT
    if schema.names.count(confident) == 1 and pa.types.is_boolean(schema.field(confident).type):
        names[CONFIDENT] = confident
    for column, option in (
        ("group", "--by"), ("date", "--over"), ("truth", "--label-column"),
        ("text", "--text-column"),
    ):  # fmt: skip
        if (called := getattr(asked, column)) is not None:
            _check_there(schema, name, called, option)
            names[column] = called
    for called in asked.carry:
        _check_there(schema, name, called, "--columns")
    ids = [column for column in ID_COLUMNS if schema.names.count(column) == 1]
    if ids and not pa.types.is_nested(schema.field(ids[0]).type):
        names["id"] = ids[0]
    _check_types(schema, name, names)
    start = f"{asked.prefix}{PROBABILITY}_"
    return Found(names, tuple(c.removeprefix(start) for c in schema.names if c.startswith(start)))


def _check_scored(schema: pa.Schema, name: str, names: dict[str, str], prefix: str) -> None:
    missing = [column for column in names.values() if schema.names.count(column) != 1]
    if not missing:
        return
    remedy = "Score it first: sent-score"
    for column in schema.names:
        start = column.removesuffix(RESULT_COLUMNS[0])
        if start != column and {start + other for other in RESULT_COLUMNS} <= set(schema.names):
            remedy = f"Name what stands before them: --prefix {start}" if start else remedy
    if twice := [column for column in missing if column in schema.names]:
        raise InputError(f"{name}: column {twice[0]!r} occurs twice. Rename one of them")
    raise InputError(
        f"{name}: no column {', '.join(map(repr, missing))}, expected what sent-score writes. "
        f"Columns: {_listed(schema)}. {remedy}"
    )


def _check_there(schema: pa.Schema, name: str, column: str, option: str) -> None:
    if (count := schema.names.count(column)) == 1:
        return
    seen = f"{count} columns {column!r}" if count else f"no column {column!r}"
    more = ". sent-score carries it over with --columns" if option == "--text-column" else ""
    raise InputError(
        f"{name}: {seen}. Columns: {_listed(schema)}. Name another with {option}{more}"
    )


def _check_types(schema: pa.Schema, name: str, names: dict[str, str]) -> None:
    """Refuse types that hold something else."""
    for column, called in names.items():
        kind = schema.field(called).type
        if column == "score":
            fits, expected = _is_number(kind), "numbers"
        elif column == "date":
            fits, expected = _is_time(kind) or is_text(kind), "dates, times or strings of them"
        elif column == "text":
            fits, expected = is_text(kind), "strings"
        else:
            fits, expected = not pa.types.is_nested(kind), "single values"
        if not fits and not pa.types.is_null(kind):
            raise InputError(
                f"{name}: column {called!r} has type {kind}, expected {expected}. Name another"
            )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    )


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _listed(schema: pa.Schema) -> str:
    names = [f"{field.name} ({field.type})" for field in list(schema)[:_SHOWN]]
    return ", ".join(names) + (", …" if len(schema) > _SHOWN else "")


def convert(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the values of a column in another type.

    A string that is not UTF-8 becomes null, and so does NaN where a string is due; a time with a
    zone, what the clocks there show.

    Args:
        values: (R,) as the file has them.
        kind: one of `TYPES`.

    Raises:
        pa.ArrowInvalid: a value cannot be had in this type.
    """
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = pc.local_timestamp(values)
    if is_text(values.type) and not pa.types.is_null(values.type):
        values = decode_utf8(values)[0]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type) and is_text(kind):  # a missing number, as some write it
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    # Nanoseconds of a date are of no account.
    options = pc.CastOptions(kind, allow_time_truncate=True)
    return values if values.type == kind else pc.cast(values, options=options)

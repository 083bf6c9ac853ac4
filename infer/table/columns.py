"""Which columns of a file are read and written: the text, the carried ones, the three new ones."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from infer.base.errors import InputError
from infer.table.metadata import still_true

RESULT_COLUMNS: Final = ("score", "prediction", "status")
_TEXT_NAMES: Final = ("text", "review")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are read.

    Attributes:
        text: the column to score.
        carried: the columns that are copied to the output, in the input's order.
    """

    text: str
    carried: tuple[str, ...]


def choose_columns(
    schema: pa.Schema,
    name: str,
    text: str | None = None,
    carry: Sequence[str] | None = None,
    prefix: str = "",
) -> Columns:
    """Decide which column is the text and which are carried over.

    Args:
        schema: the file's Arrow schema.
        name: the file, for messages.
        text: `--text-column`; by default `text`, else `review`, else the only string column.
        carry: `--columns`; by default all but the text.
        prefix: `--prefix`, put before the names of the three new columns.

    Raises:
        InputError: a column is missing, doubled, of a type that holds no text, or has the name
            of a new column.
    """
    names = schema.names  # made anew each time it is asked for
    if not names:
        raise InputError(f"{name}: no columns at all, expected at least a text column")
    if doubled := [column for column, count in Counter(names).items() if count > 1]:
        raise InputError(f"{name}: column {min(doubled)!r} occurs twice. Rename one of them")
    text = text if text is not None else _default_text_column(schema, name)
    _check_present(schema, name, [text], "Name another with --text-column")
    if not is_text(schema.field(text).type):
        raise InputError(
            f"{name}: column {text!r} has type {schema.field(text).type}, expected string, "
            "large_string, string_view, binary (UTF-8) or a dictionary of these. "
            "Name another with --text-column"
        )
    if carry is None:
        carried = [column for column in names if column != text]
    else:
        _check_present(schema, name, carry, "Name others with --columns")
        wanted = set(carry)
        carried = [column for column in names if column in wanted]
    # Spark and Hive know no difference between upper and lower case.
    new = {(prefix + column).casefold() for column in RESULT_COLUMNS}
    if clash := [column for column in carried if column.casefold() in new]:
        raise InputError(
            f"{name}: column {clash[0]!r} would be written twice. Put a prefix before the new "
            "columns (--prefix sent_), or leave it out (--columns)"
        )
    return Columns(text, tuple(carried))


def split_names(listed: str) -> tuple[str, ...]:
    """Split names at commas; a name in double quotes may hold some (RFC 4180).

    Raises:
        InputError: it is no such list.
    """
    try:
        return tuple(filter(None, next(csv.reader([listed], strict=True), [])))
    except csv.Error as error:
        raise InputError(
            f"--columns {listed}: no list of names ({error}). Put a name with a comma in double "
            "quotes, and double the quotes in it"
        ) from error


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can be scored."""
    value = _value_type(kind)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    # A column without a single value, as pandas writes it, has no type.
    return _is_string(value) or any(is_kind(value) for is_kind in (*binary, pa.types.is_null))


def output_schema(
    schema: pa.Schema, carried: Sequence[str], prefix: str, metadata: dict[str, str]
) -> pa.Schema:
    """Return the output's schema: carried fields as they are, then the three new columns."""
    score, prediction, status = (prefix + column for column in RESULT_COLUMNS)
    fields = [schema.field(column) for column in carried]
    fields += [
        pa.field(score, pa.float32()),
        pa.field(prediction, pa.string()),
        pa.field(status, pa.string(), nullable=False),
    ]
    kept = still_true(schema.metadata or {}, schema.names, fields)
    return pa.schema(fields, metadata={**kept, **_encoded(metadata)})


def _encoded(metadata: dict[str, str]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in metadata.items()}


def _default_text_column(schema: pa.Schema, name: str) -> str:
    there = set(schema.names)
    for column in _TEXT_NAMES:
        if column in there:
            return column
    strings = [field.name for field in schema if _is_string(_value_type(field.type))]
    if len(strings) == 1:
        return str(strings[0])
    raise InputError(
        f"{name}: no column 'text' or 'review', and {len(strings) or 'no'} string columns. "
        f"Columns: {_listed(schema)}. Use --text-column"
    )


def _check_present(schema: pa.Schema, name: str, columns: Sequence[str], remedy: str) -> None:
    there = set(schema.names)
    if missing := [column for column in columns if column not in there]:
        raise InputError(
            f"{name}: no column {', '.join(map(repr, missing))}. Columns: {_listed(schema)}. "
            f"{remedy}"
        )


def _listed(schema: pa.Schema, most: int = 30) -> str:
    names = [f"{schema.field(i).name} ({schema.field(i).type})" for i in range(len(schema))[:most]]
    return ", ".join(names) + (", …" if len(schema) > most else "")


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )

"""Which columns are read and written: text, label, a teacher's score, the carried and new ones.

Training, parity data and scoring find them by the one rule here.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from infer.base.errors import InputError
from infer.model.results import CONFIDENT, PROBABILITY
from infer.table.metadata import still_true

RESULT_COLUMNS: Final = ("score", "prediction", "status")
TEXT_COLUMNS: Final = ("text", "review")
LABEL_COLUMNS: Final = ("label", "sentiment", "target")
SCORE_COLUMN: Final = RESULT_COLUMNS[0]  # what scoring writes is a teacher for training
NO_COLUMN: Final = "none"


class NoTextColumnError(InputError):
    """No column was named, and the usual search found none or several."""


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
    trained: str | None = None,
    further: Sequence[str] = (),
    is_typed: bool = True,
) -> Columns:
    """Decide which column is the text and which are carried over.

    Args:
        schema: the file's Arrow schema.
        name: the file, for messages.
        text: `--text-column`; by default what `find_text_column` finds.
        carry: `--columns`; by default all but the text.
        prefix: `--prefix`, put before the names of the new columns.
        trained: the text column that the model was trained on, where that is known.
        further: names of new columns behind the usual three.
        is_typed: whether the file itself says what its columns hold.

    Raises:
        InputError: a column is missing, doubled, of a type that holds no text, or has the name
            of a new column.
    """
    names = schema.names  # made anew each time it is asked for
    if not names:
        raise InputError(f"{name}: no columns at all, expected at least a text column")
    if doubled := [column for column, count in Counter(names).items() if count > 1]:
        raise InputError(f"{name}: column {min(doubled)!r} occurs twice. Rename one of them")
    if text is None and trained in names and (not is_typed or is_text(schema.field(trained).type)):
        text = trained
    text = find_text_column(schema, name, text, is_typed=is_typed)
    if carry is None:
        carried = [column for column in names if column != text]
    else:
        _check_present(schema, name, carry, "Name others with --columns")
        wanted = set(carry)
        carried = [column for column in names if column in wanted]
    # Spark and Hive know no difference between upper and lower case.
    new = {(prefix + column).casefold() for column in (*RESULT_COLUMNS, *further)}
    if clash := [column for column in carried if column.casefold() in new]:
        raise InputError(
            f"{name}: column {clash[0]!r} would be written twice. Put a prefix before the new "
            "columns (--prefix sent_), or leave it out (--columns)"
        )
    return Columns(text, tuple(carried))


def find_text_column(
    schema: pa.Schema,
    name: object,
    asked: str | None = None,
    label: str | None = None,
    is_typed: bool = True,
) -> str:
    """Return the text column: the one asked for, `text`, `review`, or the only one of strings.

    Args:
        schema: the table's.
        name: what messages call it.
        asked: `--text-column`.
        label: a column that is the label's; by default those that are called like one come last,
            as do the three that scoring wrote.
        is_typed: whether the file itself says what its columns hold. What looks like numbers or
            dates in a CSV file may still be texts.

    Raises:
        InputError: there is no such column, it holds no text, or several could be meant.
    """
    names = [column for column in schema.names if column != label]
    if asked is not None:
        _check_present(schema, str(name), [asked], "Name another with --text-column")
        return _checked(schema, name, asked, is_typed)
    named = [column for column in TEXT_COLUMNS if column in names]
    for column in named:
        if not is_typed or is_text(schema.field(column).type):
            return column
    kinds = [(column, schema.field(column).type) for column in names if names.count(column) == 1]
    strings = [column for column, kind in kinds if _is_string(_value_type(kind))]
    last = LABEL_COLUMNS + (RESULT_COLUMNS if set(RESULT_COLUMNS) <= set(names) else ())
    others = [column for column in strings if column not in last]
    binary = [column for column, kind in kinds if _is_binary(_value_type(kind))]
    for candidates in (others, strings, binary):
        if len(candidates) == 1:
            return str(candidates[0])
        if candidates:
            break
    if named:
        return _checked(schema, name, named[0], is_typed)
    raise NoTextColumnError(
        f"{name}: no column 'text' or 'review', and {len(others) or 'no'} string columns. "
        f"Columns: {_listed(schema)}. Use --text-column"
    )


def _checked(schema: pa.Schema, name: object, column: str, is_typed: bool) -> str:
    if not is_typed or is_text(schema.field(column).type):
        return column
    raise InputError(
        f"{name}: column {column!r} has type {schema.field(column).type}, expected string, "
        "large_string, string_view, binary (UTF-8) or a dictionary of these. "
        "Name another with --text-column"
    )


def find_label_column(schema: pa.Schema, name: object, asked: str | None = None) -> str:
    """Return the label column: the one asked for, `label`, `sentiment` or `target`.

    Raises:
        InputError: there is no such column.
    """
    if asked is not None:
        _check_present(schema, str(name), [asked], "Name another with --label-column")
        return asked
    there = set(schema.names)
    for column in LABEL_COLUMNS:
        if column in there:
            return column
    raise InputError(
        f"{name}: no label column. Columns: {_listed(schema)}. Expected one named "
        f"{', '.join(LABEL_COLUMNS)}. Name it with --label-column"
    )


def score_columns(asked: str | None, labels: Sequence[str]) -> tuple[str, ...]:
    """Return what the columns of a teacher's probabilities are called.

    Args:
        asked: `--score-column`: a name, what several begin with, or None for the usual one.
        labels: names of the labels; two have one column, more have one each.
    """
    if len(labels) == 2:
        return (asked or SCORE_COLUMN,)
    return tuple(f"{asked or PROBABILITY}_{label}" for label in labels)


def find_score_columns(
    schema: pa.Schema,
    name: object,
    asked: str | None,
    taken: Sequence[str | None],
    labels: Sequence[str],
) -> tuple[str, ...]:
    """Return the columns of a teacher's probabilities, none where there are none.

    Args:
        schema: the table's.
        name: what messages call it.
        asked: `--score-column`: a name, what several begin with, `none`, or None for the usual one.
        taken: the columns that hold texts and labels.
        labels: names of the labels.

    Raises:
        InputError: only some are there; or one that was asked for holds texts or labels, or occurs
            twice.
    """
    columns = score_columns(asked, labels)
    counts = [schema.names.count(column) for column in columns]
    if asked == NO_COLUMN or not any(counts):
        return ()
    if 0 in counts:
        raise InputError(
            f"{name}: columns of scores, but no {columns[counts.index(0)]!r}: expected one for "
            "each label"
        )
    if not set(columns) & set(taken) and max(counts) == 1:
        return columns
    if asked is None:
        return ()
    seen = f"occurs {max(counts)} times" if max(counts) > 1 else "holds the texts or the labels"
    column = columns[counts.index(max(counts))]
    raise InputError(
        f"{name}: column {column!r} {seen}, expected one of its own for the scores. Name another "
        "with --score-column"
    )


def split_names(listed: str, option: str = "--columns") -> tuple[str, ...]:
    """Split names at commas; a name in double quotes may hold some (RFC 4180).

    Args:
        listed: the names.
        option: what gave them, for the message.

    Raises:
        InputError: it is no such list.
    """
    try:
        return tuple(filter(None, next(csv.reader([listed], strict=True), [])))
    except csv.Error as error:
        raise InputError(
            f"{option} {listed}: no list of names ({error}). Put a name with a comma in double "
            "quotes, and double the quotes in it"
        ) from error


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can be scored."""
    value = _value_type(kind)
    # A column without a single value, as pandas writes it, has no type.
    return _is_string(value) or _is_binary(value) or bool(pa.types.is_null(value))


def output_schema(
    schema: pa.Schema,
    carried: Sequence[str],
    prefix: str,
    metadata: dict[str, str],
    further: Sequence[str] = (),
) -> pa.Schema:
    """Return the output's schema: carried fields as they are, then the new columns.

    Args:
        schema: the input's.
        carried: names of the columns that are copied.
        prefix: put before the names of the new ones.
        metadata: entries to add to the schema's.
        further: names of new columns behind the usual three.
    """
    score, prediction, status = (prefix + column for column in RESULT_COLUMNS)
    fields = [schema.field(column) for column in carried]
    fields += [
        pa.field(score, pa.float32()),
        pa.field(prediction, pa.string()),
        pa.field(status, pa.string(), nullable=False),
        *(
            pa.field(prefix + column, pa.bool_() if column == CONFIDENT else pa.float32())
            for column in further
        ),
    ]
    kept = still_true(schema.metadata or {}, schema.names, fields)
    # Where the scores of a table come from that was scored before is not where these do.
    kept = {key: value for key, value in kept.items() if not key.startswith(b"sent.")}
    return pa.schema(fields, metadata={**kept, **_encoded(metadata)})


def _encoded(metadata: dict[str, str]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in metadata.items()}


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


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    )

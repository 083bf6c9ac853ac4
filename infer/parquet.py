"""Parquet in and out as streams: which columns, windows of text, rows carried over.

Nothing here depends on how many rows a file has: windows are bounded by rows and by bytes.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.errors import InputError
from infer.inputs import InputFile

RESULT_COLUMNS: Final = ("score", "prediction", "status")
WINDOW_BYTES: Final = 32 << 20
_READ_BYTES: Final = 4 << 20
_OUTPUT_BYTES: Final = 64 << 20
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


@contextmanager
def open_parquet(source: InputFile) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file for streaming.

    Raises:
        InputError: it is not there, not Parquet, or damaged.
    """
    with contextlib.ExitStack() as stack:
        with _reading(source.name):
            file = stack.enter_context(source.filesystem.open_input_file(source.path))
            # A buffered stream reads a column page by page: a huge row group need not fit memory.
            parquet = stack.enter_context(pq.ParquetFile(file, buffer_size=1 << 20))
        yield parquet


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what Arrow raises about a damaged or unreadable file into an `InputError`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{name}: not a whole, readable Parquet file ({reason})") from error


def _guarded(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[pa.RecordBatch]:
    """Read batches; errors of whoever uses them are not touched."""
    while True:
        with _reading(name):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


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
    if not schema.names:
        raise InputError(f"{name}: no columns at all, expected at least a text column")
    doubled = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if doubled:
        raise InputError(f"{name}: column {doubled[0]!r} occurs twice. Rename one of them")
    text = text if text is not None else _default_text_column(schema, name)
    _check_present(schema, name, [text], "--text-column")
    if not is_text(schema.field(text).type):
        raise InputError(
            f"{name}: column {text!r} has type {schema.field(text).type}, expected string, "
            "large_string, string_view, binary (UTF-8) or a dictionary of these. "
            "Name another with --text-column"
        )
    if carry is None:
        carried = [column for column in schema.names if column != text]
    else:
        _check_present(schema, name, carry, "--columns")
        carried = [column for column in schema.names if column in set(carry)]
    clash = [column for column in carried if column in {prefix + new for new in RESULT_COLUMNS}]
    if clash:
        raise InputError(
            f"{name}: column {clash[0]!r} would be written twice. Put a prefix before the new "
            "columns (--prefix sent_), or leave it out (--columns)"
        )
    return Columns(text, tuple(carried))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can be scored."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def text_windows(
    file: pq.ParquetFile,
    name: str,
    column: str,
    rows: int,
    skip: int = 0,
    max_bytes: int = WINDOW_BYTES,
) -> Iterator[pa.Array]:
    """Read a text column in windows of at most `rows` rows and some `max_bytes` of text.

    Where a window ends depends only on where it starts, so that a resumed job cuts the same ones.

    Args:
        file: the Parquet file.
        name: the file, for messages.
        column: the text column.
        rows: rows in a window at most.
        skip: rows left out at the start.
        max_bytes: text in a window at most; a single longer text is a window of its own.

    Yields:
        Windows as arrays in the column's type, at least one row each.

    Raises:
        InputError: the file is damaged.
    """
    pending = pa.array([], file.schema_arrow.field(column).type)
    for values in _values_from(file, name, column, skip):
        pending = pa.concat_arrays([pending, values]) if len(pending) else values
        while (end := _window_end(pending, rows, max_bytes)) is not None:
            yield pending.slice(0, end)
            pending = pending.slice(end)
    if len(pending):
        yield pending


def carried_batches(
    file: pq.ParquetFile, name: str, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Read the carried columns in batches that will be the output's row groups.

    Raises:
        InputError: the file is damaged.
    """
    metadata = file.metadata
    size = sum(_column_bytes(file, group, columns) for group in range(metadata.num_row_groups))
    rows = _rows_within(_OUTPUT_BYTES, size, metadata.num_rows, most=65_536)
    return _guarded(file.iter_batches(batch_size=rows, columns=list(columns)), name)


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
    return pa.schema(fields, metadata={**(schema.metadata or {}), **_encoded(metadata)})


def _encoded(metadata: dict[str, str]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in metadata.items()}


def _default_text_column(schema: pa.Schema, name: str) -> str:
    for column in _TEXT_NAMES:
        if column in schema.names:
            return column
    strings = [field.name for field in schema if _is_string(_value_type(field.type))]
    if len(strings) == 1:
        return str(strings[0])
    raise InputError(
        f"{name}: no column 'text' or 'review', and {len(strings) or 'no'} string columns. "
        f"Columns: {_listed(schema)}. Use --text-column"
    )


def _check_present(schema: pa.Schema, name: str, columns: Sequence[str], option: str) -> None:
    for column in columns:
        if column not in schema.names:
            raise InputError(
                f"{name}: no column {column!r}. Columns: {_listed(schema)}. Use {option}"
            )


def _listed(schema: pa.Schema, most: int = 30) -> str:
    names = [f"{field.name} ({field.type})" for field in schema][:most]
    return ", ".join(names) + (", …" if len(schema) > most else "")


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_string(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _values_from(file: pq.ParquetFile, name: str, column: str, skip: int) -> Iterator[pa.Array]:
    """Read a column from row `skip` on; row groups before it are not touched."""
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    first = 0
    while first < len(sizes) and skip >= sizes[first]:
        skip -= sizes[first]
        first += 1
    groups = list(range(first, len(sizes)))
    size = sum(_column_bytes(file, group, [column]) for group in groups)
    rows = _rows_within(_READ_BYTES, size, sum(sizes[first:]), most=8_192)
    batches = file.iter_batches(batch_size=rows, row_groups=groups, columns=[column])
    for batch in _guarded(batches, name):
        values = batch.column(0)
        yield values.slice(skip)
        skip = max(0, skip - len(values))


def _column_bytes(file: pq.ParquetFile, group: int, columns: Sequence[str]) -> int:
    """Uncompressed bytes of some top-level columns in a row group."""
    chunks = file.metadata.row_group(group)
    return sum(
        chunks.column(i).total_uncompressed_size
        for i in range(chunks.num_columns)
        if chunks.column(i).path_in_schema in columns
        or chunks.column(i).path_in_schema.split(".")[0] in columns
    )


def _rows_within(budget: int, size: int, rows: int, most: int) -> int:
    """Return how many rows of average size fit a budget of bytes, 1 to `most`."""
    return max(1, min(most, budget * rows // max(size, 1)))


def _window_end(texts: pa.Array, rows: int, max_bytes: int) -> int | None:
    """Return how many rows the next window takes, or None while it may still grow."""
    lengths = _byte_lengths(texts.slice(0, rows))
    total = np.cumsum(lengths)
    end = int(np.searchsorted(total, max_bytes, side="right"))
    if end < len(lengths):
        return max(1, end)
    return rows if len(lengths) == rows else None


def _byte_lengths(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each text, 0 for null: (R,) int64."""
    if pa.types.is_dictionary(texts.type):
        lengths = pc.take(_byte_length(texts.dictionary), texts.indices)
    else:
        lengths = _byte_length(texts)
    result: npt.NDArray[np.int64] = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
    return result.astype(np.int64)


def _byte_length(values: pa.Array) -> pa.Array:
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_binary())
    return pc.binary_length(values)

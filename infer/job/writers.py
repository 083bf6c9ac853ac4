"""Tables → a file of the output's format: Parquet, CSV, TSV or JSON Lines, by its name's end."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from infer.base.errors import InputError
from infer.table.formats import JSON, PARQUET, compression_of, find_format
from infer.table.json_files import WRITTEN_OUT

# Only between so many values a writer asks whether the page is full; a value may have 300 kB.
_WRITTEN_AT_ONCE: Final = 128
_ROWS_AT_ONCE: Final = 1_024


class Writer(Protocol):
    """Takes tables of the output's schema, in their order."""

    def write_table(self, table: pa.Table) -> None:
        """Write some rows; a row group where the format has any."""
        ...


@contextmanager
def open_writer(temporary: Path, output: str, schema: pa.Schema) -> Iterator[Writer]:
    """Write a file in the format that a name's end says.

    Args:
        temporary: where to write it.
        output: the name that it will have.
        schema: of the tables.
    """
    kind = find_format(output)
    if kind is PARQUET:
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            write_page_checksum=True,
            write_batch_size=_WRITTEN_AT_ONCE,
        ) as writer:
            yield _Parquet(writer)
        return
    with pa.output_stream(str(temporary), compression=compression_of(output)) as stream:
        if kind is JSON:
            yield _Json(stream)
            return
        plain = pa.schema([pa.field(f.name, _csv_type(f.type)) for f in schema])
        options = pyarrow.csv.WriteOptions(delimiter=kind.delimiter)
        with pyarrow.csv.CSVWriter(stream, plain, write_options=options) as writer:
            yield _Csv(writer, plain)


def check_types(schema: pa.Schema, names: tuple[str, ...], output: str, source: str) -> None:
    """Refuse columns that the output's format cannot hold, before any work.

    Raises:
        InputError: naming them.
    """
    kind = find_format(output)
    if kind is PARQUET:
        return
    for name in names:
        _check_time_zone(schema.field(name), source)
    if not kind.delimiter:
        return
    nested = [name for name in names if pa.types.is_nested(schema.field(name).type)]
    if nested:
        raise InputError(
            f"{source}: column {nested[0]!r} has type {schema.field(nested[0]).type}, which "
            f"{kind.name} cannot hold. Leave it out with --columns, or name an output that ends "
            "with .jsonl or .parquet"
        )


def _check_time_zone(field: pa.Field, source: str) -> None:
    """Refuse times in a zone that is not known here, which only Parquet writes as they are."""
    if not pa.types.is_timestamp(field.type):
        return
    try:
        pa.nulls(1, field.type).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{source}: column {field.name!r} has type {field.type}, whose time zone is not known "
            "here. Leave it out with --columns, or name an output that ends with .parquet"
        ) from error


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def write_table(self, table: pa.Table) -> None:
        self._writer.write_table(table, table.num_rows)


class _Csv:
    """Strings are quoted and missing values are not, so that an empty text is not a missing one."""

    def __init__(self, writer: pyarrow.csv.CSVWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def write_table(self, table: pa.Table) -> None:
        columns = [_cast(table[i], field.type) for i, field in enumerate(self._schema)]
        self._writer.write_table(pa.table(columns, schema=self._schema))


class _Json:
    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def write_table(self, table: pa.Table) -> None:
        for batch in table.to_batches(_ROWS_AT_ONCE):
            columns = [_values(column, field) for column, field in
                       zip(batch.columns, table.schema, strict=True)]  # fmt: skip
            names = table.column_names
            lines = (
                _line(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
            )
            self._stream.write(b"".join(lines))


def _csv_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values are written: bytes are written as they are."""
    if pa.types.is_dictionary(kind):
        return _csv_type(kind.value_type)
    return pa.large_string() if _is_bytes(kind) else kind


def _is_bytes(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
            pa.types.is_fixed_size_binary,
        )
    )  # fmt: skip


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in the type in which it is written; bytes need not be UTF-8."""
    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type):
        chunks = [chunk.dictionary_decode() for chunk in column.chunks]
        return _cast(pa.chunked_array(chunks, column.type.value_type), kind)
    return pa.chunked_array(
        [chunk.cast(pa.large_binary()).view(kind) for chunk in column.chunks], kind
    )


def _values(column: pa.Array, field: pa.Field) -> list[Any]:
    """Return values as JSON has them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _values(column.dictionary_decode(), field)
    if pa.types.is_float32(kind):  # as few digits as tell it from its neighbours
        shortest = column.cast(pa.string()).to_pylist()
        return [None if digits is None else _json(float(digits)) for digits in shortest]
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return [_json(value) for value in column.to_pylist()]
    if _is_bytes(kind):
        texts = [_json(value) for value in column.cast(pa.large_binary()).to_pylist()]
        is_json = (field.metadata or {}).items() >= WRITTEN_OUT.items()
        return [json.loads(t) if is_json and t is not None else t for t in texts]
    return [_json(value) for value in column.cast(_python_type(kind)).to_pylist()]


def _python_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which all values of a type can be had in Python, at any depth.

    Python has neither nanoseconds nor years above 9999, and strings need not be UTF-8.
    """
    if _is_bytes(kind):
        return pa.large_binary()
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_python_type(field.type)) for field in kind.fields])
    if pa.types.is_map(kind):
        return pa.map_(_python_type(kind.key_type), _python_type(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_python_type(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_python_type(kind.value_type), kind.list_size)
    return kind


def _json(value: Any) -> Any:
    """Return a value of Python's as JSON has it: no NaN, no bytes, no decimals."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return str(value)


def _line(row: dict[str, Any]) -> bytes:
    """Return a row as a line; bytes that are no UTF-8 as what `JsonFile` reads them back from."""
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode() + b"\n"

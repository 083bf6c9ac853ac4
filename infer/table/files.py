"""A file of reviews on this machine, whatever its format → its columns. Legend: R rows.

Training and parity data are read so: as a whole, since all of it is learned from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from infer.base.errors import InputError
from infer.table.csv_files import CsvFile
from infer.table.formats import PARQUET, compression_of, find_format, reading
from infer.table.json_files import JsonFile
from infer.text.encoding import decode_utf8

Result = TypeVar("Result")


def read_schema(path: Path, delimiter: str | None = None) -> pa.Schema:
    """Return the names and types of a file's columns.

    Args:
        path: the file; its name's end says the format.
        delimiter: what parts the fields of CSV; None: what its name and its looks say.

    Raises:
        InputError: it is missing, or not of the format that its name says.
    """

    def read() -> pa.Schema:
        schema = pq.read_schema(path) if _is_parquet(path) else _open(path, delimiter).schema()
        _ = schema.names  # they are decoded when they are asked for, and may not be UTF-8
        return schema

    return _reading(path, read)


def read_columns(
    path: Path, names: Sequence[str], strings: Sequence[str], delimiter: str | None = None
) -> pa.Table:
    """Read columns of a file, `strings` among them as large_string whatever they look like.

    A string that is not UTF-8 becomes null, where the format can hold one.

    Raises:
        InputError: it is missing, damaged, or not of the format that its name says.
    """

    def read() -> pa.Table:
        if _is_parquet(path):
            table = pq.read_table(path, columns=list(names))
        else:
            table = _open(path, delimiter).columns(names, strings)
        return pa.table({n: _strings(table[n]) if n in strings else table[n] for n in names})

    return _reading(path, read)


def how_read(path: Path, delimiter: str | None = None) -> tuple[str, ...]:
    """Return what was noticed about how a CSV file is written, where that is not plain.

    Raises:
        InputError: it cannot be read.
    """
    if not find_format(path).delimiter:
        return ()
    return _reading(path, lambda: _csv(path, delimiter).notes)


def _is_parquet(path: Path) -> bool:
    return find_format(path) is PARQUET


def _open(path: Path, delimiter: str | None) -> CsvFile | JsonFile:
    return _csv(path, delimiter) if find_format(path).delimiter else JsonFile(_opener(path))


def _csv(path: Path, delimiter: str | None) -> CsvFile:
    return CsvFile(_opener(path), path, find_format(path).delimiter, delimiter)


def _opener(path: Path) -> Callable[[], pa.NativeFile]:
    compression = compression_of(path)
    return lambda: fs.LocalFileSystem().open_input_stream(str(path), compression=compression)


def _reading(path: Path, read: Callable[[], Result]) -> Result:
    if not path.is_file():
        raise InputError(f"{path}: no such file. Expected a file of Parquet, CSV or JSON Lines")
    with reading(path, find_format(path)):
        return read()


def _strings(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one large_string array; what is not UTF-8 becomes null."""
    parts = [decode_utf8(_as_string(chunk))[0] for chunk in column.chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.large_string())


def _as_string(values: pa.Array) -> pa.Array:
    plain = pa.types.is_integer(values.type) or pa.types.is_null(values.type)
    return values.cast(pa.large_string()) if plain else values

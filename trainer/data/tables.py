"""A file of reviews, whatever its format → its columns. Legend: R rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from infer.base.errors import InputError
from infer.text.encoding import decode_utf8

Result = TypeVar("Result")
# No row of a text file may be longer; Arrow reads that much at a time.
BLOCK_BYTES: Final = 1 << 26
UNREADABLE: Final = (
    pa.ArrowInvalid,
    pa.ArrowKeyError,
    pa.ArrowNotImplementedError,
    OSError,
    UnicodeDecodeError,
)


@dataclass(frozen=True)
class Format:
    """How files of a format are read.

    Attributes:
        name: what people call it.
        schema: file → its columns, with the types that Arrow sees.
        read: file, columns to read, those of them to read as strings → (R,) rows.
        is_typed: whether the file itself says what a column's type is.
    """

    name: str
    schema: Callable[[Path], pa.Schema]
    read: Callable[[Path, Sequence[str], Sequence[str]], pa.Table]
    is_typed: bool = False


def find_format(path: Path) -> Format:
    """Return the format that a file's name ends with; Parquet where it is none that is known."""
    return FORMATS.get(path.suffix.lower(), FORMATS[".parquet"])


def read_schema(path: Path) -> pa.Schema:
    """Return the names and types of a file's columns.

    Raises:
        InputError: it is missing, or not of the format that its name says.
    """

    def read(kind: Format) -> pa.Schema:
        schema = kind.schema(path)
        _ = schema.names  # they are decoded when they are asked for, and may not be UTF-8
        return schema

    return _reading(path, read)


def read_columns(path: Path, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
    """Read columns of a file, `strings` among them as large_string whatever they look like.

    A string that is not UTF-8 becomes null, where the format can hold one.

    Raises:
        InputError: it is missing, damaged, or not of the format that its name says.
    """

    def read(kind: Format) -> pa.Table:
        table = kind.read(path, names, strings)
        return pa.table({n: _strings(table[n]) if n in strings else table[n] for n in names})

    return _reading(path, read)


def _reading(path: Path, read: Callable[[Format], Result]) -> Result:
    kind = find_format(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file. Expected a file of Parquet, CSV or JSON Lines")
    try:
        return read(kind)
    except UNREADABLE as error:
        encoding = "" if kind.is_typed else ", in UTF-8"
        raise InputError(
            f"{path}: not a readable {kind.name} file{encoding} ({error}). The name's end tells "
            f"the format, one of {', '.join(FORMATS)}"
        ) from error


def _strings(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one large_string array; what is not UTF-8 becomes null."""
    parts = [decode_utf8(_as_string(chunk))[0] for chunk in column.chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.large_string())


def _as_string(values: pa.Array) -> pa.Array:
    plain = pa.types.is_integer(values.type) or pa.types.is_null(values.type)
    return values.cast(pa.large_string()) if plain else values


def _read_parquet(path: Path, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
    return pq.read_table(path, columns=list(names))


def _csv_schema(path: Path) -> pa.Schema:
    with pyarrow.csv.open_csv(path, *_csv_options()) as reader:
        return reader.schema


def _csv_options() -> tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions]:
    return (
        pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
        pyarrow.csv.ParseOptions(newlines_in_values=True),
    )


def _read_csv(path: Path, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
    """Read CSV (RFC 4180); only an empty field without quotes is missing, "NA" is a text."""
    options = pyarrow.csv.ConvertOptions(
        include_columns=list(names),
        column_types=dict.fromkeys(strings, pa.large_string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(path, *_csv_options(), options)


def _json_schema(path: Path) -> pa.Schema:
    return _load_json(path, None).schema


def _read_json(path: Path, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
    """Read JSON Lines; a string that looks like a date stays a string where one is asked for."""
    found = _load_json(path, None)
    dates = [name for name in strings if pa.types.is_temporal(found.field(name).type)]
    if dates:
        found = _load_json(path, pa.schema([(name, pa.string()) for name in dates]))
    return found.select(names)


def _load_json(path: Path, schema: pa.Schema | None) -> pa.Table:
    return pyarrow.json.read_json(
        path,
        pyarrow.json.ReadOptions(block_size=BLOCK_BYTES),
        pyarrow.json.ParseOptions(explicit_schema=schema),
    )


_JSON: Final = Format("JSON Lines", _json_schema, _read_json)
FORMATS: Final = {
    ".parquet": Format("Parquet", pq.read_schema, _read_parquet, is_typed=True),
    ".csv": Format("CSV", _csv_schema, _read_csv),
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
}

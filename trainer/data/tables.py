"""A file of reviews, whatever its format → its columns. Legend: R rows."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, TypeVar

import pyarrow as pa
import pyarrow.csv
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
    ValueError,  # of which what is no UTF-8 and what is no JSON
    RecursionError,
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
    """Return the names of JSON Lines and the types of their values; null where types differ."""
    kinds: dict[str, set[type]] = {}
    for row in _rows(path):
        for name, value in row.items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(type(value))
    if not kinds:
        raise pa.ArrowInvalid("it holds no object")
    types: dict[type, pa.DataType] = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
    }
    return pa.schema(
        [
            (_utf8(name), types.get(next(iter(those)), pa.null()) if len(those) == 1 else pa.null())
            for name, those in kinds.items()
        ]
    )


def _read_json(path: Path, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
    """Read JSON Lines, or one array of objects; no column that is not asked for is looked at."""
    columns: dict[str, list[object]] = {name: [] for name in names}
    for row in _rows(path):
        for name, values in columns.items():
            values.append(row.get(name))
    return pa.table(
        {
            name: (_json_strings if name in strings else _json_values)(values, name)
            for name, values in columns.items()
        }
    )


def _json_values(values: Sequence[object], name: str) -> pa.Array:
    """Return values in the type they share, strings where one is a string."""
    if any(isinstance(value, str) for value in values):
        return _json_strings(values, name)
    return pa.array(values, from_pandas=True)


def _json_strings(values: Sequence[object], name: str) -> pa.Array:
    """Return values as binary: strings as they are, half a surrogate pair as no UTF-8."""
    for value in values:
        if isinstance(value, dict | list):
            raise pa.ArrowInvalid(
                f"column {name!r} holds {json.dumps(value)[:60]}, expected strings"
            )
    written = (
        value if isinstance(value, str) or value is None else json.dumps(value) for value in values
    )
    encoded = [None if text is None else _encoded(text) for text in written]
    return pa.array(encoded, pa.large_binary())


def _encoded(text: str) -> bytes:
    """Return a text's bytes, as no UTF-8 where the file had no UTF-8 or half a surrogate pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _rows(path: Path) -> Iterator[dict[str, object]]:
    """Read the objects of JSON Lines, or those of one array.

    Raises:
        ArrowInvalid: something else stands there.
    """
    # A text of which a byte is no UTF-8 is one that is missing, no reason to refuse all others.
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        start = file.read(1)
        while start.isspace():
            start = file.read(1)
        file.seek(0)
        if start == "[":
            rows: Iterator[tuple[int, object]] = enumerate(json.load(file), 1)
            place = "element"
        else:
            rows, place = _lines(file), "line"
        for number, row in rows:
            if not isinstance(row, dict):
                raise pa.ArrowInvalid(
                    f"{place} {number:,} is {json.dumps(row)[:60]}, expected an object such as "
                    '{"text": "A good film.", "label": 1}'
                )
            yield row


def _lines(file: TextIO) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise pa.ArrowInvalid(
                    f"line {number:,} is no JSON ({error}), expected an object on each line, or "
                    "one array of objects"
                ) from error


def _utf8(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


_JSON: Final = Format("JSON Lines", _json_schema, _read_json)
FORMATS: Final = {
    ".parquet": Format("Parquet", pq.read_schema, _read_parquet, is_typed=True),
    ".csv": Format("CSV", _csv_schema, _read_csv),
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
}

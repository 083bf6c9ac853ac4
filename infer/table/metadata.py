"""What programs write beside a table's columns, and whether it is still true of other columns.

Spark, pandas, Avro, Iceberg and others keep a list of the columns of their own in a file, and
believe it more than the file: Spark read a scored file by the old list, without a score.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

_PANDAS: Final = b"pandas"
# They list columns in another way than JSON, or are written anew with the file.
_NEVER_TRUE: Final = (
    b"ARROW:schema",
    b"r",
    b"parquet.proto.descriptor",
    b"parquet.thrift.descriptor",
)
_PARTED: Final = re.compile(r"[,;|\t\n\[\]()]")
# They say something of single columns (GeoParquet), so that one name is enough to tell.
_OF_COLUMNS: Final = (b"geo", b"huggingface", b"org.apache.spark.sql.parquet.row.metadata")


def still_true(
    metadata: Mapping[bytes, bytes], before: Sequence[str], fields: Sequence[pa.Field]
) -> dict[bytes, bytes]:
    """Return the schema metadata that describes the output as well; that of pandas is extended.

    Left out is what lists columns (as JSON, or by nothing but their names) and names one that is
    not written, or names all.

    Args:
        metadata: the input's.
        before: its columns.
        fields: those of the output.
    """
    after = {field.name for field in fields}
    kept = {}
    for key, value in metadata.items():
        if key == _PANDAS:
            kept[key] = _extended(value, fields)
        elif key not in _NEVER_TRUE and not _is_stale(key, value, set(before), after):
            kept[key] = value
    return {key: value for key, value in kept.items() if value}


def _is_stale(key: bytes, value: bytes, before: set[str], after: set[str]) -> bool:
    named = before & (set(_strings(_parsed(value))) or _plain_list(value, before))
    is_list = key in _OF_COLUMNS or len(named) > 1 or named == before
    return bool(named) and is_list and bool(named - after or named == before)


def _parsed(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _plain_list(value: bytes, before: set[str]) -> set[str]:
    """Return the columns of a list that consists of nothing but names of columns."""
    names = {name.strip(" \"'") for name in _PARTED.split(value.decode("utf-8", "replace"))}
    return names - {""} if len(names - {""}) > 1 and names - {""} <= before else set()


def _strings(value: Any) -> Iterator[str]:
    """Yield the keys and strings within what JSON holds, at any depth."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            pending += [*one.keys(), *one.values()]


def _extended(value: bytes, fields: Sequence[pa.Field]) -> bytes:
    """Return what pandas wrote about its columns and index with the columns that there are now."""
    try:
        told = json.loads(value)
        names = {field.name for field in fields}
        columns = [one for one in told["columns"] if one.get("field_name", one["name"]) in names]
        known = {one.get("field_name", one["name"]) for one in columns}
        told["columns"] = columns + [_told(field) for field in fields if field.name not in known]
        told["index_columns"] = [
            one for one in told["index_columns"] if isinstance(one, dict) or one in names
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return b""
    return json.dumps(told).encode()


def _told(field: pa.Field) -> dict[str, Any]:
    is_number = pa.types.is_float32(field.type)
    kinds = ("float32", "float32") if is_number else ("unicode", "object")
    return {
        "name": field.name,
        "field_name": field.name,
        "pandas_type": kinds[0],
        "numpy_type": kinds[1],
        "metadata": None,
    }

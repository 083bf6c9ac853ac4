"""A Parquet file's leaves, its columns of values, and the meanings that Arrow has no type for."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

# In a logical type these say how it was written, not what it means.
_SPELLING: Final = ("is_from_converted_type", "force_set_converted_type")
_LEAST_WIDTH: Final = 8
# Types that come through; only where there are others is it tried what they become.
_SURE: Final = frozenset(("", "STRING", "INT", "DATE", "TIMESTAMP", "DECIMAL"))


@dataclass(frozen=True)
class Leaf:
    """One column of values.

    Attributes:
        index: its number in the file.
        column: the column of the table that it belongs to.
        path: its name, with those of what it lies in.
        physical: Parquet's physical type.
        meaning: Parquet's logical type, `""` where there is none.
        width: bytes of a value, where all have as many.
        is_repeated: whether a row may hold several values.
    """

    index: int
    column: str
    path: str
    physical: str
    meaning: str
    width: int
    is_repeated: bool


def leaves_of(parquet: Any, schema: pa.Schema) -> tuple[Leaf, ...]:
    """Return the leaves of a `ParquetSchema` whose Arrow schema is `schema`."""
    columns = [field.name for field in schema for _ in range(_count(field.type))]
    if len(columns) != len(parquet):  # a type whose leaves Arrow folds otherwise
        columns = [parquet.column(i).path.split(".")[0] for i in range(len(parquet))]
    return tuple(_leaf(parquet.column(i), i, column) for i, column in enumerate(columns))


def _leaf(spec: Any, index: int, column: str) -> Leaf:
    return Leaf(
        index,
        column,
        spec.path,
        spec.physical_type,
        _meaning(spec),
        max(_LEAST_WIDTH, int(spec.length or 0)),
        spec.max_repetition_level > 0,
    )


def _meaning(spec: Any) -> str:
    if spec.logical_type.type == "NONE":
        return "" if spec.converted_type == "NONE" else str(spec.converted_type)
    logical = json.loads(spec.logical_type.to_json())
    kind = logical.pop("Type").upper()
    details = [f"{key} {value}" for key, value in logical.items() if key not in _SPELLING]
    return f"{kind} ({', '.join(details)})" if details else str(kind)


def _count(kind: pa.DataType) -> int:
    """Return how many leaves a type has."""
    if isinstance(kind, pa.BaseExtensionType):
        return _count(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _count(kind.value_type)
    if pa.types.is_map(kind):
        return _count(kind.key_type) + _count(kind.item_type)
    return sum(_count(child.type) for child in _children(kind)) if pa.types.is_nested(kind) else 1


def _children(kind: pa.DataType) -> Iterator[pa.Field]:
    return (kind.field(i) for i in range(kind.num_fields))


def lost_meanings(leaves: Sequence[Leaf], schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    """Say of which carried columns Parquet's own type does not survive a passage through Arrow.

    Args:
        leaves: those of the input.
        schema: its Arrow schema.
        columns: the carried columns, in its order.

    Returns:
        A part of a sentence for each: the column, what it was, and what it becomes.
    """
    wanted = set(columns)
    before = [leaf for leaf in leaves if leaf.column in wanted]
    if all(leaf.meaning.split(" ")[0] in _SURE and leaf.physical != "INT96" for leaf in before):
        return []
    carried = pa.schema([schema.field(column) for column in columns])
    buffer = io.BytesIO()
    pq.write_metadata(carried, buffer)
    after = leaves_of(pq.ParquetFile(buffer).schema, carried)
    if len(before) != len(after):
        return []
    pairs = list(zip(before, after, strict=True))
    lost = [
        f"{old.path!r} is of type {old.meaning} and becomes {new.meaning or new.physical}"
        for old, new in pairs
        if old.meaning and old.meaning != new.meaning
    ]
    return lost + [
        f"{old.path!r} is of the old type INT96 and becomes {new.meaning}, cut to microseconds"
        for old, new in pairs
        if old.physical == "INT96" and new.physical != "INT96"
    ]

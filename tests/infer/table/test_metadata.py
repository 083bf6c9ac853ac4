"""Schema metadata: what lists columns goes or grows, the rest is carried."""

import json

import pyarrow as pa
import pytest

from infer.table.columns import output_schema
from infer.table.metadata import still_true

FIELDS = [("id", pa.int64()), ("text", pa.string()), ("place", pa.binary())]
SPARK = {"type": "struct", "fields": [{"name": name, "type": "string"} for name, _ in FIELDS]}
AVRO = {"type": "record", "name": "row", "fields": SPARK["fields"]}
FEATURES = {"info": {"features": {name: {"dtype": "string"} for name, _ in FIELDS}}}
GEO = {"version": "1.1.0", "primary_column": "place", "columns": {"place": {"encoding": "WKB"}}}


def after(metadata, carried):
    before = pa.schema(FIELDS, metadata={k: json.dumps(v) for k, v in metadata.items()})
    return output_schema(before, carried, "", {}).metadata or {}


@pytest.mark.parametrize("carried", [["id", "place"], ["id", "text", "place"], []])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("org.apache.spark.sql.parquet.row.metadata", SPARK),
        ("parquet.avro.schema", AVRO),
        ("iceberg.schema", SPARK),
        ("huggingface", FEATURES),
        ("somebody.else", [name for name, _ in FIELDS]),
    ],
)
def test_a_list_of_columns_goes(key, value, carried):
    assert after({key: value, "org.apache.spark.version": "3.5.1"}, carried) == {
        b"org.apache.spark.version": b'"3.5.1"'
    }


def test_what_is_said_of_single_columns_stays_while_they_do():
    assert json.loads(after({"geo": GEO}, ["place"])[b"geo"]) == GEO
    assert after({"geo": GEO}, ["id"]) == {}


def test_the_rest_is_carried():
    rest = {b"owner": b"us", b"raw": b"\xff", b"job": b'{"id": 7, "team": ["a", "b"]}'}
    fields = [pa.field("id", pa.int64())]
    assert still_true({**rest, b"ARROW:schema": b"AAAA"}, ["id", "text"], fields) == rest


def test_pandas_keeps_its_index_and_learns_the_new_columns():
    columns = [
        {"name": n, "field_name": n, "pandas_type": "unicode", "numpy_type": "object"}
        for n in ("id", "text", "place", "__index_level_0__")
    ]
    told = {"columns": columns, "index_columns": ["__index_level_0__"], "column_indexes": []}
    found = json.loads(after({"pandas": told}, ["id", "place"])[b"pandas"])
    assert [one["name"] for one in found["columns"]] == [
        "id",
        "place",
        "score",
        "prediction",
        "status",
    ]
    assert found["index_columns"] == []
    assert after({"pandas": {"columns": 7}}, ["id"]) == {}


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        (b"id,text", False),
        (b'["id"; "text"]', False),
        (b"id|text|", False),
        (b"id of the text", True),
        (b"id, text, owner", True),
        (b"id", True),
    ],
)
def test_a_list_of_nothing_but_columns(value, is_kept):
    fields = [pa.field("id", pa.int64()), pa.field("score", pa.float32())]
    assert bool(still_true({b"columns": value}, ["id", "text"], fields)) == is_kept

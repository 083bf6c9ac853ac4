"""DuckDB: a function over Arrow, called from all its threads."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer

from .conftest import RECIPES, needs, rows_of, run


@pytest.fixture(autouse=True)
def _installed():
    needs("duckdb")


def test_the_recipe_gives_the_rows_of_the_command(reviews, expected, model_path, tmp_path):
    output = tmp_path / "it's.parquet"
    run(RECIPES / "duckdb_function.py", reviews / "*.parquet", output, "--model", model_path)
    assert rows_of(output).equals(expected)


def test_a_column_that_is_called_scored(model_path, tmp_path):
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"scored": [1], "text": ["good film"]}), source)
    run(RECIPES / "duckdb_function.py", source, output, "--model", model_path)
    assert pq.read_table(output).column_names == ["scored", "score", "prediction", "status"]


def test_several_threads_call_one_model(reviews, expected, model_path):
    """Row groups are what DuckDB's threads share out: here three."""
    import duckdb

    from examples.engines.duckdb_function import add_function

    with duckdb.connect(config={"threads": 4}) as connection:
        add_function(connection, infer.load(model_path, device="cpu", threads=1))
        files = str(reviews / "*.parquet")
        connection.execute("CREATE TABLE many AS SELECT id, text FROM read_parquet($1)", [files])
        for _ in range(8):
            connection.execute("INSERT INTO many SELECT * FROM many")
        found = connection.sql("SELECT id, unnest(sentiment(text)) FROM many").to_arrow_table()
    assert found.num_rows == 256_000
    distinct = found.group_by(["id", "score", "prediction", "status"]).aggregate([])
    assert distinct.sort_by("id").cast(expected.schema).equals(expected)

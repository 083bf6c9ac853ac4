"""Score in DuckDB's SQL: `python duckdb_function.py 'reviews/*.parquet' scored.parquet`.

Needs `pip install -c constraints.txt '.[duckdb]'`.
"""

import argparse

import duckdb
import pyarrow as pa
from duckdb import sqltypes

import infer

QUERY = """
COPY (
    SELECT * EXCLUDE (text, "sent.scored"), unnest("sent.scored")
    FROM (SELECT *, sentiment(text) AS "sent.scored" FROM read_parquet($source))
) TO '{output}' (FORMAT parquet)
"""


def add_function(connection: duckdb.DuckDBPyConnection, model: infer.Model) -> None:
    """Make `sentiment(text)` known to DuckDB: score, prediction and status of each row.

    DuckDB calls it from all its threads, with some 2,000 rows at a time.
    """

    def sentiment(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        return model.score(texts).to_struct_array()

    connection.create_function(
        "sentiment",
        sentiment,
        [sqltypes.VARCHAR],
        duckdb.struct_type({"score": "FLOAT", "prediction": "VARCHAR", "status": "VARCHAR"}),
        type="arrow",
        null_handling="special",  # a missing text has a row too
    )


def score(source: str, output: str, model: infer.Model) -> None:
    """Score Parquet files with a column `text` into one, in the order of their rows."""
    with duckdb.connect() as connection:
        add_function(connection, model)
        connection.execute(QUERY.format(output=output.replace("'", "''")), {"source": source})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a Parquet file or a glob")
    parser.add_argument("output", help="a Parquet file")
    parser.add_argument("--model", help="imdb, imdb-small or a model file")
    given = parser.parse_args()
    score(given.source, given.output, infer.load(given.model, threads=1))

"""Score within a Polars query: `python polars_batches.py 'reviews/*.parquet' scored.parquet`.

Needs `pip install -c constraints.txt '.[polars]'`.
"""

import argparse

import polars as pl

import infer


def scored(frame: pl.LazyFrame, scorer: infer.Scorer) -> pl.LazyFrame:
    """Return a query with the scores behind the columns that the scorer carries.

    Polars streams batches of rows through it, from several threads.
    """

    def add(batch: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame(scorer(batch.to_arrow()))

    before = frame.limit(0).collect().to_arrow().schema
    after = pl.DataFrame(scorer.schema(before).empty_table()).schema
    return frame.map_batches(add, schema=after, streamable=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a Parquet file or a glob")
    parser.add_argument("output", help="a Parquet file")
    parser.add_argument("--model", help="imdb, imdb-small or a model file")
    given = parser.parse_args()
    scored(pl.scan_parquet(given.source), infer.Scorer(given.model)).sink_parquet(given.output)

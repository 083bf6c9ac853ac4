"""Score on Spark: `spark-submit spark.py reviews/ scored/`.

Needs `pip install -c constraints.txt '.[spark]'`, a Java of 17 or later, and the toolkit in the
Python of every executor. A model file of your own lies at the same path on each.
"""

import argparse
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

import infer


def scored(frame: DataFrame, scorer: infer.Scorer) -> DataFrame:
    """Return the frame with the scores behind the columns that the scorer carries.

    Spark pickles the scorer into each task; the model is loaded once a Python worker, which Spark
    keeps from task to task (`spark.python.worker.reuse`).
    """

    def add(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return map(scorer, batches)

    before = frame.limit(0).toArrow().schema
    after = frame.sparkSession.createDataFrame(scorer.schema(before).empty_table()).schema
    return frame.mapInArrow(add, after)


def in_order(frame: DataFrame) -> DataFrame:
    """Return the rows of Parquet files in the order in which they stand there.

    Spark gives tables no order: it packs large files first. Sorted before they are scored, they
    are scored once; what is written then has the order of the names that Spark gives its files.
    """
    places = frame.select("*", "_metadata")
    return places.orderBy("_metadata.file_path", "_metadata.row_index").drop("_metadata")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a folder of Parquet files, or a URI")
    parser.add_argument("output", help="a folder that is not there yet, or a URI")
    parser.add_argument("--model", help="imdb, imdb-small or a model file")
    given = parser.parse_args()
    spark = SparkSession.builder.appName("sent-score").getOrCreate()
    frame = in_order(spark.read.parquet(given.source))
    scored(frame, infer.Scorer(given.model)).write.parquet(given.output)
    spark.stop()

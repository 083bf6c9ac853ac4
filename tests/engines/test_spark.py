"""Spark: `mapInArrow` with a declared schema, in real executors' Python workers."""

import shutil

import pytest

from .conftest import RECIPES, needs, rows_of, run

pytestmark = pytest.mark.engines

SESSION = """
import os, signal, sys
import infer
from examples.engines.spark import in_order, scored
from pyspark.sql import SparkSession

class Once:
    def __init__(self, scorer):
        self.scorer, self.schema = scorer, scorer.schema
    def __call__(self, batch):
        if not os.path.exists(output + ".killed"):
            open(output + ".killed", "x")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.scorer(batch)

model, source, output = sys.argv[1:]
spark = SparkSession.builder.master("local[2,4]").getOrCreate()  # a task may be tried four times
spark.sparkContext.setLogLevel("OFF")
frame = spark.read.parquet(source)
scorer = infer.Scorer(model, device="cpu", text_column="raw", columns=["id"])
scored(in_order(frame), Once(scorer)).write.parquet(output)
back = spark.read.parquet(output).groupBy("status").count().collect()
print(sorted((row.status, row["count"]) for row in back))
print(scored(frame.where("id < 0"), scorer).count())
spark.stop()
"""


@pytest.fixture(autouse=True)
def _installed():
    needs("pyspark")
    if shutil.which("java") is None:
        pytest.skip("no java: install a runtime of 17 or later")


def test_the_recipe_gives_the_rows_of_the_command(reviews, expected, model_path, tmp_path):
    run(RECIPES / "spark.py", reviews, tmp_path / "out", "--model", model_path)
    assert rows_of(tmp_path / "out").equals(expected)


def test_a_python_worker_is_killed_and_spark_reads_back_what_is_no_text_too(
    reviews, by_command, model_path, tmp_path
):
    expected = by_command(reviews, "raw")
    printed = run("-c", SESSION, model_path, reviews, tmp_path / "out")
    assert (tmp_path / "out.killed").exists()
    counts = expected["status"].value_counts().to_pylist()
    statuses = sorted((count["values"], count["counts"]) for count in counts)
    assert "invalid" in dict(statuses)
    assert printed.splitlines() == [str(statuses), "0"]
    assert rows_of(tmp_path / "out").equals(expected)

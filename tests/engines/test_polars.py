"""Polars: batches of a query, streamed and not."""

import pytest

import infer

from .conftest import RECIPES, RESULTS, needs, rows_of, run


@pytest.fixture(autouse=True)
def _installed():
    needs("polars")


def test_the_recipe_gives_the_rows_of_the_command(reviews, expected, model_path, tmp_path):
    output = tmp_path / "out.parquet"
    run(RECIPES / "polars_batches.py", reviews / "*.parquet", output, "--model", model_path)
    assert rows_of(output).equals(expected)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_within_a_query(reviews, by_command, model_path, tmp_path, engine):
    """Bytes that are no text, categories, no rows at all, and what stands before and behind."""
    import polars as pl

    from examples.engines.polars_batches import scored

    query = pl.scan_parquet(reviews / "*.parquet")
    raw = scored(query, infer.Scorer(model_path, device="cpu", text_column="raw", columns=["id"]))
    expected = by_command(reviews, "raw")
    assert "invalid" in expected["status"].to_pylist()
    found = raw.filter(pl.col("status") != "ok").collect(engine=engine)
    raw.sink_parquet(tmp_path / "raw.parquet", engine=engine)
    assert rows_of(tmp_path / "raw.parquet").equals(expected)
    assert found["id"].to_list() == [
        row["id"] for row in expected.to_pylist() if row["status"] != "ok"
    ]
    scorer = infer.Scorer(model_path, device="cpu", text_column="text", columns=["id"])
    plain = scored(query, scorer).collect(engine=engine)
    kinds = scored(query.with_columns(pl.col("text").cast(pl.Categorical)), scorer)
    assert kinds.collect(engine=engine).equals(plain)
    none = scored(query.filter(pl.col("id") < 0), scorer).collect(engine=engine)
    assert (none.height, none.columns) == (0, RESULTS)

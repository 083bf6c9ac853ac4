"""Rows to label: drawn where they are of use, and taken back by training as they are."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import reporter
import trainer
from infer.base.errors import InputError, OutputError
from reporter.labelling.draw import choose
from tests.conftest import ROOT
from tests.trainer.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def scored(rows: int, **columns: Any) -> pa.Table:
    score = np.random.default_rng(0).beta(0.3, 0.3, rows)
    usual = {
        "id": [f"r{i}" for i in range(rows)],
        "text": [f"text {i}" for i in range(rows)],
        "score": score,
        "prediction": np.where(score < 0.5, "negative", "positive"),
        "status": ["ok"] * rows,
    }
    return pa.table(usual | columns)


def test_half_are_unsure_and_half_from_everywhere(tmp_path: Path) -> None:
    table = scored(3_000, shop=["rare" if i % 300 == 0 else "usual" for i in range(3_000)])
    pq.write_table(table, tmp_path / "scores.parquet")
    assert reporter.sample(tmp_path / "scores.parquet", tmp_path / "l.csv", 100, by="shop") == 100
    drawn = pyarrow.csv.read_csv(tmp_path / "l.csv")
    assert drawn.column_names == ["id", "shop", "text", "label"]
    assert drawn["label"].null_count == 100
    places = [int(name[1:]) for name in drawn["id"].to_pylist()]
    assert places == sorted(set(places))
    score = table["score"].to_numpy()
    unsure = set(np.argsort(np.abs(score - 0.5), kind="stable")[:50].tolist())
    assert unsure <= set(places)
    bands = Counter((score[sorted(set(places) - unsure)] * 10).astype(int).tolist())
    assert len(bands) == 10 and max(bands.values()) <= 14  # of the scores most are at the ends
    assert drawn["shop"].to_pylist().count("rare") >= 5  # of 10 among 3,000


def test_the_seed_decides(tmp_path: Path) -> None:
    pq.write_table(scored(500), tmp_path / "scores.parquet")
    drawn = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.parquet"
        reporter.sample(tmp_path / "scores.parquet", path, 40, seed=seed)
        drawn.append(pq.read_table(path)["id"].to_pylist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_that_need_no_label_are_not_drawn(tmp_path: Path) -> None:
    texts = ["same", "same", "", None, *[f"text {i}" for i in range(4, 10)]]
    labels = [None, None, None, None, "positive", "", " ", None, None, None]
    pq.write_table(scored(10, text=texts, label=labels), tmp_path / "scores.parquet")
    path = tmp_path / "l.jsonl"
    assert reporter.sample(tmp_path / "scores.parquet", path, 50, label_column="label") == 6
    with pytest.raises(OutputError, match="exists already"):
        reporter.sample(tmp_path / "scores.parquet", path, 50)
    pq.write_table(scored(2, text=["", None]), tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="no row with a score and a text"):
        reporter.sample(tmp_path / "empty.parquet", tmp_path / "m.csv", 5)
    pq.write_table(scored(2).drop_columns("text"), tmp_path / "bare.parquet")
    with pytest.raises(InputError, match="sent-score carries it over"):
        reporter.sample(tmp_path / "bare.parquet", tmp_path / "m.csv", 5)


def test_where_one_kind_is_short_the_other_fills_up() -> None:
    texts = {i: f"t{i}" for i in range(10)} | {9: "t8"}
    assert choose([1, 2], [3, 4, 5], texts, 4) == [1, 2, 3, 4]
    assert choose([1, 2, 6], [2], texts, 4) == [1, 2, 6]
    assert choose([8, 9], [9, 8, 0], texts, 3) == [0, 8]


def test_training_takes_the_file_back_as_it_is(score: Callable[..., Any], tmp_path: Path) -> None:
    """Rows of the embedded sample are drawn, half of them are labelled, and learned from."""
    score(ROOT / "data" / "train.parquet", tmp_path / "scores.parquet", columns=("text", "label"))
    path = tmp_path / "label.csv"
    reporter.sample(tmp_path / "scores.parquet", path, 200, columns=())
    drawn = pyarrow.csv.read_csv(path)
    source = pq.read_table(ROOT / "data" / "train.parquet").to_pylist()
    truth = {row["text"]: row["label"] for row in source}
    labels = [truth[text] if i % 2 else None for i, text in enumerate(drawn["text"].to_pylist())]
    filled = drawn.set_column(drawn.schema.get_field_index("label"), "label", pa.array(labels))
    pyarrow.csv.write_csv(filled, path)
    trained = trainer.train(path, output=tmp_path / "c", device="cpu", threads=1, **asdict(TINY))
    figures = trained.metrics
    assert figures["test"]["reviews"] == 20
    assert figures["validation"]["reviews"] + trained.checkpoint.record.data.training_reviews == 80

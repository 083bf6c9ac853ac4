"""`--explain`: the first rows that have a score, in whatever way they were scored."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name, texts in (("a", [None, "", "good film"]), ("b", ["<br>", "bad", "not good"])):
        pq.write_table(pa.table({"text": texts}), tmp_path / "in" / f"{name}.parquet")
    return tmp_path


def score(folder, model_path, **options):
    return infer.score_files(
        folder / "in", folder / "out", model=model_path, device="cpu", threads=1, **options
    )


def test_the_first_rows_with_a_score_are_explained(folder, model_path):
    summary = score(folder, model_path, explain=2)
    rows = [(one.input.rpartition("/")[2], one.row) for one in summary.explained]
    assert rows == [("a.parquet", 2), ("b.parquet", 1)]
    first, second = summary.to_json()["explained"]
    assert [word["word"] for word in first["words"]] == ["good", "film"]
    assert second["words"] == [
        {"word": "bad", "start": 0, "end": 3, "change": None, "score_change": None}
    ]
    assert first.keys() >= {"input", "row", "text", "label", "score", "prediction", "status"}
    # A job that is done explains as well, and no more rows than there are.
    again = score(folder, model_path, explain=9)
    assert again.resumed_rows == 6
    assert [one.explanation.text for one in again.explained] == ["good film", "bad", "not good"]


def test_the_command_tells_them(folder, sent_score, model_path):
    done = sent_score(
        folder / "in", "-o", folder / "out", "--explain", 3, "--json", "--device", "cpu",
        "--processes", 2, "--threads", 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("  row ")]
    assert len(told) == 3 and "row 2 of" in told[0] and "film " in told[0]
    assert "no word can be left out" in told[1]
    alone = score(folder, model_path, explain=3).to_json()["explained"]
    assert json.loads(done.stdout)["explained"] == alone


def test_without_being_asked_nothing_is_explained(folder, model_path):
    assert score(folder, model_path).explained == []
    with pytest.raises(UsageError, match="explain: 0, expected at least 1"):
        score(folder, model_path, explain=0)

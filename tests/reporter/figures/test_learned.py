"""What was scored against what the model learned from, and the labels that it is confident of."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
import reporter
from infer.model.drift import drift
from infer.model.file import ModelFile, stamp
from infer.model.profile import Profile
from infer.model.risk import RiskCurve, RiskPoint
from infer.model.validated import Validated
from tests.pages import Page
from tests.reporter.conftest import scores_table

LEARNED = Profile(
    statuses={"ok": 1_000, "truncated": 0, "null": 0, "empty": 0, "invalid": 0},
    labels={"negative": 500, "positive": 500},
    scores=(50,) * 20,
    lengths=(*(0,) * 8, 1_000, *(0,) * 4),
    unknown=(1_000, *(0,) * 7),
    tokens=300_000,
    unknown_tokens=0,
)


@pytest.fixture
def scored(model: ModelFile, tmp_path: Path) -> Callable[..., Path]:
    """Score texts by a model that knows its validation reviews; it lies where it is looked for."""

    def run(texts: list[str], sure: float = 0.6, **options: Any) -> Path:
        curve = RiskCurve((RiskPoint(0.0, 1_000, 700), RiskPoint(sure, 800, 640)))
        card = replace(model.card, validated=Validated(LEARNED, curve))
        path = tmp_path / "artifacts" / "model.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(stamp(onnx.ModelProto.FromString(model.data), card))
        pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
        output = tmp_path / "scores.parquet"
        infer.score_files(
            tmp_path / "in.parquet", output, model=path, columns=["text"], device="cpu", threads=1,
            overwrite=True, **options,
        )  # fmt: skip
        return output

    return run


def test_other_texts_are_told(
    scored: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = scored([f"good unheard film {i}" for i in range(300)])
    found = reporter.report(output, tmp_path / "r.html")
    assert found["model"]["file"] == "model.onnx"
    seen = Profile.from_json(found["learned"]["seen"])
    assert seen.rows == 300 and found["learned"]["learned"] == LEARNED.to_json()
    moved = drift(LEARNED, seen)
    assert moved is not None and found["learned"]["drift"] == moved.to_json()
    assert any("shorter" in phrase for phrase in found["learned"]["differences"])
    text = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert text.count("not like those that the model learned from: shorter") == 1
    assert text.index("not like those") < text.index("Rows by status")
    assert any("not like those" in note for note in found["notes"])


def test_of_another_model_or_other_rows_nothing_is_told(
    scored: Callable[..., Path], tmp_path: Path
) -> None:
    output = scored(["good film"] * 20)
    assert reporter.report(output)["learned"]["learned"] is None  # the model lies elsewhere
    model = tmp_path / "artifacts" / "model.onnx"
    assert reporter.report(output, model=model)["learned"]["learned"] is not None
    table = pq.read_table(output)
    pq.write_table(table.slice(3), output)
    assert "learned" not in reporter.report(output, model=model)
    with pytest.raises(infer.SentError, match="was scored by"):
        reporter.report(output, model="imdb-small")


def test_confident_labels_and_how_right_they_should_be(
    scored: Callable[..., Path], tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    words = np.array(["good", "bad", "film", "the", "not"])
    texts = [" ".join(random.choice(words, 6)) for _ in range(200)]
    score = pq.read_table(scored(texts))["score"].to_numpy()
    output = scored(texts, float(np.median(np.maximum(score, 1 - score))), abstain_below=0.75)
    table = pq.read_table(output)
    assert 0 < table["confident"].to_pylist().count(True) < 200
    predicted = table["prediction"].to_pylist()
    truth = ["negative" if i % 3 else one for i, one in enumerate(predicted)]
    pq.write_table(table.append_column("label", pa.array(truth)), output)
    model = tmp_path / "artifacts" / "model.onnx"
    found = reporter.report(output, tmp_path / "r.html", model=model, label_column="label")
    rows = [i for i, sure in enumerate(table["confident"].to_pylist()) if sure]
    marked = found["confident"]
    assert marked["rows"] == len(rows) and marked["share"]["share"] == len(rows) / 200
    right = sum(truth[i] == predicted[i] for i in rows)
    assert marked["marked"]["accuracy"]["share"] == right / len(rows)
    assert marked["others"]["rows"] == 200 - len(rows)
    assert marked["expected"]["accuracy"] == 0.8 and marked["expected"]["share"] == 0.8
    assert "80.0% of these were right" in Page((tmp_path / "r.html").read_text("utf-8")).text


def test_a_column_of_that_name_that_marks_nothing_is_passed_over(tmp_path: Path) -> None:
    pq.write_table(scores_table(confident=["very"] * 6), tmp_path / "a.parquet")
    assert "confident" not in reporter.report(tmp_path / "a.parquet")


def test_words_that_moved_a_score_are_marked(scored: Callable[..., Path], tmp_path: Path) -> None:
    output = scored(["good <b>film</b> not bad", "the film", "", "a good good bad"])
    model = tmp_path / "artifacts" / "model.onnx"
    found = reporter.report(output, tmp_path / "r.html", model=model, explain=True, examples=3)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    marked = set(re.findall(r"<mark class=\"(?:for|against)\">([^<]*)</mark>", page))
    assert {"good", "not", "bad", "the"} <= marked
    assert "<b>" not in page and "&lt;" in page
    assert "explained" not in found["examples"]["random"][0]
    with pytest.raises(infer.SentError, match="--model"):
        reporter.report(output, explain=True)

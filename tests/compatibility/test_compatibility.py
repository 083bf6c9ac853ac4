"""What an earlier version made is read, exported, scored and taken up; see README.md."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import exporter
import trainer
from infer.base.errors import UsageError
from infer.text.encoding import Encoder
from infer.text.tokenizer import spacy_version
from trainer.checkpoint.config import CONFIG
from trainer.checkpoint.folder import Checkpoint
from trainer.network.evaluate import predict

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
TEXTS = pa.array(EXPECTED["texts"])


@pytest.fixture(autouse=True)
def one_thread(one_torch_thread: None) -> None:
    """Every test here computes with one."""


@pytest.fixture(scope="module")
def finished() -> Checkpoint:
    return trainer.load(HERE / "finished")


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the unfinished run, in a folder where its data have the name that it knows."""
    for name in ("unfinished", "reviews"):
        shutil.copytree(HERE / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return Path("unfinished")


def scores_of(sent_score: Callable[..., object], model: Path, folder: Path) -> list[float]:
    """Score the texts through the command."""
    pq.write_table(pa.table({"text": TEXTS}), folder / "texts.parquet")
    done = sent_score(folder / "texts.parquet", "-o", folder / "scores.parquet", "--model", model)
    assert done.returncode == 0, done.stderr
    return pq.read_table(folder / "scores.parquet")["score"].to_pylist()


def expected_scores(kind: str, checkpoint: Checkpoint) -> list[float]:
    return [1 / (1 + math.exp(-logit / checkpoint.temperature)) for logit in EXPECTED[kind]]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_its_model_files_score_as_they_did(
    precision: str, finished: Checkpoint, sent_score: Callable[..., object], tmp_path: Path
) -> None:
    found = scores_of(sent_score, HERE / f"model-{precision}.onnx", tmp_path)
    assert found == pytest.approx(expected_scores(precision, finished), abs=1e-5)


def test_its_checkpoint_is_read(finished: Checkpoint) -> None:
    encoded = Encoder(finished.text, finished.vocabulary).encode(TEXTS)
    logits = predict(finished.model, encoded)
    assert logits.tolist() == pytest.approx(EXPECTED["pytorch"], abs=1e-5)
    record = finished.record
    written = json.loads((HERE / "finished" / CONFIG).read_text())
    assert json.loads(json.dumps(record.to_json())).items() <= written.items()
    assert (record.seed, record.data.name, record.data.training_reviews) == (123, "reviews", 144)
    assert record.recipe["entropy"] == 0.0
    assert record.vectors is not None and record.vectors.source == "corpus"
    assert record.teachers is not None and record.teachers[0].name == "linear"
    assert finished.metrics["test"]["accuracy"] == 0.95


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_its_checkpoint_is_exported_anew(
    precision: str, finished: Checkpoint, sent_score: Callable[..., object], tmp_path: Path
) -> None:
    path = tmp_path / "anew.onnx"
    exporter.export(HERE / "finished", path, precision=precision, device="cpu", threads=1)
    found = scores_of(sent_score, path, tmp_path)
    assert found == pytest.approx(expected_scores(precision, finished), abs=1e-4)


def test_its_model_file_agrees_with_its_checkpoint() -> None:
    model = HERE / "model-fp32.onnx"
    assert exporter.check(model, HERE / "finished", device="cpu", threads=1).report.passed


def test_its_unfinished_run_is_taken_up(unfinished: Path) -> None:
    if (begun := trainer.load(unfinished).text.spacy_version) != spacy_version():
        pytest.skip(f"the run began with spaCy {begun}, which --resume holds it to")
    result = trainer.resume(unfinished)
    assert result.metrics["test"]["loss"] == pytest.approx(EXPECTED["resumed_test_loss"], rel=1e-4)
    assert "virtual_adversarial" not in result.checkpoint.record.recipe


def test_a_run_with_what_is_no_longer_computed_is_read_but_not_taken_up(unfinished: Path) -> None:
    config = json.loads((unfinished / CONFIG).read_text())
    config["recipe"]["entropy"] = 0.5
    (unfinished / CONFIG).write_text(json.dumps(config))
    assert trainer.load(unfinished).record.recipe["entropy"] == 0.5
    with pytest.raises(UsageError, match=r"entropy is 0\.5, which no version after .* computes"):
        trainer.resume(unfinished)

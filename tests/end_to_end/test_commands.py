"""From the sample to scores, through the installed commands."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

import infer
from exporter.card import public_metrics
from infer.model.file import read_model_file
from trainer.checkpoint.folder import load_checkpoint
from trainer.settings.recipe import RECIPES, Recipe

from .conftest import DATA, SMALL, Trained, run


def score(trained: Trained, source: Path, output: Path, *options: object) -> dict[str, object]:
    """Run `sent-score --json` with the trained model and return the summary."""
    arguments = (source, "-o", output, "--model", trained.model, "--json", *options)
    return json.loads(run("sent-score", *arguments, folder=trained.folder).stdout)


@pytest.mark.slow
def test_word_counts_cannot_do_it_and_the_default_bilstm_can(trained_plainly: Trained) -> None:
    parts = [pq.read_table(DATA / f"{name}.parquet").to_pydict() for name in ("train", "test")]
    words = CountVectorizer()
    linear = LogisticRegression(max_iter=1000).fit(
        words.fit_transform(parts[0]["text"]), parts[0]["label"]
    )
    accuracy = linear.score(words.transform(parts[1]["text"]), parts[1]["label"])
    assert accuracy < 0.80
    assert trained_plainly.train["metrics"]["test"]["accuracy"] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("word", ["awful", "disappointing", "lousy", "wonderful", "superb"])
def test_what_moves_a_score_is_the_planted_phrase(trained_plainly: Trained, word: str) -> None:
    model = infer.load(trained_plainly.model, device="cpu", threads=1)
    phrase = f"This one is truly {word}."
    text = f"I bought this lamp in May. {phrase} We use it in the evening."
    why = model.explain(text)
    assert why is not None and why.text == text
    place = text.index(phrase)
    assert place <= why.strongest(1)[0].start < place + len(phrase)


def test_plain_training_says_that_the_sample_is_a_toy(trained: Trained) -> None:
    for words in ("embedded sample", "toy", "--data imdb", "--data PATH", "Next: sent-export\n"):
        assert words in trained.talk
    recipe = load_checkpoint(trained.checkpoint).record.recipe
    assert Recipe.from_json(recipe) == replace(RECIPES["article"], **SMALL)


def test_the_checkpoint_holds_what_it_should(trained: Trained) -> None:
    names = {path.name for path in trained.checkpoint.iterdir()}
    assert names >= {
        "weights.safetensors",
        "config.json",
        "vocabulary.txt",
        "metrics.json",
        "history.csv",
        "report.html",
    }
    assert not [name for name in names if Path(name).suffix in (".pt", ".pth", ".pkl", ".bin")]


def test_the_model_file_is_the_checkpoints(trained: Trained) -> None:
    card, checkpoint = read_model_file(trained.model).card, load_checkpoint(trained.checkpoint)
    assert (card.vocabulary, card.text) == (checkpoint.vocabulary, checkpoint.text)
    assert card.labels == checkpoint.labels == ("negative", "positive")
    assert card.metrics["test"] == public_metrics(trained.train["metrics"])["test"]
    opsets = {entry.domain: entry.version for entry in onnx.load(trained.model).opset_import}
    assert opsets[""] == 17
    assert card.parity


def test_scores_of_the_test_part_give_the_trainers_accuracy(
    trained: Trained, tmp_path: Path
) -> None:
    infer.score_files(DATA / "test.parquet", tmp_path / "scores.parquet", model=trained.model)
    scores = pq.read_table(tmp_path / "scores.parquet")
    right = (scores["score"].to_numpy() >= 0.5) == (scores["label"].to_numpy() == 1)
    assert abs(right.mean() - trained.train["metrics"]["test"]["accuracy"]) <= 0.0005


def test_the_sample_is_scored_row_by_row(trained: Trained, tmp_path: Path) -> None:
    reviews = pq.read_table(DATA / "reviews.parquet")
    summary = score(trained, DATA / "reviews.parquet", tmp_path / "scores.parquet")
    scores = pq.read_table(tmp_path / "scores.parquet")
    assert scores.column_names == ["id", "product", "date", "score", "prediction", "status"]
    assert scores.select(["id", "product", "date"]).equals(
        reviews.select(["id", "product", "date"])
    )
    assert scores.schema.field("score").type == pa.float32()
    assert summary["rows"] == scores.num_rows == 400
    assert set(scores["prediction"].to_pylist()) == {"negative", "positive"}
    assert set(scores["status"].to_pylist()) == {"ok"}
    metadata = scores.schema.metadata
    assert metadata[b"sent.model_sha256"].decode() == summary["model"]["sha256"]
    assert metadata[b"sent.provider"].decode() == summary["provider"]


def test_a_score_does_not_depend_on_batches(trained: Trained, tmp_path: Path) -> None:
    columns = []
    for budget in (1, 64, 8192):
        output = tmp_path / f"{budget}.parquet"
        infer.score_files(
            DATA / "reviews.parquet", output, model=trained.model, batch_tokens=budget
        )
        columns.append(pq.read_table(output)["score"].to_numpy())
    np.testing.assert_allclose(columns[0], columns[2], atol=1e-6)
    np.testing.assert_allclose(columns[1], columns[2], atol=1e-6)


def test_the_demos_last_step_shows_scores(trained: Trained, tmp_path: Path) -> None:
    import subprocess
    import sys

    output = tmp_path / "scores.parquet"
    score(trained, DATA / "reviews.parquet", output)
    shown = subprocess.run(
        [sys.executable, DATA / "show.py", DATA / "reviews.parquet", output],
        cwd=trained.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    first = pq.read_table(DATA / "reviews.parquet")["id"][0].as_py()
    assert first in shown.stdout
    assert "artifacts/model.onnx" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.parquet", "-o", "s.parquet"], ["absent.parquet", "no such file"]),
        (["reviews.parquet", "-o", "s", "--text-column", "body"], ["no column 'body'", "product"]),
        (["reviews.parquet", "-o", "s", "--text-column", "date"], ["'date'", "date32", "string"]),
        (["reviews.parquet", "-o", "."], ["is a folder"]),
        (["reviews.parquet", "-o", "test.parquet"], ["exists already", "--overwrite"]),
        (["reviews.parquet", "-o", "reviews.parquet", "--overwrite"], ["is the input"]),
        (["reviews.parquet", "-o", "s.parquet", "--device", "gpu"], ["'gpu'", "cuda"]),
        (["reviews.parquet"], ["--output"]),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    for name in ("reviews", "test"):
        (tmp_path / f"{name}.parquet").write_bytes((DATA / f"{name}.parquet").read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = run("sent-score", *arguments, folder=tmp_path, code=2)
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    assert all(word in message for word in words), message
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

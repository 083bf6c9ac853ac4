"""The models that come with the package score real sentences, and are found by name."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.model.file import read_model_file
from infer.model.shipped import DEFAULT_MODEL, FOLDER, SHIPPED, find_model

POSITIVE = [
    "A wonderful film. The two leads are superb and the last ten minutes moved me to tears.",
    "I laughed from beginning to end, and my children want to see it again. Highly recommended!",
    "Beautifully shot, cleverly written and never dull: one of the best of the year.",
    "It is not perfect, but it is warm, funny and honest, and I loved it.",
    "What a surprise: a sequel that is better than the original. Great music, too.",
    "An unforgettable performance in a brilliant, touching drama.",
]
NEGATIVE = [
    "A complete waste of time. The plot makes no sense and the acting is terrible.",
    "I wanted to like it, but it is boring, predictable and far too long.",
    "The worst film that I have seen this year. Avoid it.",
    "Awful dialogue, cheap effects and not one likeable character. I walked out.",
    "Dull, lifeless and badly edited; even the fans will be disappointed.",
    "Do not bother: two hours of poor jokes and a ridiculous ending.",
]


@pytest.mark.parametrize("name", SHIPPED)
def test_it_scores_reviews_that_it_has_not_seen(
    name: str, tmp_path: Path, sent_score: Callable[..., CompletedProcess[str]]
) -> None:
    source, output = tmp_path / "reviews.parquet", tmp_path / "scores.parquet"
    pq.write_table(pa.table({"text": POSITIVE + NEGATIVE}), source)
    done = sent_score(source, "-o", output, "--model", name, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    predictions = pq.read_table(output)["prediction"].to_pylist()
    assert predictions == ["positive"] * len(POSITIVE) + ["negative"] * len(NEGATIVE)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_card_says_what_it_is(name: str) -> None:
    model = read_model_file(SHIPPED[name])
    assert model.card.labels == ("negative", "positive")
    assert model.card.parity["passed"] is True
    assert model.card.metrics["data"]["name"] == "imdb"
    accuracy = model.card.metrics["test"]["accuracy"]
    card = (FOLDER / "README.md").read_text()
    assert f"{accuracy:.2%}".replace("%", " %") in card


def test_they_are_small_enough_for_a_package() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.values()) <= 16_000_000


def test_what_was_exported_here_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, remark = find_model(None)
    assert path == SHIPPED["imdb"]
    assert remark is not None and "imdb" in remark and "English film reviews" in remark
    (tmp_path / "artifacts").mkdir()
    (tmp_path / DEFAULT_MODEL).write_bytes(b"")
    assert find_model(None) == (DEFAULT_MODEL, None)


def test_a_path_is_a_path_and_a_name_a_name() -> None:
    assert find_model("imdb-small") == (SHIPPED["imdb-small"], None)
    assert find_model("./imdb-small")[0] == Path("imdb-small")
    assert find_model("some/model.onnx") == (Path("some/model.onnx"), None)


def test_without_a_model_the_shipped_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": POSITIVE}), tmp_path / "reviews.parquet")
    command = [sys.executable, "-c", "from infer.cli import main; main()"]
    done = subprocess.run(
        [*command, "reviews.parquet", "-o", "scores.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the shipped model imdb is used" in " ".join(done.stderr.split())
    assert pq.read_metadata(tmp_path / "scores.parquet").num_rows == len(POSITIVE)

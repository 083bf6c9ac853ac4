"""Small and lopsided data, through the command's own function: what is said, kept and predicted."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import trainer
from exporter.card import make_card
from exporter.pipeline import export_model
from exporter.request import ExportRequest
from infer.api import load as load_model
from infer.base.errors import InputError
from infer.text.encoding import Encoder
from trainer.checkpoint.folder import METRICS, load_checkpoint
from trainer.data.prepared import begin_record, prepare_data
from trainer.network.evaluate import decide, predict
from trainer.network.figures import class_figures
from trainer.run.epochs import MOST_EPOCHS, enough_epochs
from trainer.run.train import begin
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request

SMALL: dict[str, Any] = {
    "recipe": "article",
    "vocabulary": 60,
    "embedding": 8,
    "hidden": 6,
    "batch_size": 16,
    "learning_rate": 0.02,
    "device": "cpu",
    "threads": 1,
}


def write_lopsided(folder: Path, rows: int = 300, every: int = 10) -> Path:
    """Write reviews of which one in so many is positive, by a word that others have at times."""
    random = np.random.default_rng(1)
    for part, number in (("train", rows), ("test", rows // 2)):
        labels = (np.arange(number) % every == 0).astype(np.int8)
        heard = random.random(number) < np.where(labels == 1, 0.9, 0.05)
        words = ["superb" if there else "plain" for there in heard]
        texts = [f"the film {part} {i} was {word}" for i, word in enumerate(words)]
        table = pa.table({"text": texts, "label": labels})
        pq.write_table(table, folder / f"{part}.parquet")
    return folder


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lopsided(tmp_path_factory.mktemp("lopsided"))


@pytest.fixture(scope="module")
def by_f1(lopsided: Path, tmp_path_factory: pytest.TempPathFactory) -> trainer.Trained:
    """A run whose epoch and threshold are chosen by macro F1."""
    return trainer.train(
        lopsided,
        output=tmp_path_factory.mktemp("by_f1") / "c",
        **SMALL,
        epochs=4,
        select="f1",
        threshold="f1",
    )


def test_figures_of_each_class_stand_beside_the_accuracy(by_f1: trainer.Trained) -> None:
    metrics = json.loads((by_f1.folder / METRICS).read_text())
    for part in ("validation", "test"):
        found = metrics[part]
        assert [each["label"] for each in found["classes"]] == ["negative", "positive"]
        assert found["beside"]["majority"] == {"label": "negative", "accuracy": pytest.approx(0.9)}
        assert 0.5 < found["beside"]["linear"]["roc_auc"] <= 1
        assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
        assert 0 <= found["pr_auc"] <= 1
    history = csv.DictReader((by_f1.folder / "history.csv").read_text().splitlines())
    f1 = {int(row["epoch"]): float(row["validation_f1"]) for row in history}
    assert f1[metrics["epoch"]] == max(f1.values()) == metrics["validation"]["macro_f1"]


def test_the_threshold_goes_all_the_way(
    by_f1: trainer.Trained, lopsided: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(by_f1.folder)
    assert checkpoint.threshold == by_f1.checkpoint.threshold != 0.5
    validation = checkpoint.validation
    encoded = Encoder(checkpoint.text, checkpoint.vocabulary).encode(
        validation["text"].combine_chunks()
    )
    logits = predict(checkpoint.model, encoded)
    truth = validation["label"].to_numpy()

    def macro_f1(threshold: float) -> float:
        found = decide(logits, checkpoint.temperature, threshold)
        return float(class_figures(found, truth, 2)["macro_f1"])

    assert macro_f1(checkpoint.threshold) >= max(map(macro_f1, np.linspace(0.01, 0.99, 99)))
    request = ExportRequest(by_f1.folder, tmp_path / "m.onnx", device="cpu", threads=1)
    card = export_model(request).model_file.card
    assert card.threshold == checkpoint.threshold
    texts = pq.read_table(lopsided / "test.parquet")["text"]
    table = load_model(tmp_path / "m.onnx", device="cpu").score(texts.to_pylist())
    scores = table["score"].to_numpy()
    predictions = np.array(table["prediction"].to_pylist())
    assert ((predictions == "positive") == (scores >= np.float32(card.threshold))).all()
    test = by_f1.metrics["test"]["confusion"]
    counted = test["true_positive"] + test["false_positive"]
    assert (predictions == "positive").sum() == counted


def test_balanced_labels_count_in_the_n_grams_too(lopsided: Path, tmp_path: Path) -> None:
    """One in ten is positive; that shows in nothing but the n-grams' bias."""
    biases, shares = [], []
    for rule in ("none", "balanced"):
        recipe = Recipe(hidden=6, ngrams=2, ngram_buckets=1_000, class_weight=rule)
        request = Request(recipe, data=str(lopsided), output=tmp_path / "c", device="cpu")
        prepared = prepare_data(request, None)
        record = begin_record(request, prepared, torch.device("cpu"))
        ngrams = begin(request, prepared, None, record)[0].model.ngrams
        assert ngrams is not None
        biases.append(float(ngrams.bias))
        shares.append(float(prepared.targets.mean()))
    assert biases[1] - biases[0] == pytest.approx(np.log(1 / shares[0] - 1), abs=1e-4)


def test_a_network_behind_the_linear_model_is_the_last_line(lopsided: Path, tmp_path: Path) -> None:
    trained = trainer.train(
        lopsided, output=tmp_path / "c", **SMALL | {"learning_rate": 1e-6}, epochs=1
    )
    told = trainer.advice(trained)
    assert told is not None and "The network is no better than the linear model" in told
    assert "--ngrams 3" in told and "on 30 validation reviews" in told
    found = [each | {"recall": 1.0} for each in trained.metrics["validation"]["classes"]]
    better = trained.metrics["validation"] | {"accuracy": 1.1, "classes": found}
    metrics = trained.metrics | {"validation": better}
    checkpoint = replace(trained.checkpoint, metrics=metrics)
    assert trainer.advice(replace(trained, checkpoint=checkpoint)) is None


def test_a_label_that_is_never_found_is_named(lopsided: Path, tmp_path: Path) -> None:
    """One review in ten is positive: a network that learned nothing is right nine times in ten."""
    options = SMALL | {"learning_rate": 1e-6, "epochs": 1}
    trained = trainer.train(lopsided, output=tmp_path / "c", **options)
    validation = trained.metrics["validation"]
    positive = validation["confusion"]["false_negative"]
    assert positive and validation["accuracy"] > 0.85
    told = trainer.advice(trained)
    assert told is not None
    assert told.startswith(f"Of the validation reviews the network finds none of these: {positive}")
    assert "of 'positive'. What helps: --class-weight balanced, or --threshold f1" in told


def test_a_network_behind_the_most_frequent_label_is_told(by_f1: trainer.Trained) -> None:
    def advice(own: float, linear: float | None, **recipe: str) -> str | None:
        beside = {
            "majority": {"label": "no", "accuracy": 0.8},
            "linear": linear and {"accuracy": linear, "macro_f1": linear},
        }
        figures = {"accuracy": own, "macro_f1": own, "reviews": 70, "beside": beside}
        record = replace(by_f1.checkpoint.record, recipe={"select": "loss"} | recipe)
        metrics = by_f1.metrics | {"validation": figures}
        return trainer.advice(
            replace(by_f1, checkpoint=replace(by_f1.checkpoint, metrics=metrics, record=record))
        )

    for linear in (None, 0.6):
        assert "no better than always 'no': accuracy 75.00%" in str(advice(0.75, linear))
        assert advice(0.75, linear, class_weight="balanced") is None
        assert advice(0.75, linear, select="f1") is None
        assert advice(0.85, linear) is None
    assert "than the linear model" in str(advice(0.8, 0.9))


def test_few_reviews_have_more_epochs(
    lopsided: Path, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    options = SMALL | {"learning_rate": 1e-6}
    trained = trainer.train(lopsided, output=tmp_path / "c", **options, steps=190, patience=1)
    recipe = trained.checkpoint.record.recipe
    assert (recipe["epochs"], recipe["patience"]) == (12, 6)  # 17 batches each
    assert any("up to 12 epochs, not 10" in line for line in said())
    assert any("so that there are 204 (--steps)" in line for line in said())
    asked = trainer.train(lopsided, output=tmp_path / "d", **options, epochs=1)
    assert asked.checkpoint.record.recipe["epochs"] == 1


def test_a_handful_of_reviews_has_no_endless_epochs(request_: Request) -> None:
    prepared = prepare_data(request_, None)
    recipe = replace(request_.recipe, epochs=4, steps=10**6)
    assert enough_epochs(recipe, 1, prepared).epochs == MOST_EPOCHS
    longer = replace(recipe, epochs=MOST_EPOCHS + 1)
    assert enough_epochs(longer, 1, prepared) == longer


def test_nobody_learns_ids_or_places_from_the_card(by_f1: trainer.Trained) -> None:
    mistakes = by_f1.metrics["test"]["mistakes"]
    assert mistakes and all("id" in mistake for mistake in mistakes)
    card = make_card(by_f1.checkpoint, "fp32")
    assert not any("id" in mistake for mistake in card.metrics["test"]["mistakes"])
    assert card.metrics["data"]["name"] == Path(by_f1.metrics["data"]["name"]).name
    assert str(by_f1.metrics["data"]["name"]) not in card.to_json()


def test_what_stands_in_two_parts_is_counted(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    write_lopsided(tmp_path, rows=100, every=2)
    train, test = (pq.read_table(tmp_path / f"{part}.parquet") for part in ("train", "test"))
    pq.write_table(pa.concat_tables([test, train.slice(0, 3)]), tmp_path / "test.parquet")
    pq.write_table(test.select(["text"]).slice(0, 7), tmp_path / "unsup.parquet")
    trained = trainer.train(tmp_path, output=tmp_path / "c", **SMALL, epochs=1, self_training=True)
    expected = {"test_texts_in_training": 3, "test_texts_unlabelled": 7}
    assert trained.metrics["data"]["overlap"] == expected
    assert any("7 of the 53 test texts stand among the unlabelled ones" in s for s in said())
    report = (trained.folder / "report.html").read_text()
    assert "3 test texts stand in the training part too" in report


@pytest.mark.parametrize("rows", [5, 6])
def test_a_handful_of_rows_is_trained_on_or_refused_with_counts(rows: int, tmp_path: Path) -> None:
    table = pa.table(
        {"text": [f"good bad {i}" for i in range(rows)], "label": [0, 1] * 2 + [0] * (rows - 4)}
    )
    pq.write_table(table, tmp_path / "few.csv.parquet")
    with pytest.raises(InputError, match=r"1 'positive'.* at least 2 of each.*single file 3"):
        trainer.train(tmp_path / "few.csv.parquet", output=tmp_path / "c", **SMALL)


def test_a_threshold_is_for_two_labels(tmp_path: Path) -> None:
    table = pa.table({"text": [f"word {i}" for i in range(60)], "label": list("abc") * 20})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"--threshold 0\.3: .* has 3 labels"):
        trainer.train(tmp_path / "t.parquet", output=tmp_path / "c", **SMALL, threshold="0.3")


def test_few_reviews_that_judge_are_told(
    lopsided: Path, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    write_lopsided(tmp_path, rows=100, every=2)
    trainer.train(tmp_path, output=tmp_path / "c", **SMALL, epochs=1)
    trainer.train(lopsided, output=tmp_path / "d", **SMALL, epochs=1, validation=0.3)  # 90 rows
    (told,) = [line for line in said() if "by chance" in line]
    assert "only 10 to choose the epoch:" in told and "--validation" in told

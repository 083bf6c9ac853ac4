"""More than two labels, the whole way: trained, exported in each precision, scored, taught with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import exporter
import infer
import trainer
from infer.base.errors import InputError, ModelFileError
from infer.model.file import read_model_file

TOPICS = ("Politik", "art, old", "sport")
FILLERS = ("the", "a", "this", "very", "some", "we", "they", "had", "it", "was", "quite", "now")
SMALL: dict[str, Any] = {
    "recipe": "article",
    "embedding": 16,
    "hidden": 16,
    "layers": 1,
    "pooling": "max_mean",
    "learning_rate": 0.01,
    "epochs": 6,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(autouse=True)
def one_thread(one_torch_thread: None) -> None:
    """Every test here computes with one."""


def write_topics(path: Path, names: Sequence[object], rows: int, seed: int) -> pa.Table:
    """Write texts of which one word tells the label."""
    random = np.random.default_rng(seed)
    numbers = random.permutation(np.arange(rows) % len(names))
    texts = []
    for i, number in enumerate(numbers):
        words = [*random.choice(FILLERS, random.integers(3, 9)), f"topic{number}", f"№ {i}"]
        texts.append(" ".join(random.permutation(words)))
    table = pa.table({"text": texts, "label": [names[number] for number in numbers]})
    pq.write_table(table, path)
    return table


def write_folder(folder: Path, names: Sequence[object], rows: int) -> Path:
    folder.mkdir()
    for seed, part in enumerate(("train", "test", "unsup"), 1):
        write_topics(
            folder / f"{part}.parquet", names, rows if part == "train" else rows // 4, seed
        )
    return folder


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three classes in `data/`, and what was trained on them in `checkpoint/`."""
    place = tmp_path_factory.mktemp("topics")
    write_folder(place / "data", TOPICS, 240)
    trainer.train(place / "data", output=place / "checkpoint", **SMALL)
    for precision in ("fp32", "fp16", "int8"):
        exporter.export(
            place / "checkpoint",
            place / f"{precision}.onnx",
            precision=precision,
            device="cpu",
            threads=1,
        )
    return place


def test_the_checkpoint_and_its_figures(topics: Path) -> None:
    config = json.loads((topics / "checkpoint" / "config.json").read_text())
    assert (config["format_version"], config["labels"]) == (2, list(TOPICS))
    assert "labels" not in config["model"]
    test = trainer.load(topics / "checkpoint").metrics["test"]
    confusion = test["confusion"]
    assert set(confusion) == set(TOPICS)
    counts = np.array([[confusion[a].get(b, 0) for b in TOPICS] for a in TOPICS])
    assert counts.sum() == 60 and all(min(row.values()) > 0 for row in confusion.values())
    assert test["accuracy"] == counts.trace() / 60 > 0.9
    page = (topics / "checkpoint" / "report.html").read_text()
    assert all(f'predicted <bdi class="whole">{name}</bdi>' in page for name in TOPICS)
    assert "share right" in page and "share positive" not in page


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_model_file_of_each_precision_scores(precision: str, topics: Path) -> None:
    path = topics / f"{precision}.onnx"
    graph = onnx.load(path).graph
    assert [axis.dim_value for axis in graph.output[0].type.tensor_type.shape.dim] == [0, 3]
    card = read_model_file(path).card
    assert card.labels == TOPICS and card.parity["flipped_labels"] == {"CPUExecutionProvider": 0}
    model = infer.load(path, device="cpu", threads=1)
    test = pq.read_table(topics / "data" / "test.parquet")
    found = model.score([*test["text"].to_pylist(), None, ""], probabilities=True)
    assert found.column_names[:3] == ["score", "prediction", "status"]
    assert found.column_names[3:] == [f"probability_{name}" for name in TOPICS]
    scored = found.slice(0, test.num_rows)
    right = np.mean(np.array(scored["prediction"]) == np.array(test["label"]))
    assert right == pytest.approx(trainer.load(topics / "checkpoint").metrics["test"]["accuracy"])
    each = np.column_stack([column.to_numpy() for column in scored.columns[3:]])
    assert each.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert scored["score"].to_pylist() == each.max(axis=1).tolist()
    chosen = [TOPICS[number] for number in each.argmax(axis=1)]
    assert scored["prediction"].to_pylist() == chosen
    assert all(column[-2:].null_count == 2 for column in (found["score"], *found.columns[3:]))


def test_sure_labels_are_marked_and_explained(topics: Path, tmp_path: Path) -> None:
    model = infer.load(topics / "fp32.onnx", device="cpu", threads=1)
    card = read_model_file(topics / "fp32.onnx").card
    assert card.validated is not None and set(card.validated.profile.labels) == set(TOPICS)
    asked = card.validated.risk.best.at_least
    marked = infer.score_files(
        topics / "data" / "test.parquet", tmp_path / "o.parquet", model=model, columns=[],
        probabilities=True, abstain_below=asked, explain=2,
    )  # fmt: skip
    read = pq.read_table(tmp_path / "o.parquet")
    assert read.column_names[-2:] == [f"probability_{TOPICS[-1]}", "confident"]
    assert marked.abstained is not None
    least = marked.abstained.point.confidence
    assert read["confident"].to_pylist() == [score >= least for score in read["score"].to_pylist()]
    assert marked.drift is not None and marked.drift.labels.in_words == "little"
    assert [row.row for row in marked.explained] == [0, 1]
    texts = pq.read_table(topics / "data" / "test.parquet")["text"].to_pylist()
    for text in texts[:10]:
        why = model.explain(text)
        assert why is not None and why.label == why.prediction
        assert why.strongest(1)[0].word.startswith("topic")


def test_scores_are_pytorchs(topics: Path) -> None:
    checkpoint = trainer.load(topics / "checkpoint")
    from infer.model.probability import probabilities
    from infer.text.encoding import Encoder
    from trainer.network.evaluate import predict

    texts = pq.read_table(topics / "data" / "test.parquet")["text"].combine_chunks()
    encoded = Encoder(checkpoint.text, checkpoint.vocabulary).encode(texts)
    expected = probabilities(predict(checkpoint.model, encoded), checkpoint.temperature)
    found = infer.load(topics / "fp32.onnx", device="cpu").score(texts, probabilities=True)
    each = np.column_stack([column.to_numpy() for column in found.columns[3:]])
    assert each == pytest.approx(expected, abs=1e-5)


def test_files_are_scored_in_parts_and_teach(topics: Path, tmp_path: Path) -> None:
    judged = tmp_path / "judged.parquet"
    model = infer.load(topics / "fp32.onnx", device="cpu", threads=1)
    source = topics / "data" / "unsup.parquet"
    summary = infer.score_files(
        source, judged, model=model, columns=["text"], probabilities=True, part_rows=7
    )
    assert summary.rows == 60 and set(summary.predictions) == set(TOPICS)
    whole = model(pq.read_table(source), probabilities=True).drop_columns(["label"])
    read = pq.read_table(judged)
    assert read.column_names == whole.column_names
    for name in read.column_names[1:]:
        if pa.types.is_floating(read[name].type):
            assert read[name].to_numpy() == pytest.approx(whole[name].to_numpy(), abs=1e-6)
        else:
            assert read[name].to_pylist() == whole[name].to_pylist()
    # The same command finds its output; without the further columns it is another one.
    assert (
        infer.score_files(
            source, judged, model=model, columns=["text"], probabilities=True, part_rows=7
        ).resumed_rows
        == 60
    )
    taught = trainer.train(
        topics / "data",
        output=tmp_path / "taught",
        unlabelled=judged,
        self_training=True,
        **SMALL,
    )
    scores = taught.checkpoint.record.scores
    assert scores is not None and (scores.column, scores.alone) == ("probability", 60)
    assert taught.metrics["test"]["accuracy"] > 0.9


def test_a_column_that_would_be_written_twice_is_refused(topics: Path, tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "Probability_SPORT": [1]})
    pq.write_table(table, tmp_path / "a.parquet")
    model = topics / "fp32.onnx"
    with pytest.raises(InputError, match="'Probability_SPORT' would be written twice"):
        infer.score_files(
            tmp_path / "a.parquet", tmp_path / "b.parquet", model=model, probabilities=True
        )
    done = infer.score_files(tmp_path / "a.parquet", tmp_path / "b.parquet", model=model)
    assert done.rows == 1


def test_a_file_of_another_format_is_refused(topics: Path, tmp_path: Path) -> None:
    model = onnx.load(topics / "fp32.onnx")
    next(entry for entry in model.metadata_props if entry.key == "sent.format").value = "1"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString(deterministic=True))
    with pytest.raises(ModelFileError, match="format '1' with 3 labels, expected format '2'"):
        read_model_file(tmp_path / "m.onnx")


def test_networks_and_a_linear_model_teach(topics: Path, tmp_path: Path) -> None:
    taught = trainer.train(
        topics / "data",
        output=tmp_path / "taught",
        teacher=topics / "checkpoint",
        self_training=True,
        **SMALL,
    )
    teachers = taught.checkpoint.record.teachers
    assert teachers is not None and [t.validation_accuracy > 0.8 for t in teachers] == [True, True]
    write_folder(tmp_path / "other", ("x", "y", "z"), 60)
    with pytest.raises(InputError, match="its labels are 'Politik', 'art, old', 'sport', this"):
        trainer.train(
            tmp_path / "other",
            output=tmp_path / "no",
            teacher=topics / "checkpoint",
            self_training=True,
            **SMALL,
        )


def test_stars_have_an_expected_value(tmp_path: Path) -> None:
    stars = write_folder(tmp_path / "stars", (1, 2, 3, 4), 160)
    trained = trainer.train(stars, output=tmp_path / "c", ordinal=True, **SMALL)
    assert 0 <= trained.metrics["test"]["mean_absolute_error"] < 1
    exporter.export(tmp_path / "c", tmp_path / "m.onnx", device="cpu", threads=1)
    model = infer.load(tmp_path / "m.onnx", device="cpu", threads=1)
    test = pq.read_table(stars / "test.parquet")
    found = model(test, probabilities=True)
    each = np.column_stack([found[f"probability_{n}"].to_numpy() for n in range(1, 5)])
    assert found["expected"].to_numpy() == pytest.approx(each @ [1, 2, 3, 4], abs=1e-5)
    error = np.abs(found["expected"].to_numpy() - test["label"].to_numpy()).mean()
    assert error == pytest.approx(trained.metrics["test"]["mean_absolute_error"], abs=1e-4)
    plain = infer.score_files(stars / "test.parquet", tmp_path / "o.parquet", model=model)
    assert plain.rows == 40
    assert pq.read_table(tmp_path / "o.parquet").column_names == [
        "label", "score", "prediction", "status", "expected",
    ]  # fmt: skip


@pytest.mark.slow
def test_forty_classes(tmp_path: Path) -> None:
    names = [f"class {i}" for i in range(40)]
    data = write_folder(tmp_path / "data", names, 1_600)
    trained = trainer.train(data, output=tmp_path / "c", **(SMALL | {"hidden": 24, "epochs": 8}))
    assert trained.metrics["test"]["accuracy"] > 0.9
    page = (tmp_path / "c" / "report.html").read_text()
    assert "predicted <bdi>" not in page
    for precision in ("fp32", "fp16", "int8"):
        path = tmp_path / f"{precision}.onnx"
        exporter.export(tmp_path / "c", path, precision=precision, device="cpu", threads=1)
        model = infer.load(path, device="cpu", threads=1)
        found = model(pq.read_table(data / "test.parquet"))
        assert np.mean(np.array(found["prediction"]) == np.array(found["label"])) > 0.9

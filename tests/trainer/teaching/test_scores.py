"""A column of scores is what is learned; labels judge; the figures say how far both agree."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trainer
from infer.base.console import Stopped
from infer.base.errors import InputError, UsageError
from trainer.checkpoint.files import load_tensors
from trainer.checkpoint.folder import HISTORY, TRAINING, load_checkpoint, load_record
from trainer.checkpoint.record import ScoresRecord
from trainer.data.datasets import load_dataset
from trainer.data.prepared import labels_of, prepare_data
from trainer.data.reading import read_unlabelled
from trainer.data.splits import split_rows
from trainer.run.resume import resumed
from trainer.run.train import carry_out
from trainer.settings.request import Request
from trainer.teaching.linear import fit_ngrams, predict_linear
from trainer.teaching.scores import compare
from trainer.teaching.self_training import TARGETS

Interrupt = Callable[[Request, str], Stopped]


def targets(folder: Path) -> np.ndarray:
    return load_tensors(folder / TRAINING / TARGETS)["targets"].numpy()


def with_scores(path: Path, scores: object, name: str = "score", **columns: object) -> None:
    """Put a column of scores into a file, and others in place of its own."""
    table = pq.read_table(path)
    changed = {column: columns.get(column, table[column]) for column in table.column_names}
    pq.write_table(pa.table(changed | {name: scores}), path)


def labels(path: Path) -> np.ndarray:
    return pq.read_table(path)["label"].to_numpy()


def validation_accuracies(folder: Path) -> list[float]:
    with (folder / HISTORY).open() as file:
        return [float(row["validation_accuracy"]) for row in csv.DictReader(file)]


@pytest.fixture
def taught(request_: Request, data: Path, tmp_path: Path) -> Request:
    """A request for data of its own, whose files may be changed."""
    folder = tmp_path / "taught"
    shutil.copytree(data, folder)
    return replace(request_, data=str(folder))


@pytest.fixture
def train_file(taught: Request) -> Path:
    return Path(taught.data) / "train.parquet"


@pytest.fixture
def unsup_file(taught: Request) -> Path:
    return Path(taught.data) / "unsup.parquet"


def test_a_network_learns_what_the_teacher_says_and_labels_judge_it(
    taught: Request, train_file: Path, said: Callable[[], list[str]]
) -> None:
    """The teacher says the opposite of every label, softly."""
    with_scores(train_file, pa.array(0.9 - 0.8 * labels(train_file)))
    recipe = replace(taught.recipe, epochs=12, patience=12, hidden=16)
    checkpoint = carry_out(replace(taught, recipe=recipe))
    history = validation_accuracies(taught.output)
    assert history[-1] < 0.1, "the last epoch has learned the opposite"
    best = checkpoint.metrics["validation"]["accuracy"]
    assert best == history[checkpoint.metrics["epoch"] - 1] > history[-1]
    found = checkpoint.record.scores
    assert found == ScoresRecord("score", labelled=240, agreement=0.0, alone=0)
    beside = checkpoint.metrics["scores"]["validation"]
    assert (beside["reviews"], beside["teacher_accuracy"]) == (24, 0.0)
    assert beside["student_accuracy"] == best
    assert beside["agreement"] == pytest.approx(1 - beside["student_accuracy"])
    lines = said()
    assert any("agree with the label on 0.00% of them" in line for line in lines)
    assert any(line.startswith("on 24 validation reviews with a score") for line in lines)


def test_a_null_score_leaves_the_label_and_no_label_leaves_the_score(
    taught: Request, train_file: Path, interrupt: Interrupt
) -> None:
    truth = labels(train_file)
    scores = [None if i % 3 == 0 else 0.25 + 0.5 * label for i, label in enumerate(truth)]
    known = [None if i % 3 == 1 else label for i, label in enumerate(truth)]
    with_scores(train_file, pa.array(scores), label=pa.array(known, pa.int8()))
    interrupt(taught, "epoch 1/")
    dataset = load_dataset(taught.data, 123)
    fitting, validation = split_rows(dataset.train, 0.1, 123)
    assert dataset.scored.num_rows == 80
    expected = [
        row["label"] if row["score"] is None else row["score"]
        for row in fitting.to_pylist() + dataset.scored.to_pylist()
    ]
    assert targets(taught.output).tolist() == expected
    assert set(expected) == {0, 1, 0.25, 0.75}
    checkpoint = load_checkpoint(taught.output)
    assert checkpoint.validation["label"].to_pylist() == labels_of(validation).tolist()
    record = checkpoint.record
    assert record.scores == ScoresRecord("score", labelled=80, agreement=1.0, alone=80)
    assert record.data.training_reviews == fitting.num_rows + 80
    again = carry_out(resumed(taught.output))
    assert again.metrics["scores"]["validation"]["teacher_accuracy"] == 1.0


def test_words_of_rows_without_a_label_are_in_the_vocabulary(
    taught: Request, train_file: Path
) -> None:
    table = pq.read_table(train_file)
    more = pa.table(
        {
            "text": ["zebra zebra"] * 5,
            "label": pa.nulls(5, pa.int8()),
            "score": [0.9] * 5,
        }
    )
    table = table.append_column("score", pa.nulls(table.num_rows, pa.float64()))
    pq.write_table(pa.concat_tables([table, more]), train_file)
    assert "zebra" in carry_out(taught).vocabulary.tokens


def test_unlabelled_texts_with_a_score_need_no_linear_teacher(
    taught: Request, unsup_file: Path, interrupt: Interrupt, said: Callable[[], list[str]]
) -> None:
    scores = np.linspace(0, 1, 80)
    with_scores(unsup_file, pa.array(scores))
    # Pieces of a whole text are none of the teacher's.
    request = replace(taught, recipe=replace(taught.recipe, self_training=True, pieces=2))
    interrupt(request, "epoch 1/")
    assert targets(request.output)[216:].tolist() == scores.astype(np.float32).tolist()
    record = load_record(request.output)
    assert record.teachers is None
    assert record.scores == ScoresRecord("score", labelled=0, agreement=None, alone=80)
    assert not any("fitting the linear model" in line for line in said())
    assert any("80 unlabelled texts have a score in column 'score'" in line for line in said())
    finished = carry_out(resumed(request.output))
    assert finished.record.scores == record.scores
    assert finished.metrics["scores"]["validation"] is None


def test_unlabelled_texts_without_a_score_have_the_linear_teachers(
    taught: Request, unsup_file: Path, interrupt: Interrupt
) -> None:
    with_scores(unsup_file, pa.array([None if i % 2 else 0.125 for i in range(80)]))
    request = replace(taught, recipe=replace(taught.recipe, self_training=True))
    interrupt(request, "epoch 1/")
    found = targets(request.output)[216:]
    assert found[:40].tolist() == [0.125] * 40
    (linear,) = load_record(request.output).teachers
    assert linear.name == "linear"
    prepared = prepare_data(taught, None)
    model = fit_ngrams(taught.recipe, 123, prepared.fitting_texts, prepared.targets)
    others = read_unlabelled(unsup_file).take(list(range(1, 80, 2)))
    logits = predict_linear(model, prepared.encoder.encode(others))
    expected = 1 / (1 + np.exp(-logits / linear.temperature))
    assert found[40:] == pytest.approx(expected, abs=1e-6)


def test_the_linear_teacher_learns_from_labels_alone(
    taught: Request, train_file: Path, interrupt: Interrupt
) -> None:
    """Scores that flip the labels are the network's targets, not the linear model's."""
    truth = labels(train_file)
    known = pa.array([label if i < 200 else None for i, label in enumerate(truth)], pa.int8())
    with_scores(train_file, pa.array(1.0 - truth), label=known)
    request = replace(taught, recipe=replace(taught.recipe, self_training=True))
    interrupt(request, "epoch 1/")
    (linear,) = load_record(request.output).teachers
    assert linear.validation_accuracy > 0.9


def test_teachers_with_nothing_to_label_are_refused(
    taught: Request, unsup_file: Path, tmp_path: Path
) -> None:
    with_scores(unsup_file, pa.array([0.5] * 80))
    recipe = replace(taught.recipe, self_training=True)
    request = replace(taught, recipe=recipe, teacher=(tmp_path / "t",))
    with pytest.raises(InputError, match=r"--teacher .*all 80 unlabelled texts have a score"):
        carry_out(request)


def test_a_column_that_is_nowhere_is_refused_at_once(taught: Request, unsup_file: Path) -> None:
    with pytest.raises(InputError, match="--score-column soft: no such column in"):
        carry_out(replace(taught, score_column="soft"))
    with_scores(unsup_file, pa.array([0.5] * 80), "soft")
    with pytest.raises(InputError, match=r"with --self-training"):
        carry_out(replace(taught, score_column="soft"))
    recipe = replace(taught.recipe, self_training=True, epochs=1)
    record = carry_out(replace(taught, recipe=recipe, score_column="soft")).record
    assert record.scores == ScoresRecord("soft", 0, None, 80)


def test_a_resumed_run_keeps_to_its_scores(
    taught: Request, train_file: Path, interrupt: Interrupt, tmp_path: Path
) -> None:
    with_scores(train_file, pa.array(0.2 + 0.6 * labels(train_file)))
    whole = carry_out(replace(taught, output=tmp_path / "whole"))
    interrupt(taught, "epoch 1/")
    for asked in ("other", "none", "score"):
        with pytest.raises(UsageError, match=f"--resume: score_column is '{asked}'"):
            resumed(taught.output, asked={"score_column": asked})
    content = train_file.read_bytes()
    with_scores(train_file, pa.array([0.5] * 240))
    with pytest.raises(InputError, match="--resume: the data's SHA-256"):
        carry_out(resumed(taught.output))
    train_file.write_bytes(content)
    again = trainer.resume(taught.output, score_column=None)
    assert again.metrics == whole.metrics
    assert load_checkpoint(taught.output).record.scores == whole.record.scores
    weights = (path / "weights.safetensors" for path in (taught.output, tmp_path / "whole"))
    assert len({path.read_bytes() for path in weights}) == 1


def test_runs_from_before_scores_go_on_without(
    taught: Request, train_file: Path, interrupt: Interrupt
) -> None:
    with_scores(train_file, pa.array([0.5] * 240))
    request = replace(taught, score_column="none")
    interrupt(request, "epoch 1/")
    record = load_record(request.output)
    assert "score_column" not in record.to_json()["data"] and record.scores is None
    assert resumed(request.output).score_column == "none"


def test_comparison_by_hand() -> None:
    validation = pa.table(
        {
            "label": pa.array([1, 1, 0, 0, 1], pa.int8()),
            "score": pa.array([0.9, 0.4, 0.1, None, 0.8], pa.float32()),
        }
    )
    logits = np.array([1, 1, 1, 1, np.nan], np.float32)
    found = compare(validation, logits)
    assert found is not None
    assert found["reviews"] == 3
    assert found["teacher_accuracy"] == pytest.approx(2 / 3)
    assert found["student_accuracy"] == pytest.approx(2 / 3)
    assert found["agreement"] == pytest.approx(1 / 3)
    assert compare(validation.slice(3), logits[3:]) is None


def test_what_a_network_scored_teaches_another(
    taught: Request, unsup_file: Path, model_path: Path, sent_score: Callable, interrupt: Interrupt
) -> None:
    scored = unsup_file.with_name("scored.parquet")
    done = sent_score(unsup_file, "-o", scored, "--columns", "text")
    assert done.returncode == 0, done.stderr
    recipe = replace(taught.recipe, self_training=True)
    request = replace(taught, recipe=recipe, unlabelled=scored)
    interrupt(request, "epoch 1/")
    assert targets(request.output)[216:].tolist() == pq.read_table(scored)["score"].to_pylist()

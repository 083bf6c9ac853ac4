"""The linear teacher learns; its labels join the training; a network can teach beside it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from infer.base.console import Stopped
from infer.base.errors import InputError, ModelFileError, UsageError
from infer.model.probability import sigmoid
from infer.text.encoding import Encoder
from trainer.checkpoint.config import CONFIG
from trainer.checkpoint.files import load_tensors, save_tensors
from trainer.checkpoint.folder import (
    TRAINING,
    VALIDATION,
    Checkpoint,
    load_checkpoint,
    load_record,
)
from trainer.checkpoint.record import TeacherRecord
from trainer.data.datasets import load_dataset
from trainer.data.prepared import (
    begin_record,
    labels_of,
    prepare_data,
    text_settings,
    texts_of,
    training_settings,
)
from trainer.data.reading import read_unlabelled
from trainer.data.splits import split_rows
from trainer.network.calibration import fit_temperature
from trainer.network.evaluate import predict
from trainer.run.resume import resumed
from trainer.run.train import carry_out
from trainer.settings.recipe import RECIPES
from trainer.settings.request import Request
from trainer.teaching.beside import fit_linear
from trainer.teaching.linear import fit_ngrams, predict_linear
from trainer.teaching.self_training import (
    PIECE_WORDS,
    TARGETS,
    add_unlabelled,
    plain,
    with_pieces,
)

Teacher = Callable[[pa.Array], np.ndarray]
Interrupt = Callable[[Request, str], Stopped]


@pytest.fixture
def teaching(request_: Request) -> Request:
    """A request that trains itself."""
    return replace(request_, recipe=replace(request_.recipe, self_training=True))


@pytest.fixture
def split(data: Path) -> tuple[pa.Table, pa.Table]:
    """What such a request trains on, and what it validates with."""
    return split_rows(load_dataset(str(data), 123).train, 0.1, 123)


@pytest.fixture
def teacher(request_: Request) -> Teacher:
    """Texts → logits of the linear model that teaches in such a request."""
    prepared = prepare_data(request_, None)
    model = fit_ngrams(request_.recipe, 123, prepared.fitting_texts, prepared.targets)
    return lambda texts: predict_linear(model, prepared.encoder.encode(texts))


def targets(folder: Path) -> np.ndarray:
    return load_tensors(folder / TRAINING / TARGETS)["targets"].numpy()


def test_pieces_have_no_character_that_nobody_sees() -> None:
    texts = pa.array(["A good film.", "A go\u00adod\u200b<br />film.\ufeff"])
    assert plain(texts) == ["A good film."] * 2


def test_labels_are_kept_and_unlabelled_texts_join_softly(
    teaching: Request,
    interrupt: Interrupt,
    split: tuple[pa.Table, pa.Table],
    teacher: Teacher,
    data: Path,
) -> None:
    interrupt(teaching, "epoch 1/")
    found = targets(teaching.output)
    assert found[:216].tolist() == labels_of(split[0]).tolist()
    held_out = split[1]
    temperature = fit_temperature(teacher(texts_of(held_out)), labels_of(held_out))
    logits = teacher(read_unlabelled(data / "unsup.parquet"))
    assert found[216:] == pytest.approx(sigmoid(logits / temperature), abs=1e-6)
    teachers = load_record(teaching.output).teachers
    assert teachers == (TeacherRecord("linear", temperature, validation_accuracy=1.0),)


def test_what_is_trained_on_is_cut_shorter(teaching: Request) -> None:
    recipe = replace(teaching.recipe, max_tokens=10, head_tokens=6, training_tokens=5)
    request = replace(teaching, recipe=recipe)
    prepared = prepare_data(request, None)
    labelled = prepared.fitting_texts
    record = begin_record(request, prepared, torch.device("cpu"))
    both, _ = add_unlabelled(request, prepared, fit_linear(request, prepared), None, record)
    everything = both.fitting_texts
    assert labelled.lengths.max() == everything.lengths[len(labelled) :].max() == 5
    assert prepared.validation_texts.lengths.max() == prepared.text.max_tokens == 10
    uncut = replace(recipe, max_tokens=4, head_tokens=2)
    assert training_settings(uncut) == text_settings(uncut)
    assert training_settings(recipe).head_tokens == 3


def test_texts_are_cut_at_white_space_into_pieces_of_as_many_words() -> None:
    words = [f"w{i}" for i in range(3 * PIECE_WORDS + 1)]
    long = "  ".join(words[:60]) + "<br /><br />" + "\n".join(words[60:])
    short = " ".join(words[: 3 * PIECE_WORDS - 1])
    texts = pa.array([long, short, ""], pa.large_string())
    found = with_pieces(texts, 3)
    assert found[:3].equals(texts) and found.type == texts.type
    pieces = [piece.split(" ") for piece in found[3:].to_pylist()]
    assert [len(piece) for piece in pieces] == [PIECE_WORDS, PIECE_WORDS, PIECE_WORDS + 1]
    assert [word for piece in pieces for word in piece] == words
    assert with_pieces(texts, 1).equals(texts)


def test_a_piece_has_the_label_of_what_stands_in_it(
    teaching: Request,
    teacher: Teacher,
    interrupt: Interrupt,
    tmp_path: Path,
    data: Path,
) -> None:
    further = read_unlabelled(data / "unsup.parquet")
    logits = teacher(further)
    good, bad = (
        " ".join(further.filter(pa.array(kind)).to_pylist()) for kind in (logits > 1, logits < -1)
    )
    halves = [" ".join((text.split() * PIECE_WORDS)[:PIECE_WORDS]) for text in (good, bad)]
    texts = pa.array([" ".join(halves), *halves], pa.large_string())
    pq.write_table(pa.table({"text": texts[:1]}), tmp_path / "further.parquet")
    recipe = replace(teaching.recipe, pieces=2)
    request = replace(teaching, recipe=recipe, unlabelled=tmp_path / "further.parquet")
    interrupt(request, "epoch 1/")
    (linear,) = load_record(request.output).teachers
    expected = sigmoid(teacher(texts) / linear.temperature)
    assert expected[1] > 0.8 and expected[2] < 0.2
    assert targets(request.output)[216:] == pytest.approx(expected, abs=1e-6)
    resumed_run = carry_out(resumed(request.output))
    assert resumed_run.record.recipe["pieces"] == 2


def test_self_training_helps_where_labels_are_few(
    teaching: Request, tmp_path: Path, data: Path
) -> None:
    few = tmp_path / "few"
    shutil.copytree(data, few)
    pq.write_table(pq.read_table(data / "train.parquet").slice(0, 60), few / "train.parquet")
    recipe = replace(teaching.recipe, epochs=12, patience=12, hidden=16)
    further = data / "train.parquet"
    request = replace(teaching, recipe=recipe, data=str(few), unlabelled=further)
    with_them = carry_out(request).metrics["test"]
    alone = replace(request, recipe=replace(recipe, self_training=False), unlabelled=None)
    assert with_them["accuracy"] > carry_out(alone).metrics["test"]["accuracy"] + 0.1


def test_without_unlabelled_texts_it_trains_on_labelled_ones_and_says_so(
    trained: tuple[Path, Checkpoint],
    teaching: Request,
    data: Path,
    tmp_path: Path,
    said: Callable[[], list[str]],
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(data, bare)
    (bare / "unsup.parquet").unlink()
    request = replace(teaching, data=str(bare))
    checkpoint = carry_out(request)
    assert any(line.startswith("self-training: no unlabelled texts") for line in said())
    expected = trained[1].model.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in checkpoint.model.state_dict().items())
    with pytest.raises(InputError, match=r"--teacher .* --unlabelled"):
        carry_out(replace(request, teacher=(trained[0],)))
    with pytest.raises(InputError, match="no such file"):
        carry_out(replace(request, unlabelled=tmp_path / "absent.parquet"))


def test_a_network_teaches_beside_the_linear_model(
    teaching: Request,
    trained: tuple[Path, Checkpoint],
    teacher: Teacher,
    interrupt: Interrupt,
    data: Path,
) -> None:
    folder, network = trained
    request = replace(teaching, teacher=(folder,))
    interrupt(request, "epoch 1/")
    linear, student = load_record(request.output).teachers
    assert (linear.name, student.name) == ("linear", str(folder))
    assert student.temperature == pytest.approx(network.temperature, rel=1e-5)
    assert student.validation_accuracy == network.metrics["validation"]["accuracy"]
    texts = read_unlabelled(data / "unsup.parquet")
    encoded = Encoder(network.text, network.vocabulary).encode(texts)
    theirs = sigmoid(predict(network.model, encoded) / student.temperature)
    ours = sigmoid(teacher(texts) / linear.temperature)
    assert targets(request.output)[216:] == pytest.approx((ours + theirs) / 2, abs=1e-6)
    assert resumed(request.output).teacher == (folder,)


@pytest.fixture
def second(request_: Request, tmp_path: Path) -> Path:
    """The folder of a network of another seed, which holds out the same reviews."""
    recipe = replace(request_.recipe, hidden=5, epochs=1)
    output = tmp_path / "second"
    carry_out(replace(request_, recipe=recipe, output=output, seed=7, split_seed=123))
    return tmp_path / "second"


def test_all_teachers_count_alike(
    teaching: Request,
    trained: tuple[Path, Checkpoint],
    second: Path,
    teacher: Teacher,
    interrupt: Interrupt,
    data: Path,
) -> None:
    request = replace(teaching, teacher=(trained[0], second))
    interrupt(request, "epoch 1/")
    teachers = load_record(request.output).teachers
    assert [one.name for one in teachers] == ["linear", str(trained[0]), str(second)]
    texts = read_unlabelled(data / "unsup.parquet")
    networks = [load_checkpoint(folder) for folder in request.teacher]
    encoders = [Encoder(network.text, network.vocabulary) for network in networks]
    pairs = zip(networks, encoders, strict=True)
    theirs = [predict(network.model, encoder.encode(texts)) for network, encoder in pairs]
    logits = [teacher(texts), *theirs]
    found = [sigmoid(x / one.temperature) for x, one in zip(logits, teachers, strict=True)]
    assert targets(request.output)[216:] == pytest.approx(np.mean(found, axis=0), abs=1e-6)
    folder = request.output
    assert resumed(folder, asked={"teacher": [str(trained[0]), second]}).teacher == request.teacher
    with pytest.raises(UsageError, match="--resume: teacher is"):
        resumed(folder, asked={"teacher": trained[0]})
    assert carry_out(resumed(folder)).record.teacher == (str(trained[0]), str(second))


def test_a_teacher_given_twice_is_refused(
    teaching: Request, trained: tuple[Path, Checkpoint]
) -> None:
    with pytest.raises(UsageError, match="is given twice, expected each once"):
        replace(teaching, teacher=(trained[0], trained[0]))


def test_a_teacher_that_held_out_other_reviews_is_refused(
    teaching: Request, trained: tuple[Path, Checkpoint], tmp_path: Path
) -> None:
    """Of the same seed, when a version before drew them: its own file of them tells."""
    folder = Path(shutil.copytree(trained[0], tmp_path / "older"))
    kept = pq.read_table(folder / VALIDATION)
    pq.write_table(kept.take(list(reversed(range(kept.num_rows)))), folder / VALIDATION)
    with pytest.raises(InputError, match=r"--teacher .*older: its validation reviews are not"):
        carry_out(replace(teaching, teacher=(folder,)))


def test_a_teachers_folder_may_have_any_name(
    teaching: Request,
    trained: tuple[Path, Checkpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(trained[0], tmp_path / "linear")
    monkeypatch.chdir(tmp_path)
    teachers = carry_out(replace(teaching, teacher=(Path("linear"),))).record.teachers
    assert [teacher.name for teacher in teachers] == ["linear", "linear"]
    assert teachers[0].validation_accuracy != teachers[1].validation_accuracy


def test_a_damaged_teacher_is_named(
    teaching: Request, trained: tuple[Path, Checkpoint], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "teacher"))
    config = json.loads((folder / CONFIG).read_text())
    for damage in ({"data": {}}, {"data": None}, {"recipe": []}):
        (folder / CONFIG).write_text(json.dumps(config | damage))
        with pytest.raises(ModelFileError, match=r"teacher: damaged config.json"):
            carry_out(replace(teaching, teacher=(folder,)))


def test_texts_that_nothing_would_read_are_refused(data: Path) -> None:
    unread = data / "unsup.parquet"
    with pytest.raises(UsageError):
        Request(recipe=RECIPES["article"], unlabelled=unread)
    for reads in ({"self_training": True}, {"vectors": "corpus"}):
        Request(recipe=replace(RECIPES["article"], **reads), unlabelled=unread)


def test_the_teacher_may_stand_where_the_output_goes(
    teaching: Request, trained: tuple[Path, Checkpoint], interrupt: Interrupt
) -> None:
    shutil.copytree(trained[0], teaching.output)
    request = replace(teaching, teacher=(teaching.output,))
    interrupt(request, "epoch 1/")
    assert carry_out(resumed(request.output)).metrics["test"]["reviews"] == 60


def test_a_teacher_that_may_have_seen_the_validation_part_is_refused(
    teaching: Request, trained: tuple[Path, Checkpoint], data: Path
) -> None:
    request = replace(teaching, teacher=(trained[0],))
    wider = replace(request, recipe=replace(request.recipe, validation=0.2))
    other = replace(request, data=str(data / "train.parquet"), unlabelled=data / "unsup.parquet")
    for wrong, words in (
        (replace(request, seed=7), "its split seed is 123, this run's is 7"),
        (wider, r"its validation is 0\.1, this run's is 0\.2"),
        (other, "its data is"),
        (replace(request, label_column="label"), "its label column is None, this run's is label"),
    ):
        with pytest.raises(InputError, match=words):
            carry_out(wrong)
    with pytest.raises(UsageError):
        replace(request, recipe=RECIPES["article"])


def test_a_resumed_run_keeps_to_its_texts_and_labels(
    teaching: Request, interrupt: Interrupt, data: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.parquet"
    shutil.copy(data / "unsup.parquet", texts)
    request = replace(teaching, unlabelled=texts)
    interrupt(request, "epoch 1/")
    path = request.output / TRAINING / TARGETS
    content = path.read_bytes()
    save_tensors(path, {"targets": torch.zeros(7)})
    with pytest.raises(ModelFileError, match=r"\(7,\) torch.float32, expected \(296,\) float32"):
        carry_out(resumed(request.output))
    path.write_bytes(content)
    shutil.copy(data / "test.parquet", texts)
    with pytest.raises(InputError, match="--resume: the unlabelled texts' SHA-256"):
        carry_out(resumed(request.output))

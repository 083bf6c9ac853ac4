"""The checkpoint folder: what goes in comes out; damage and strangers are told apart."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from infer.base.errors import ModelFileError, OutputError
from trainer.checkpoint.config import CONFIG
from trainer.checkpoint.folder import (
    HISTORY,
    METRICS,
    REPORT,
    VALIDATION,
    VOCABULARY,
    WEIGHTS,
    Checkpoint,
    load_checkpoint,
    load_record,
    save_checkpoint,
)
from trainer.checkpoint.place import check_place


@pytest.fixture
def folder(trained: tuple[Path, Checkpoint], tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "c", trained[1], [{"epoch": 1, "training_loss": 0.5}])
    return tmp_path / "c"


def test_round_trip(trained: tuple[Path, Checkpoint], tmp_path: Path) -> None:
    path, before = tmp_path / "c", replace(trained[1], temperature=1.7)
    save_checkpoint(path, before, [])
    after = load_checkpoint(path)
    assert not after.model.training
    for name, weight in before.model.state_dict().items():
        assert torch.equal(weight, after.model.state_dict()[name])
    assert (after.vocabulary, after.text) == (before.vocabulary, before.text)
    assert (after.labels, after.metrics) == (before.labels, before.metrics)
    assert after.record == before.record == load_record(path)
    assert after.validation.column_names == ["text", "label"]
    assert after.validation.num_rows == 24
    assert after.temperature == before.temperature


def test_an_older_checkpoint_has_no_temperature(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    del config["temperature"]
    (folder / CONFIG).write_text(json.dumps(config))
    assert load_checkpoint(folder).temperature == 1.0


def test_an_older_checkpoint_says_nothing_of_columns_and_teachers(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    for name in ("text_column", "label_column"):
        del config["data"][name]
    del config["teacher"]
    (folder / CONFIG).write_text(json.dumps(config))
    record = load_record(folder)
    assert (record.data.text_column, record.data.label_column, record.teacher) == (None, None, ())


def test_an_older_checkpoint_knows_one_teacher(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    for value, teachers in (
        ("artifacts/a", ("artifacts/a",)),
        (None, ()),
        (["a", "b"], ("a", "b")),
    ):
        (folder / CONFIG).write_text(json.dumps(config | {"teacher": value}))
        assert load_record(folder).teacher == teachers


def test_files_and_what_they_record(trained: tuple[Path, Checkpoint]) -> None:
    path, _ = trained
    names = {WEIGHTS, VOCABULARY, CONFIG, METRICS, HISTORY, REPORT, VALIDATION}
    assert {p.name for p in path.iterdir()} == names
    config = json.loads((path / CONFIG).read_text())
    assert config["recipe"]["hidden"] == 6
    assert config["seed"] == 123
    assert {"torch", "spacy", "numpy", "python", "sent-toolkit"} <= config["versions"].keys()
    assert len(config["data"]["sha256"]) == 64
    lines = (path / HISTORY).read_text().splitlines()
    assert lines[0].startswith("epoch,training_loss,") and len(lines) == 4


def test_an_older_checkpoint_is_replaced_and_nothing_is_left_beside(
    folder: Path, trained: tuple[Path, Checkpoint]
) -> None:
    save_checkpoint(folder, trained[1], [])
    assert [p.name for p in folder.parent.iterdir()] == ["c"]
    umask = os.umask(0)
    os.umask(umask)
    assert (folder / WEIGHTS).stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_kill_between_the_renames_loses_nothing(folder: Path) -> None:
    folder.rename(folder.with_name(".c.old"))
    assert load_checkpoint(folder).labels == ("negative", "positive")


def test_strangers_are_left_alone(tmp_path: Path, trained: tuple[Path, Checkpoint]) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    for name in ("file", "full", "link"):
        with pytest.raises(OutputError):
            save_checkpoint(tmp_path / name, trained[1], [])
    with pytest.raises(OutputError):
        check_place(tmp_path / "file" / "c")
    for name in (".", "..", "/proc/c"):
        with pytest.raises(OutputError):
            check_place(Path(name))
    for length, words in ((251, "has 251 bytes, expected at most 250"), (256, "cannot be written")):
        with pytest.raises(OutputError, match=words):
            check_place(tmp_path / ("c" * length))
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "full", "link"]
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"


def test_a_mount_point_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounting takes rights that a test does not have, so what the system says is put in."""
    monkeypatch.setattr("os.path.ismount", lambda path: path == tmp_path)
    with pytest.raises(OutputError):
        check_place(tmp_path)
    check_place(tmp_path / "within")


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))


def test_damage_is_named(folder: Path) -> None:
    original = {p: p.read_bytes() for p in folder.iterdir()}
    model = json.loads(original[folder / CONFIG])["model"]

    def refused(words: str) -> None:
        with pytest.raises(ModelFileError) as error:
            load_checkpoint(folder)
        assert words in str(error.value)
        for path, content in original.items():
            path.write_bytes(content)

    for name in (WEIGHTS, VOCABULARY, CONFIG, METRICS, VALIDATION):
        (folder / name).unlink()
        refused(f"{name}: missing or damaged")
    for name in (WEIGHTS, CONFIG, VALIDATION):
        (folder / name).write_bytes(original[folder / name][:50])
        refused(f"{name}: missing or damaged")
    (folder / VOCABULARY).write_bytes(original[folder / VOCABULARY] + b"more\n")
    refused("rows, the vocabulary")
    edit_config(folder, format_version=99)
    refused("version 99; expected 'sent-checkpoint', version 1")
    edit_config(folder, model=model | {"hidden": 7})
    refused("backward_layers.0.bias_hh_l0 has shape (24,), expected (28,)")
    edit_config(folder, model=model | {"pooling": "mean"})
    refused("pooling 'mean', expected one of")
    edit_config(folder, labels=["same", "same"])
    refused("expected two different names")
    for temperature in (0.0, -1.0, float("nan"), float("inf"), "1"):
        edit_config(folder, temperature=temperature)
        refused(f"temperature {temperature!r}, expected a number above 0")
    for seed in (None, "123"):
        edit_config(folder, seed=seed)
        refused("damaged config.json")
    edit_config(folder, text={})
    refused("text settings")
    assert load_checkpoint(folder)


def test_no_checkpoint_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="Train one with sent-train"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(ModelFileError):
        load_checkpoint(tmp_path / ("c" * 256))


def test_at_most_two_thousand_validation_rows(
    trained: tuple[Path, Checkpoint], tmp_path: Path
) -> None:
    rows = pa.table({"text": ["a"] * 2_001, "label": pa.array([1] * 2_001, pa.int8())})
    save_checkpoint(tmp_path / "c", replace(trained[1], validation=rows), [])
    assert pq.read_table(tmp_path / "c" / VALIDATION).equals(rows.slice(0, 2_000))

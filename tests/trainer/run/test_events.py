"""TensorBoard's event files: the same curves across an interruption; a full disk is told."""

import resource
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infer.base.console import Stopped
from infer.base.errors import MissingExtraError, OutputError
from trainer.run.events import event_file
from trainer.run.resume import resumed
from trainer.run.train import carry_out
from trainer.settings.request import Request

pytest.importorskip("tensorboardX")


def events(path: Path) -> list:
    """Read an event file: length, its checksum, an event, its checksum, and so on."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def points(folder: Path) -> dict[str, dict[int, float]]:
    """Return the curves as TensorBoard shows them: later files hide what they go beyond."""
    curves: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        for event in events(path):
            if event.HasField("session_log"):
                for curve in curves.values():
                    for step in [step for step in curve if step >= event.step]:
                        del curve[step]
            for value in event.summary.value:
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return curves


def test_curves_of_an_interrupted_run_are_those_of_a_whole_one(
    request_: Request, interrupt: Callable[[Request, str], Stopped], tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    carry_out(replace(request_, tensorboard=whole, output=tmp_path / "w"))
    interrupt(replace(request_, tensorboard=cut), "epoch 2/")
    carry_out(resumed(request_.output, {"tensorboard": str(cut)}))
    expected, found = points(whole), points(cut)
    assert len(list(cut.iterdir())) == 2
    for name in (
        "epoch/validation_loss",
        "training/loss_of_epoch_so_far",
        "training/learning_rate",
    ):
        assert found[name] == expected[name] and expected[name]
    assert list(expected["epoch/training_loss"]) == [14, 28, 42]
    assert list(expected["training/learning_rate"]) == [10, 20, 30, 40]


def test_a_place_that_cannot_be_is_refused_and_a_full_disk_is_told_once(
    tmp_path: Path, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--tensorboard"), event_file(tmp_path / "file" / "e", 0):
        pass
    monkeypatch.setattr("trainer.run.events.FLUSH_SECONDS", 0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with event_file(tmp_path / "e", 0) as note:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
            for step in range(50):
                note(step, {"curve": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (warning,) = said()
    assert warning.startswith(f"Warning: --tensorboard {tmp_path / 'e'}: cannot be written")


def test_without_tensorboardx_the_extra_is_named(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.train.REPORTING", ())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'\.\[tensorboard\]'"):
        carry_out(replace(request_, tensorboard=tmp_path / "e"))
    assert not request_.output.exists()

"""`import trainer`: trained, taken up again and read from Python, quietly unless asked."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import trainer
from infer.base.errors import UsageError
from trainer.checkpoint.folder import WEIGHTS, Checkpoint
from trainer.settings.request import Request

HEAVY = ("torch", "spacy", "pyarrow", "numpy", "rich")


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, trainer, exporter\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
        "assert all(getattr(package, name) for package in (trainer, exporter)\n"
        "           for name in package.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_it_trains_what_the_command_trains(
    trained: tuple[Path, Checkpoint],
    request_: Request,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    said: Callable[[], list[str]],
) -> None:
    changes = request_.recipe.to_json()
    result = trainer.train(
        request_.data, output=str(tmp_path / "c"), recipe="small", device="cpu", threads=1,
        **changes,
    )  # fmt: skip
    assert (result.folder / WEIGHTS).read_bytes() == (trained[0] / WEIGHTS).read_bytes()
    assert result.metrics == result.checkpoint.metrics == trained[1].metrics
    assert any(line.startswith("epoch 3/3: training loss") for line in said())
    assert capfd.readouterr() == ("", "")
    assert trainer.load(result.folder).record == trained[1].record
    with pytest.raises(UsageError, match="is finished"):
        trainer.resume(result.folder)


@pytest.mark.parametrize("wrong", [{"recipe": "huge"}, {"epochs": 0}, {"seed": -1}])
def test_wrong_arguments_are_refused_at_once(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        trainer.train("imdb", output=tmp_path / "c", **wrong)
    assert not (tmp_path / "c").exists()


def test_a_recipes_old_name_is_told(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    with pytest.raises(UsageError):
        trainer.train("absent", output=tmp_path / "c", recipe="seed")
    assert said() == ["recipe seed is the old name of recipe article"]

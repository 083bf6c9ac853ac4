"""The whole way once: the three installed commands on the embedded sample, with their defaults."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "data"


@dataclass(frozen=True)
class Trained:
    """A folder in which all three commands have run, and what they printed."""

    folder: Path
    train: dict[str, Any]
    export: dict[str, Any]
    talk: str

    @property
    def checkpoint(self) -> Path:
        return self.folder / "artifacts" / "checkpoint"

    @property
    def model(self) -> Path:
        return self.folder / "artifacts" / "model.onnx"


def run(*command: object, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run an installed command of the toolkit in `folder`, expecting an exit code."""
    name, *rest = map(str, command)
    script = Path(sys.executable).with_name(name)
    result = subprocess.run(
        [script, *rest], cwd=folder, capture_output=True, text=True, check=False, timeout=580
    )
    assert result.returncode == code, result.stderr
    return result


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Plain `sent-train`, then `sent-export --opset 17`, in a folder of their own."""
    folder = tmp_path_factory.mktemp("demo")
    train = run("sent-train", "--json", folder=folder)
    export = run("sent-export", "--opset", "17", "--json", folder=folder)
    return Trained(folder, json.loads(train.stdout), json.loads(export.stdout), train.stderr)

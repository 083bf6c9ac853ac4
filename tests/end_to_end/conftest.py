"""The whole way once: the three installed commands on the embedded sample."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "data"
SMALL = {"embedding": 32, "hidden": 16, "layers": 1, "epochs": 2}


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
    """`sent-train` on the sample, a small network for a short time, then the export."""
    options = [word for name, value in SMALL.items() for word in (f"--{name}", value)]
    return train_and_export(tmp_path_factory.mktemp("quick"), *options)


@pytest.fixture(scope="session")
def trained_plainly(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Plain `sent-train`, then `sent-export --opset 17`: what `make demo` does."""
    return train_and_export(tmp_path_factory.mktemp("demo"))


def train_and_export(folder: Path, *options: object) -> Trained:
    """Run the two commands in a folder of their own."""
    train = run("sent-train", "--json", *options, folder=folder)
    export = run("sent-export", "--opset", "17", "--json", folder=folder)
    return Trained(folder, json.loads(train.stdout), json.loads(export.stdout), train.stderr)

"""Help answers without heavy imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import run

HEAVY = (
    *("torch", "spacy", "onnxruntime", "onnx", "pyarrow", "numpy", "sklearn"),
    *("duckdb", "jinja2", "matplotlib"),
)
COMMANDS = {
    "sent-train": "trainer",
    "sent-export": "exporter",
    "sent-score": "infer",
    "sent-report": "reporter",
}


@pytest.mark.parametrize(("command", "package"), COMMANDS.items())
def test_help_imports_nothing_heavy(command: str, package: str) -> None:
    code = (
        "import sys\n"
        f"from {package}.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_their_version(command: str, tmp_path: Path) -> None:
    from infer import __version__

    assert __version__ in run(command, "--version", folder=tmp_path).stdout

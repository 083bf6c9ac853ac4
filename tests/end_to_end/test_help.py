"""Help answers without heavy imports, and the README holds the same text."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY, run

HEAVY = ("torch", "spacy", "onnxruntime", "onnx", "pyarrow", "numpy", "sklearn")
COMMANDS = {"sent-train": "trainer", "sent-export": "exporter", "sent-score": "infer"}


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


def test_the_readme_holds_the_help_texts() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("cog"), "--check", "README.md"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_readmes_tree_is_the_tree() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    modules = {f"infer/{path.name}" for path in (REPOSITORY / "infer").glob("*.py")}
    assert {name for name in modules if f"`{name}`" not in readme} == {"infer/__init__.py"}

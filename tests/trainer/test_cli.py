"""`sent-train` as a user meets it: a process with options, output and an exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infer.base.console import Stopped
from trainer.checkpoint.folder import Checkpoint
from trainer.cli import main
from trainer.settings.recipe import RECIPES, Recipe
from trainer.settings.request import Request

ROOT = Path(__file__).parents[2]
SIZES = {"embedding": 4, "hidden": 3, "layers": 1, "epochs": 1}
TINY = [*(f"--{name}={value}" for name, value in SIZES.items()), "--threads=1"]
HEAVY = ("torch", "spacy", "pyarrow", "onnxruntime", "numpy", "safetensors", "rich")


def run(*arguments: str | Path, code: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = code or "from trainer.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:trainer", "-c", command, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        timeout=120,
        check=False,
    )


def recipe_of(checkpoint: Path) -> Recipe:
    """Return what a checkpoint was trained with."""
    return Recipe.from_json(json.loads((checkpoint / "config.json").read_text())["recipe"])


def invoke(*arguments: str | Path) -> Result:
    """Run the command within this process, which has torch loaded already."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_loads_nothing_heavy_and_shows_every_option() -> None:
    code = f"""
import sys
from trainer.cli import main
try:
    main(["--help"])
finally:
    print("LOADED", [name for name in {HEAVY} if name in sys.modules])
"""
    done = run(code=code)
    assert done.returncode == 0
    assert "LOADED []" in done.stdout
    for spec in fields(Recipe):
        assert f"--{spec.name.replace('_', '-')}" in done.stdout, spec.name
    assert "[default: article 256, small 64, strong 256]" in " ".join(done.stdout.split())
    assert "--recipe [article|small|strong]" in done.stdout


def test_json_on_stdout_and_talk_on_stderr(data: Path, tmp_path: Path) -> None:
    done = invoke("--data", data, "--output", tmp_path / "c", *TINY, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["checkpoint"] == str(tmp_path / "c")
    assert result["metrics"]["test"]["reviews"] == 60
    assert recipe_of(tmp_path / "c") == replace(RECIPES["strong"], **SIZES, steps=0)
    assert "epoch 1/1: training loss" in done.stderr
    assert f"sent-export --checkpoint {tmp_path / 'c'}" in done.stderr
    again = invoke("--resume", "--output", tmp_path / "c")
    assert again.exit_code == 2
    assert "is finished" in again.stderr


def test_resume_takes_the_options_of_the_run(
    trained: tuple[Path, Checkpoint], interrupt: Callable[[Request, str], Stopped],
    request_: Request,
) -> None:  # fmt: skip
    recipe = replace(request_.recipe, self_training=True, max_tokens=200, head_tokens=100)
    interrupt(replace(request_, recipe=recipe, teacher=(trained[0],)), "epoch 1/")
    again = ("--resume", "--output", request_.output, "--teacher", trained[0], "--max-tokens=200")
    other = invoke(*again, "--hidden=7")
    assert (other.exit_code, "--resume: hidden is 7" in other.stderr) == (2, True), other.stderr
    done = invoke(*again, "--json")
    assert done.exit_code == 0, done.stderr
    assert "going on after epoch 1" in done.stderr
    teachers = [teacher["name"] for teacher in json.loads(done.stdout)["teachers"]]
    assert teachers == ["linear", str(trained[0])]


def test_a_recipes_old_name_is_taken_and_told(data: Path, tmp_path: Path) -> None:
    done = invoke("--data", data, "--output", tmp_path / "c", *TINY, "--recipe", "seed")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith("recipe seed is the old name of recipe article\n")
    assert recipe_of(tmp_path / "c") == replace(RECIPES["article"], **SIZES)


def test_quiet_says_nothing(data: Path, tmp_path: Path) -> None:
    done = invoke("--data", data, "--output", tmp_path / "c", *TINY, "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "absent.parquet"], 2, "Error: --data absent.parquet: no such file or folder"),
        (["--vectors", "absent.txt"], 2, "Error: --vectors absent.txt: No such file"),
        (["--hidden", "0"], 2, "Error: hidden is 0, expected at least 1"),
        (["--recipe", "huge"], 2, "'huge' is not one of 'article', 'small', 'strong'"),
        (["--device", "cuda:99"], 1, "Error: device cuda:99: "),
        (["--resume"], 2, "no checkpoint there"),
        (["--delimiter", "abc"], 2, "Error: --delimiter 'abc': expected one ASCII mark"),
        (["--seed", "-1"], 2, "Error: seed is -1"),
        (["--split-seed", "-1"], 2, "Error: split_seed is -1"),
        (["--output", "pyproject.toml"], 2, "Error: pyproject.toml: not a folder"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    done = invoke(*arguments)
    assert done.exit_code == code, done.stderr
    assert words in done.stderr
    assert done.stdout == ""


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
from trainer.cli import main
main()
"""
    done = run("--output", tmp_path / "c", code=code)
    assert done.returncode == 2
    assert "pip install -c constraints.txt '.[train]'" in done.stderr


def test_labels_may_be_named_one_by_one() -> None:
    named = ["--labels", "1=bad,2=bad", "--labels", '"a, b=good"']
    assert main.make_context("sent-train", named).params["labels"] == '1=bad,2=bad,"a, b=good"'
    assert main.make_context("sent-train", []).params["labels"] is None

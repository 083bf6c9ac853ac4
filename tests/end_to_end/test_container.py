"""The Dockerfile: its instructions hold together, and its steps install a scorer that scores."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from .conftest import DATA, REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
IGNORED = [
    line
    for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what is given to it."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    pairs = (line.partition(" ") for line in lines if line.strip())
    return [(name, " ".join(given.split())) for name, _, given in pairs]


def given_to(name: str) -> list[str]:
    """Return what is given to each instruction of a name."""
    return [given for found, given in instructions() if found == name]


def is_sent(path: str) -> bool:
    """Whether `.dockerignore` lets a file into the build."""
    sent = True
    for pattern in IGNORED:
        plain = pattern.removeprefix("!").removeprefix("**/").rstrip("/")
        if any(
            fnmatch.fnmatch(part, plain) for part in (path, path.split("/")[0], Path(path).name)
        ):
            sent = pattern.startswith("!")
    return sent


def copied() -> list[str]:
    """Return the files and folders of the repository that are copied."""
    found = [given.split()[:-1] for given in given_to("COPY") if not given.startswith("--from")]
    return [name for names in found for name in names]


def test_it_is_small_and_its_user_is_nobody() -> None:
    assert all("-slim" in given for given in given_to("FROM"))
    assert [given.split(":")[0].isdigit() for given in given_to("USER")] == [True]
    assert given_to("USER") != ["0:0"]
    assert json.loads(given_to("ENTRYPOINT")[0]) == ["sent-score"]


def test_what_it_copies_is_there_and_nothing_else_is_sent() -> None:
    for name in copied():
        assert (REPOSITORY / name).exists()
        assert is_sent(name.rstrip("/"))
    for name in ("data/train.parquet", ".git/config", "artifacts/model.onnx", ".venv/bin/python"):
        assert not is_sent(name)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # it installs everything anew
def test_its_steps_install_what_runs_the_line_of_the_readme(tmp_path: Path) -> None:
    source, installed, work = (tmp_path / name for name in ("src", "opt", "work"))
    for name in copied():
        place = source / name
        if place.name and (REPOSITORY / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, place, ignore=ignore)
        else:
            place.parent.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / name, place)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for step in given_to("RUN"):
        step = step.replace("/opt/sent", str(installed))
        subprocess.run(["sh", "-c", step], cwd=source, env={**kept, "CUDA": "0"}, check=True)
    shutil.rmtree(source)
    (work / "data").mkdir(parents=True)
    shutil.copy(DATA / "films.parquet", work / "data")
    line = re.search(r"^\.venv/bin/(sent-score .*)$", README, flags=re.M)
    assert line is not None
    command, *words = shlex.split(line[1])
    entry = json.loads(given_to("ENTRYPOINT")[0])
    assert [command] == entry
    path = f"{installed}/bin:{kept['PATH']}"
    subprocess.run([installed / "bin" / command, *words], cwd=work, env={**kept, "PATH": path},
                   check=True)  # fmt: skip
    scored = pq.read_table(work / "films-scored.parquet")
    assert scored.num_rows == pq.read_metadata(DATA / "films.parquet").num_rows
    providers = [installed / "bin" / "python", "-c",
                 "import onnxruntime; print(*onnxruntime.get_available_providers())"]  # fmt: skip
    found = subprocess.run(providers, env=kept, capture_output=True, text=True, check=True)
    assert "CUDA" not in found.stdout

"""The documents are what the code gives: help texts, rooms, links, shown scores, examples."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from infer.cli import main as score_command

from .conftest import DATA, REPOSITORY, run

PAGES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").glob("*.md"),
    DATA / "README.md",
    REPOSITORY / "infer" / "model" / "weights" / "README.md",
]
COGGED = ("docs/commands.md", "docs/design.md", "docs/languages.md")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SCORING, TRAINING = re.split(
    "(?=^## Train and export)",
    (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8"),
    flags=re.M,
)
CLUSTER = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
DESIGN = (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_help_texts_and_rooms_stand_as_the_code_gives_them() -> None:
    cog = Path(sys.executable).with_name("cog")
    checked = subprocess.run(
        [cog, "--check", *COGGED], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_make_and_pre_commit_write_the_same_pages() -> None:
    pages = " ".join(COGGED)
    assert f"COGGED := {pages}\n" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert f"cog -r {pages}\n" in hooks


def test_the_diagram_shows_every_room() -> None:
    diagram = re.search(r"```mermaid\n(.*?)```", DESIGN, flags=re.S)
    assert diagram is not None
    rooms = [
        folder.parent.name
        for package in ("infer", "reporter", "trainer", "exporter")
        for folder in (REPOSITORY / package).glob("*/__init__.py")
    ]
    assert sorted(rooms) == sorted(re.findall(r"\[(\w+)\]", diagram[1]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


def test_the_scores_that_the_readme_shows(tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    films = DATA / "films.parquet"
    run("sent-score", films, "-o", output, "--model", "imdb-small", "--device", "cpu",
        folder=tmp_path)  # fmt: skip
    rows = pq.read_table(output).to_pylist()
    texts = pq.read_table(films)["text"].to_pylist()
    shown = re.findall(
        r"^\| (f\d) \| ([^|]*)\| ([\d.]*) ?\| (\w*) ?\| (\w+) \|$", README, flags=re.M
    )
    assert [row["id"] for row in rows] == [line[0] for line in shown]
    for row, text, (_, start, score, prediction, status) in zip(rows, texts, shown, strict=True):
        assert (text or "").startswith(start.strip().removesuffix(" …"))
        assert (row["prediction"] or "", row["status"]) == (prediction, status)
        if score:  # int8 hangs a little on the processor
            assert row["score"] == pytest.approx(float(score), abs=0.03)


def test_the_lines_to_copy_on_a_cluster_are_such_as_the_command_takes() -> None:
    block = re.search(r"^```yaml\n(.*?)^```", CLUSTER, flags=re.M | re.S)
    assert block is not None
    job = yaml.safe_load(block[1])["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert job["completionMode"] == "Indexed"
    assert {"name": "JOB_COMPLETIONS", "value": str(job["completions"])} in container["env"]
    lines = [shlex.split(line) for line in re.findall(r"^srun sent-score (.*)$", CLUSTER, re.M)]
    assert lines
    for words in (container["args"], *lines):
        assert score_command.make_context("sent-score", words).params["shard"] == "auto"


def python_examples(page: str) -> list[tuple[str, str | None]]:
    """Return the Python blocks of a page, each with the text block right behind it."""
    blocks = re.findall(
        r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", page, flags=re.M | re.S
    )
    return [(code, output or None) for code, output in blocks]


@pytest.fixture
def examples_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what docs/python.md says there is, to work in."""
    shutil.copy(DATA / "films.parquet", tmp_path / "reviews.parquet")
    (tmp_path / "reviews").mkdir()
    for part, rows in ("train", 120), ("test", 30):
        table = pq.read_table(DATA / f"{part}.parquet").slice(0, rows)
        pq.write_table(table, tmp_path / "reviews" / f"{part}.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(README, id="README"),
        pytest.param(CLUSTER, id="cluster"),
        pytest.param(SCORING, id="scoring"),
        pytest.param(SCORING + TRAINING, id="training", marks=pytest.mark.slow),
    ],
)
def test_python_examples_run_and_print_what_is_shown(
    page: str, examples_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = python_examples(page)
    assert examples
    names: dict[str, object] = {}
    for code, output in examples:
        exec(code, names)
        printed = capsys.readouterr()
        assert output is None or printed.out == output, code
        assert printed.err == "", "the library talks"


def test_the_readmes_times_are_the_benchmarks() -> None:
    results = REPOSITORY / "benchmarks" / "results" / "peers.json"
    (table,) = json.loads(results.read_text(encoding="utf-8"))["tables"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    small = "small int8 is … times"
    distilbert = rows["DistilBERT's architecture, ONNX Runtime"][small]
    assert f"| {distilbert:.0f} times as fast |" in README
    assert f"fastText is {1 / rows['fastText bigrams'][small]:.1f} times as fast" in README

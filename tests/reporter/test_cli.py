"""The command: what it says, what it refuses, and that it leaves nothing behind."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import reporter
from infer.base.errors import InputError, MissingExtraError, OutputError, UsageError
from reporter.cli import main
from tests.reporter.conftest import scores_table


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.parquet"
    pq.write_table(scores_table(text=["x"] * 6), path)
    return path


def test_it_writes_a_page_and_says_so(scores: Path, tmp_path: Path) -> None:
    done = run(scores, "-o", tmp_path / "new" / "report.html")
    assert done.exit_code == 0, done.output
    assert "6 rows, 5 scored: negative 40.0%, positive 60.0%" in done.stderr
    assert (tmp_path / "new" / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_json_is_the_same_figures_without_texts(scores: Path, tmp_path: Path) -> None:
    done = run(scores, "--json", "--quiet")
    assert done.exit_code == 0 and done.stderr == ""
    assert json.loads(done.stdout) == json.loads(json.dumps(reporter.report(scores)))
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no output"),
        (("-o", "r.csv"), "expected an HTML file"),
        (("-o", "r.html", "--columns", "a"), "--columns goes with --sample"),
        (("-o", "r.html", "--sample", "5"), "expected a table"),
        (("-o", "r.html", "--explain", "--no-texts"), "expected some: neither --no-texts nor"),
        (("-o", "r.html", "--explain", "--examples", "0"), "expected some: neither"),
        (("-o", "r.csv", "--sample", "5", "--over", "d", "--json"), "--sample and --json, --over"),
        (("-o", "r.html", "--by", "shop"), "no column 'shop'"),
        (("-o", "r.html", "--over", "score"), "expected dates, times"),
        (("-o", "r.html", "--prefix", "x_"), "no column 'x_score'"),
        (("-o", "r.html", "--model", "nope"), "nope: cannot be read (No such file or directory)"),
        (("-o", "r.csv", "--sample", "5", "--model", "nope"), "nope: cannot be read"),
        (("-o", "r.html", "--delimiter", "abc"), "--delimiter 'abc': expected one ASCII mark"),
    ],
)
def test_wrong_usage(scores: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    named = [tmp_path / a if a.startswith("r.") else a for a in arguments]
    done = run(scores, *named)
    assert done.exit_code == 2 and words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_an_output_is_kept_unless_it_may_be_replaced(scores: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        reporter.report(scores, page)
    with pytest.raises(OutputError, match="is the input"):
        reporter.report(scores, scores, overwrite=True)
    assert page.read_text() == "mine"
    reporter.report(scores, page, overwrite=True)
    assert page.read_text() != "mine"


def test_a_page_with_texts_is_as_private_as_they_are(scores: Path, tmp_path: Path) -> None:
    scores.chmod(0o600)
    reporter.report(scores, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"score": [0.5, 1.7, 0.1, 0.2, None, 0.3]}, "a score is 1.7, expected probabilities"),
        ({"score": [0.5, -0.1, 0.1, 0.2, None, 0.3]}, "a score is -0.1"),
        ({"score": [0.5, float("inf"), 0.1, 0.2, None, 0.3]}, "a score is inf"),
        ({"score": ["a"] * 6}, "'score' has type string, expected numbers"),
        ({"prediction": [None] * 6}, "5 rows with a score and no prediction"),
        ({"prediction": [[1]] * 6}, "expected single values"),
    ],
)
def test_what_sent_score_does_not_write(
    tmp_path: Path, columns: dict[str, Any], words: str
) -> None:
    pq.write_table(scores_table(**columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=words):
        reporter.report(tmp_path / "a.parquet")


def test_not_a_number_is_no_score(tmp_path: Path) -> None:
    pq.write_table(
        scores_table(score=[0.9, float("nan"), 0.3, 0.1, None, 0.6]), tmp_path / "a.parquet"
    )
    found = reporter.report(tmp_path / "a.parquet")
    assert any("1 score not a number" in note for note in found["notes"])
    assert sum(each["count"] for each in found["scores"]) == found["scored"] == 4


def test_a_prefix_is_told(tmp_path: Path) -> None:
    table = scores_table().rename_columns(["my_score", "my_prediction", "my_status"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="--prefix my_"):
        reporter.report(tmp_path / "a.parquet")
    assert reporter.report(tmp_path / "a.parquet", prefix="my_")["scored"] == 5


def test_files_of_other_schemas(tmp_path: Path) -> None:
    """Types may differ; a file without a column, or of another kind, is named."""
    pq.write_table(scores_table(day=["2024-01-31"] * 6, shop=[1] * 6), tmp_path / "a.parquet")
    days = pa.array(["2024-02-01"] * 6).cast(pa.timestamp("us"))
    other = scores_table(score=pa.array([0.9, 0.8, 0.3, 0.1, None, 0.6]), day=days, shop=["x"] * 6)
    pq.write_table(other, tmp_path / "b.parquet")
    found = reporter.report(tmp_path, over="day", by="shop")
    assert [period["period"] for period in found["over"]["periods"]] == ["2024-01", "2024-02"]
    assert {each["group"]: each["rows"] for each in found["by"]["groups"]} == {"1": 5, "x": 5}
    pq.write_table(scores_table(), tmp_path / "c.parquet")
    with pytest.raises(InputError, match=r"c.parquet: no column 'shop'"):
        reporter.report(tmp_path, by="shop")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "d.parquet")
    with pytest.raises(InputError, match=r"d.parquet: no column 'score', 'prediction', 'status'"):
        reporter.report(tmp_path)


def test_files_of_one_name_in_two_folders(scores: Path, tmp_path: Path) -> None:
    other = tmp_path / "later" / scores.name
    other.parent.mkdir()
    other.write_bytes(scores.read_bytes())
    assert reporter.report([scores, other.parent])["rows"] == 12
    with pytest.raises(InputError, match=r"scores\.parquet: is among the inputs twice"):
        reporter.report([scores, scores])


def test_words_are_explained_only_where_there_are_texts(tmp_path: Path) -> None:
    pq.write_table(scores_table(), tmp_path / "bare.parquet")
    with pytest.raises(InputError, match="expected the texts beside their scores"):
        reporter.report(tmp_path / "bare.parquet", explain=True)


def test_of_no_rows_no_shares_are_said(tmp_path: Path) -> None:
    pq.write_table(scores_table().slice(0, 0), tmp_path / "none.parquet")
    assert "0 rows, 0 scored\n" in run(tmp_path / "none.parquet", "--json").stderr


@pytest.mark.parametrize("name", ["s.csv", "s.tsv", "s.jsonl", "s.csv.gz"])
def test_other_formats_have_the_same_figures(
    score: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    texts = [f"good film {i} not" if i % 3 else "" for i in range(20)]
    days = [f"2024-01-{day:02}" for day in range(1, 21)]
    table = pa.table({"day": days, "label": [0, 1] * 10, "text": texts})
    pq.write_table(table, tmp_path / "in.parquet")
    options = {"over": "day", "every": "week", "label_column": "label"}
    found = []
    for output in (tmp_path / "s.parquet", tmp_path / name):
        score(tmp_path / "in.parquet", output, columns=("day", "label", "text"))
        figures = reporter.report(output, **options)
        figures["files"] = None
        for kind in figures["examples"].values():
            for row in kind if isinstance(kind, list) else chain.from_iterable(kind.values()):
                row["file"] = None
        found.append(figures)
    assert found[0] == found[1] and found[0]["model"]["sha256"]


def test_damage_is_named(scores: Path) -> None:
    content = bytearray(scores.read_bytes())
    content[6:20] = b"\xff" * 14
    scores.write_bytes(content)
    with pytest.raises(InputError, match=r"scores.parquet"):
        reporter.report(scores)


def test_a_missing_package_is_named_with_its_extra(
    scores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    for package in ("duckdb", "jinja2", "matplotlib"):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, gone=package: None if name == gone else find(name),
        )
        with pytest.raises(MissingExtraError, match=rf"'{package}'.*\.\[report\]"):
            reporter.report(scores)


def test_numbers_that_cannot_be(scores: Path) -> None:
    with pytest.raises(UsageError, match="every: 'hour', expected one of day"):
        reporter.report(scores, every="hour")
    with pytest.raises(UsageError, match="seed: -1, expected a number from 0"):
        reporter.report(scores, seed=-1)
    with pytest.raises(UsageError, match="examples: -1"):
        reporter.report(scores, examples=-1)


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    """A slow reading keeps the run busy until the signal arrives."""
    code = (
        "import time\n"
        "from reporter.rows import reading\n"
        "read = reading._read\n"
        "def slow(*a):\n"
        "    for batch in read(*a):\n"
        "        print('reading', flush=True)\n"
        "        time.sleep(0.3)\n"
        "        yield batch\n"
        "reading._read = slow\n"
        "from reporter.cli import main; main()\n"
    )
    pq.write_table(
        pa.concat_tables([scores_table()] * 200), tmp_path / "s.parquet", row_group_size=6
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "s.parquet", "-o", tmp_path / "r.html"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert run.stdout is not None and run.stdout.readline() == "reading\n"
    time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 143, told
    assert "Stopped by SIGTERM" in told
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]


def test_a_page_that_goes_elsewhere(scores: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    reporter.report(scores, "memory://reports/r.html")
    assert fsspec.filesystem("memory").cat("/reports/r.html").startswith(b"<!DOCTYPE html>")
    with pytest.raises(OutputError, match=r"memory://reports/r.html: exists already"):
        reporter.report(scores, "memory://reports/r.html")
    reporter.sample(scores, "memory://reports/l.jsonl", 3)
    assert b'"label": null' in fsspec.filesystem("memory").cat("/reports/l.jsonl")


def test_columns_may_be_named_one_by_one(scores: Path, tmp_path: Path) -> None:
    names = ["--columns", "prediction", "--columns", "status"]
    done = run(scores, "-o", tmp_path / "label.csv", "--sample", 2, *names)
    assert done.exit_code == 0, done.output
    header = (tmp_path / "label.csv").read_text().splitlines()[0]
    assert "prediction" in header and "status" in header


def test_a_sample_does_not_teach_what_the_model_said(scores: Path, tmp_path: Path) -> None:
    done = run(scores, "-o", tmp_path / "label.csv", "--sample", 2, "--columns", "score")
    assert done.exit_code == 2 and "'score' would be learned from" in done.stderr
    assert not (tmp_path / "label.csv").exists()

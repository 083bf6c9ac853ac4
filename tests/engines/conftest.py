"""Recipes run as programs on the real engines, held against what the command makes of the rows."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "engines"
# Spark would ask the network for this machine's name; Ray would report that it is in use, and let
# its workers wait for all that is not Ray. MLflow would report that it is in use, too.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "SPARK_LOCAL_IP": "127.0.0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
RESULTS = ["id", "score", "prediction", "status"]
WORDS = ("good", "bad", "film", "the", "a", "not", ".", "!")
BAD = (None, "", " \n", "good film " * 50, "unheard-of")


def text(number: int) -> str | None:
    """A review, every tenth of a kind that is no plain one."""
    if number % 10 == 9:
        return BAD[number // 10 % len(BAD)]
    return " ".join(WORDS[(number * place + place) % 8] for place in range(2 + number % 17))


def write_reviews(folder: Path, files: int, rows: int) -> Path:
    """Write so many files of so many rows, `id` counting them all, `raw` with bytes of no text."""
    folder.mkdir()
    for file in range(files):
        ids = range(file * rows, (file + 1) * rows)
        texts = [text(number) for number in ids]
        raw = [one and one.encode() for one in texts]
        raw[3::10] = [b"good \xff film"] * len(raw[3::10])
        table = pa.table({"id": pa.array(ids, pa.int64()), "text": texts, "raw": raw})
        pq.write_table(table, folder / f"part-{file:02}.parquet", row_group_size=100)
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 1,000 rows in four files."""
    return write_reviews(tmp_path_factory.mktemp("reviews") / "in", 4, 250)


@pytest.fixture(scope="session")
def by_command(
    sent_score: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, str], pa.Table]:
    """What `sent-score` makes of a folder's column, one row after the other."""

    def scored(source: Path, column: str = "text") -> pa.Table:
        output = tmp_path_factory.mktemp("command") / "out"
        options = ("--device", "cpu", "--text-column", column, "--columns", "id")
        done = sent_score(source, "-o", output, *options)
        assert done.returncode == 0, done.stderr
        return rows_of(output)

    return scored


@pytest.fixture(scope="session")
def expected(by_command: Callable[..., pa.Table], reviews: Path) -> pa.Table:
    """What the command makes of the reviews."""
    table = by_command(reviews)
    assert set(table["status"].to_pylist()) == {"ok", "null", "empty", "truncated"}
    return table


def rows_of(output: Path) -> pa.Table:
    """Return what lies in an output: the rows of its files, by the order of their names."""
    files = sorted(output.glob("*.parquet")) if output.is_dir() else [output]
    tables = [pq.read_table(file, partitioning=None).select(RESULTS) for file in files]
    kinds = (pa.int64(), pa.float32(), pa.string(), pa.string())
    plain = pa.schema(list(zip(RESULTS, kinds, strict=True)))
    return pa.concat_tables([table.cast(plain) for table in tables]).combine_chunks()


def needs(package: str) -> None:
    """Skip where an engine is not installed, and say what installs it."""
    if importlib.util.find_spec(package) is None:
        extra = {"pyspark": "spark"}.get(package, package)
        pytest.skip(f"no {package}: pip install -c constraints.txt '.[{extra}]'")


def run(*words: object, **settings: object) -> str:
    """Run a Python program to its end and return what it printed."""
    environment = {**ENVIRONMENT, **{name: str(value) for name, value in settings.items()}}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def descendants(process: int) -> Iterator[int]:
    """Yield the processes that one has started, and those that they have."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    for child in [int(pid) for file in children for pid in file.read_text().split()]:
        yield child
        yield from descendants(child)


def kill_when(begun: Callable[[], bool], *words: object) -> None:
    """Run a Python program and kill it, with all that it has started, once it has begun."""
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as program:
        while not begun():
            assert program.poll() is None
            time.sleep(0.05)
        for process in [program.pid, *descendants(program.pid)]:
            os.kill(process, signal.SIGKILL)

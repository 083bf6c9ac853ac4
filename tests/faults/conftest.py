"""The fault suite's tools: real processes to harm, a reader that watches, a tally for the report.

`python -m pytest tests/faults` is the short form; `--faults-full` tries everything, and
`--faults-report docs/reliability.md` writes what was tried into that file's table.
"""

import datetime
import hashlib
import importlib
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

WORDS = ["good", "bad", "film", "the", "a", "not", ".", "!", "unheard-of"]
OLD = b"the scores of yesterday"


@dataclass
class Job:
    """A process that runs `sent-score`.

    `wait` gives its exit code, negative for a signal; `stderr` and `peak_kb` are known after it.
    """

    worker: "Worker"
    pid: int
    stderr: str = ""
    peak_kb: int = 0

    def wait(self):
        answer = self.worker.ask({"wait": self.pid})
        self.stderr, self.peak_kb = answer["stderr"], answer["peak_kb"]
        return answer["code"]


class Worker:
    """The process that forks jobs; see worker.py."""

    def __init__(self, model):
        self.model = model
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdout.readline()  # it has imported everything

    def ask(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, source, output, *options, **command):
        """Start a job: options of `sent-score`, and what worker.py understands."""
        words = [source, "-o", output, "--model", self.model, "--device", "cpu", "--threads", 1]
        arguments = [str(word) for word in (*words, *options)]
        return Job(self, self.ask({"arguments": arguments, **command})["pid"])

    def run(self, *arguments, **command):
        """Run a job to its end: its exit code and what it said on stderr."""
        job = self.start(*arguments, **command)
        return job.wait(), job.stderr

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def worker(model_path):
    worker = Worker(model_path)
    yield worker
    worker.close()


class Reader(threading.Thread):
    """Reads the output over and over, as another program would, and notes what it saw."""

    def __init__(self, path, allowed):
        super().__init__(daemon=True)
        self.path, self.allowed = path, {digest(content) for content in allowed}
        self.seen, self.polls, self.stop = set(), 0, threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                self.seen.add(digest(self.path.read_bytes()))
            except FileNotFoundError:
                self.seen.add(None)
            self.polls += 1
            time.sleep(0.0005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


def digest(content):
    return hashlib.sha256(content).hexdigest()


@dataclass
class Case:
    """An input, and the bytes that an undisturbed run makes of it."""

    worker: Worker
    source: Path
    output: Path
    options: tuple
    expected: bytes
    seconds: float
    old: bytes = OLD

    def reset(self):
        """Put the scores of yesterday where the output will stand, and nothing else."""
        for path in self.output.parent.iterdir():
            assert path == self.output, f"debris: {path}"
        aside = self.source.with_name("old")
        aside.write_bytes(self.old)
        aside.replace(self.output)  # so that the reader never sees this half done

    def start(self, **command):
        return self.worker.start(self.source, self.output, *self.options, "--overwrite", **command)

    def run(self, **command):
        job = self.start(**command)
        return job.wait(), job.stderr

    def check_whole(self):
        """The output is the old file or the complete new one; beside it only what is ours."""
        content = self.output.read_bytes()
        assert content in (self.old, self.expected)
        for path in self.output.parent.iterdir():
            ours = path.name in (self.output.name, f"{self.output.name}.sent-parts")
            assert ours or re.fullmatch(r"\.out\.parquet\.[0-9a-f]{16}\.sent-tmp", path.name), path
        return content == self.expected

    def finish(self):
        """The same command again ends in the bytes of an undisturbed run and leaves no debris."""
        code, said = self.run()
        assert code == 0, said
        assert self.output.read_bytes() == self.expected
        assert [path.name for path in self.output.parent.iterdir()] == [self.output.name]


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 30))) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


@pytest.fixture(scope="session")
def make_reviews():
    return reviews


@pytest.fixture
def case(worker, tmp_path):
    """Make 400 reviews, scored in five parts, with an old output in place."""
    source, folder = tmp_path / "in.parquet", tmp_path / "folder"
    folder.mkdir()
    pq.write_table(reviews(400), source, row_group_size=100)
    options = ("--part-rows", "80")
    start = time.perf_counter()
    code, said = worker.run(source, folder / "out.parquet", *options)
    seconds = time.perf_counter() - start
    assert code == 0, said
    expected = (folder / "out.parquet").read_bytes()
    case = Case(worker, source, folder / "out.parquet", options, expected, seconds)
    case.reset()
    return case


@pytest.fixture
def reader(case):
    """Return `reader(path)`, to be used in a with statement."""
    return lambda path: Reader(path, [case.old, case.expected])


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--faults-full")


@dataclass
class Tally:
    """What was tried, for docs/reliability.md: promise → test, tries, what was lost."""

    rows: dict = field(default_factory=dict)

    def add(self, promise, test, tried):
        """Tests raise where something is lost, so that a row that is written lost nothing."""
        self.rows[promise] = (test, tried)

    def table(self):
        lines = ["| promise | test | tried | lost |", "|---|---|---|---|"]
        lines += [
            f"| {p} | `{test}` | {tried} | nothing |" for p, (test, tried) in self.rows.items()
        ]
        return "\n".join(lines)


@pytest.fixture
def tally(request):
    """Return `tally(promise, tried)` for the test that asks."""
    rows = request.config.stash.setdefault(TALLY, Tally())
    test = f"{request.path.name}::{request.node.originalname}"
    return lambda promise, tried: rows.add(promise, test, tried)


TALLY = pytest.StashKey()


def pytest_sessionfinish(session):
    path = session.config.getoption("--faults-report")
    rows = session.config.stash.get(TALLY, None)
    if path is None or rows is None:
        return
    marks = "<!-- table -->", "<!-- end -->"
    before, _, rest = path.read_text().partition(marks[0])
    _, _, after = rest.partition(marks[1])
    path.write_text(f"{before}{marks[0]}\n{machine()}\n\n{rows.table()}\n{marks[1]}{after}")


def machine():
    """Where and when, for whoever compares."""
    packages = ("pyarrow", "onnxruntime", "spacy")
    versions = ", ".join(f"{name} {importlib.import_module(name).__version__}" for name in packages)
    return (
        f"Run of {datetime.date.today()} on {os.cpu_count()} cores ({platform.system()} "
        f"{platform.machine()}), Python {platform.python_version()}, {versions}."
    )

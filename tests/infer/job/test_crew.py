"""Worker processes, for real: the bytes of one process, and nothing left whatever happens."""

import itertools
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import JobError, ModelFileError, SentError, UsageError
from infer.job import posts
from infer.job.crew import open_crew
from infer.job.posts import Post, find_posts
from infer.model.file import read_model_file, stamp

WORDS = ["good", "bad", "film", "the", "a", "not", ".", "!", "unheard-of", "<br />"]
COMMAND = [sys.executable, "-c", "from infer.cli import main; main()"]
PARTS = "out.parquet.sent-parts"


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 30))) for _ in range(rows)]
    texts[::50] = [None] * len(texts[::50])
    texts[1::50] = [" "] * len(texts[1::50])
    return pa.table({"id": np.arange(rows), "text": texts})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def long_job(tmp_path):
    """Write reviews that take a job of 300 parts, and return their path."""
    source = tmp_path / "in.parquet"
    pq.write_table(reviews(6_000), source, row_group_size=1_000)
    return source


@pytest.fixture
def start(tmp_path, model_path):
    """Start `sent-score` in a process group of its own, with what it says in a file."""
    running = []

    @contextmanager
    def begin(source, *options):
        words = [source, "-o", tmp_path / "out.parquet", "--model", model_path, "--part-rows", 20]
        with (tmp_path / "said").open("w") as said:
            job = subprocess.Popen(
                [*COMMAND, *map(str, (*words, "--device", "cpu", *options))],
                stderr=said,
                start_new_session=True,
            )
        running.append(job)
        yield job
        assert not alive(job.pid), "a process is left"

    yield begin
    for job in running:
        if job.poll() is None or alive(job.pid):
            os.killpg(job.pid, signal.SIGKILL)


def alive(group):
    """The processes of a group, but for those that have ended; they have some seconds for that."""
    until = time.monotonic() + 20
    while members := [pid for pid, of, state in processes() if of == group and state != "Z"]:
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return members


def processes():
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # gone meanwhile
                continue
            state, _, group = stat.rpartition(") ")[2].split()[:3]
            yield int(folder.name), int(group), state


def workers(job):
    """The processes of a job that run Python's code for worker processes."""
    return [
        pid
        for pid, group, _ in processes()
        if group == job.pid and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def wait_for(condition, job):
    until = time.monotonic() + 100
    while not condition():
        assert job.poll() is None, "it ended before"
        assert time.monotonic() < until
        time.sleep(0.01)


def has_parts(folder, count=3):
    return lambda: len(list((folder / PARTS).glob("*-*-*.parquet"))) >= count


def score(source, output, model_path, **options):
    return infer.score_files(source, output, model=model_path, device="cpu", **options)


def test_the_bytes_of_a_folder_are_those_of_one_process(tmp_path, model_path, said):
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((500, 0, 3, 1_200)):
        table = reviews(rows, number)
        if number == 3:
            table = table.set_column(1, "text", table["text"].cast(pa.large_string()))
        pq.write_table(table, tmp_path / "in" / f"{number}.parquet", row_group_size=400)
    bad = pa.array([b"good film", b"\xff", None, b"bad " * 3_000], pa.binary())
    pq.write_table(pa.table({"text": bad}), tmp_path / "in" / "bytes.parquet")
    options = {"part_rows": 100, "text_column": "text"}
    one = score(tmp_path / "in", tmp_path / "one", model_path, **options)
    said()
    three = score(tmp_path / "in", tmp_path / "three", model_path, processes=3, **options)
    assert said()[-1] == "Device: CPUExecutionProvider (asked for), 3 processes"
    assert names(tmp_path / "one") == names(tmp_path / "three")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "three" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    facts = (one.to_json(), three.to_json())
    for key in ("rows", "statuses", "predictions", "batch_tokens", "provider", "model"):
        assert facts[0][key] == facts[1][key]
    assert [fact["processes"] for fact in facts] == [1, 3]
    assert facts[1]["seconds"]["encode"] > 0 < facts[1]["seconds"]["run"]
    again = score(tmp_path / "in", tmp_path / "three", model_path, processes=2, **options)
    assert again.resumed_rows == again.rows == 1_707


@pytest.mark.slow
def test_a_worker_that_is_killed_is_named_and_other_processes_go_on(
    tmp_path, model_path, start, long_job
):
    with start(long_job, "--processes", 2) as job:
        wait_for(has_parts(tmp_path), job)
        victim = workers(job)[0]
        os.kill(victim, signal.SIGKILL)
        assert job.wait(60) == 1
    (*_, last) = (tmp_path / "said").read_text().splitlines()
    assert last.startswith(f"Error: worker process {victim} was ended by SIGKILL. ")
    assert "use fewer --processes. What is done is kept in" in last
    for processes in (3, 1):  # a job goes on whatever the number of processes was
        with start(long_job, "--processes", processes, "--json") as job:
            if processes > 1:
                wait_for(has_parts(tmp_path, 20), job)
                os.kill(job.pid, signal.SIGTERM)
                assert job.wait(60) == 143
            else:
                assert job.wait(60) == 0
    assert names(tmp_path) == ["in.parquet", "out.parquet", "said"]
    assert "Going on from the parts" in (tmp_path / "said").read_text()
    score(long_job, tmp_path / "one.parquet", model_path, part_rows=20)
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


@pytest.mark.slow
def test_a_killed_parent_leaves_no_process(tmp_path, start, long_job):
    with start(long_job, "--processes", 2) as job:
        wait_for(has_parts(tmp_path), job)
        os.kill(job.pid, signal.SIGKILL)
        job.wait(60)
    assert "Traceback" not in (tmp_path / "said").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while it starts", "while it scores"])
def test_ctrl_c_reaches_the_whole_group(tmp_path, start, long_job, moment):
    with start(long_job, "--processes", 2) as job:
        if moment == "while it starts":
            wait_for(lambda: len(workers(job)) > 0, job)
        else:
            wait_for(has_parts(tmp_path), job)
        os.killpg(job.pid, signal.SIGINT)
        assert job.wait(60) == 130
    (*_, last) = (tmp_path / "said").read_text().splitlines()
    assert last.startswith("Stopped by SIGINT")
    assert "Traceback" not in (tmp_path / "said").read_text()


@pytest.mark.slow
def test_what_a_worker_meets_is_told_as_one_process_tells_it(tmp_path, model_path, said):
    """A graph that ONNX Runtime refuses, a model that computes no number, a damaged page."""
    source = tmp_path / "in.parquet"
    pq.write_table(
        reviews(1_000), source, row_group_size=100, write_page_checksum=True, compression="none"
    )
    damaged = bytearray(source.read_bytes())
    damaged[pq.read_metadata(source).row_group(6).column(1).data_page_offset + 100] ^= 1
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    file = read_model_file(model_path)
    broken = onnx.ModelProto.FromString(file.data)
    next(n for n in broken.graph.node if n.op_type == "LSTM").input[1] = "nowhere"
    (tmp_path / "refused.onnx").write_bytes(stamp(broken, file.card))
    faulty = onnx.ModelProto.FromString(file.data)
    bias = next(t for t in faulty.graph.initializer if t.name == "classifier.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([np.nan], np.float32), bias.name))
    (tmp_path / "faulty.onnx").write_bytes(stamp(faulty, file.card))
    for name, model, kind in (
        ("in", tmp_path / "refused.onnx", ModelFileError),
        ("in", tmp_path / "faulty.onnx", SentError),
        ("damaged", model_path, JobError),
    ):
        told = []
        for processes in (1, 2):
            with pytest.raises(kind) as caught:
                score(
                    tmp_path / f"{name}.parquet", tmp_path / "out.parquet", model,
                    part_rows=50, processes=processes, resume=False,
                )  # fmt: skip
            told.append((str(caught.value), getattr(caught.value, "__notes__", [])))
        assert told[0] == told[1]
    assert set(names(tmp_path)) >= {"in.parquet", PARTS}


@contextmanager
def free_files(count):
    """Let this process open so many files more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    free = itertools.islice((number for number in itertools.count() if number not in taken), count)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free) + 1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_process_that_cannot_be_started(model):
    """Files open for its lines, and not for the rest."""
    posts = [Post("cpu", 1)] * 2
    match = r"cannot be started .*Use fewer --processes"
    with free_files(6), pytest.raises(JobError, match=match), open_crew(model, posts):
        pass


def test_a_pools_process_has_no_processes(model, monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    match = r"daemonic processes .*Use fewer --processes"
    with pytest.raises(JobError, match=match), open_crew(model, [Post("cpu", 1)] * 2):
        pass


UNGUARDED = """
import infer
infer.score_files({source!r}, {output!r}, model={model!r}, device="cpu", processes=2)
"""


@pytest.mark.slow
def test_a_script_that_does_not_guard_its_work_is_told_so(tmp_path, model_path):
    pq.write_table(reviews(10), tmp_path / "in.parquet")
    paths = {"source": "in.parquet", "output": "out.parquet", "model": str(model_path)}
    (tmp_path / "script.py").write_text(UNGUARDED.format(**paths))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "could not begin: see what it said. A script" in done.stderr.splitlines()[-1]


CUDA = """
import json, sys
import infer
from infer.base.console import talking
if __name__ == "__main__":
    source, output, model, device, processes, tokens = sys.argv[1:]
    with talking():
        summary = infer.score_files(source, output, model=model, device=device,
            processes=int(processes), batch_tokens=int(tokens) or None, part_rows=1000)
    print(json.dumps(summary.to_json()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("device", "processes"), [("cuda:0,1", 0), ("cuda", 4)])
def test_one_process_a_card(rehearse, model_path, tmp_path, device, processes):
    """On stub libraries, two cards of which have room for small batches only."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS[:8], 13 + row % 27)) for row in range(4_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
    done = rehearse(
        CUDA, tmp_path / "in.parquet", tmp_path / "out.parquet", model_path, device, processes,
        200_000, FAKE_DEVICES=2, FAKE_TOTAL_MIB=6,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["provider"] == "CUDAExecutionProvider"
    assert facts["processes"] == max(processes, 2)
    assert "Out of device memory: going on with" in done.stderr
    assert facts["batch_tokens"] < 200_000
    assert pq.read_table(tmp_path / "out.parquet")["score"].null_count == 0


def test_a_card_that_is_not_there(rehearse, model_path, tmp_path):
    pq.write_table(reviews(10), tmp_path / "in.parquet")
    done = rehearse(
        CUDA, tmp_path / "in.parquet", tmp_path / "out.parquet", model_path, "cuda:0,5", 0, 0,
        FAKE_DEVICES=2,
    )  # fmt: skip
    assert "--device cuda:5: there is cuda:0 to cuda:1 here" in done.stderr
    assert names(tmp_path) == ["in.parquet"]


def test_what_fills_a_machine(monkeypatch):
    monkeypatch.setattr(posts, "cores", lambda: 16)
    monkeypatch.setattr(posts, "memory", lambda: 64 << 30)
    million = 1_000_000
    assert find_posts("cpu", 0, 0, million, "fp32") == (Post("cpu", 4, 4),) * 4
    assert find_posts("cpu", 6, 0, million, "fp32") == (Post("cpu", 3, 2),) * 2
    assert find_posts("cpu", 4, 0, million, "fp32") == (Post("cpu", 4),)
    assert find_posts("cpu", 0, 0, 120_000, "fp32") == (Post("cpu", 8, 2),) * 2
    assert find_posts("cpu", 0, 0, 60_000, "fp32") == (Post("cpu", 0),)
    assert find_posts("cpu", 0, 1, million, "fp32") == (Post("cpu", 0),)
    assert [post.threads for post in find_posts("cpu", 0, 3, 10, "fp32")] == [5, 5, 6]
    assert [post.threads for post in find_posts("cpu", 2, 3, 10, "fp32")] == [1, 1, 1]
    cards = find_posts("cuda:2,0", 0, 3, 10, "fp32")
    assert cards == (Post("cuda:2", 0, 2), Post("cuda:0", 0, 1), Post("cuda:2", 0, 2))
    assert find_posts("cuda:1", 0, 0, million, "fp32") == (Post("cuda:1"),)
    monkeypatch.setattr(posts, "memory", lambda: 5 << 29)
    assert len(find_posts("cpu", 0, 0, million, "fp32")) == 2
    assert len(find_posts("cpu", 0, 3, million, "fp32")) == 3
    monkeypatch.setattr(posts, "memory", lambda: 1 << 29)
    assert find_posts("cpu", 0, 0, million, "fp32") == (Post("cpu"),)
    with pytest.raises(UsageError, match="processes: 1, expected at least 2: one for each card"):
        find_posts("cuda:0,1", 0, 1, million, "fp32")


@pytest.mark.parametrize("device", ["cuda:0,", "cpu,1", "cuda,1", "cuda:0,cuda:1", "cuda:1,1"])
def test_cards_that_cannot_be(tmp_path, device):
    with pytest.raises(UsageError, match="--device"):
        infer.score_files("in.parquet", "out.parquet", device=device)
    with pytest.raises(UsageError, match="processes: -1, expected 0"):
        infer.score_files("in.parquet", "out.parquet", processes=-1)

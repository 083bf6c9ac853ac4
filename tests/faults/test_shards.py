"""Shards of several numbers at once, killed at random moments: the same files in the end."""

import contextlib
import os
import signal
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

OPTIONS = ("--piece-rows", 60, "--part-rows", 20)


@pytest.fixture
def shards(worker, tmp_path, make_reviews):
    """Return inputs in seven pieces, and what one undisturbed shard makes of them."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, rows in (("a", 250), ("b", 60), ("c", 0)):
        pq.write_table(make_reviews(rows, rows), folder / f"{name}.parquet")
    code, said = worker.run(folder, tmp_path / "one", "--shard", "1/1", *OPTIONS)
    assert code == 0, said
    return folder, contents(tmp_path / "one")


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith((".sent-parts", ".sent-tmp"))
    }


def test_shards_killed_at_random_moments(worker, shards, tmp_path, full, tally):
    folder, expected = shards
    draw, kills = np.random.default_rng(7), 0
    start = time.perf_counter()
    worker.run(folder, tmp_path / "timed", "--shard", "1/3", *OPTIONS)
    seconds = time.perf_counter() - start
    for number in range(60 if full else 1):
        output = tmp_path / f"out{number}"
        jobs = [
            worker.start(folder, output, "--shard", shard, *OPTIONS)
            for shard in ("1/3", "2/3", "3/3", "1/2")
        ]
        for job in draw.permutation(jobs):
            time.sleep(draw.uniform(0, seconds / 2))
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.pid, signal.SIGKILL)
        codes = [job.wait() for job in jobs]
        kills += codes.count(-signal.SIGKILL)
        for code, job in zip(codes, jobs, strict=True):
            assert code in (0, -signal.SIGKILL) or "appeared" in job.stderr, job.stderr
        assert contents(output).items() <= expected.items() if output.exists() else True
        for shard in ("1/2", "2/2"):
            code, said = worker.run(folder, output, "--shard", shard, *OPTIONS)
            assert code == 0, said
        assert contents(output) == expected
        code, said = worker.run(folder, output, "--check-complete", *OPTIONS)
        assert code == 0, said
    tally(
        "Shards killed at random moments, two numbers of them at once: the same files, complete",
        f"{kills} kills",
    )

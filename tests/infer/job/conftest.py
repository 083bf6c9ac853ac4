"""Inputs, what shards made of them, and what a look at these finds."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
from infer.job.shards import Shard

OPTIONS = {"piece_rows": 100}


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(["good", "bad", "film"], 5)) for _ in range(rows)]
    return pa.table({"id": np.arange(rows), "text": texts})


@pytest.fixture(scope="session")
def made(tmp_path_factory, score):
    """Inputs and what two shards made of them."""
    root = tmp_path_factory.mktemp("complete")
    (root / "in" / "y=1").mkdir(parents=True)
    pq.write_table(reviews(250), root / "in" / "b.parquet")
    pq.write_table(reviews(30, 1), root / "in" / "y=1" / "c.parquet")
    pq.write_table(reviews(0), root / "in" / "empty.parquet")
    for number in (1, 2):
        score(root / "in", root / "out", shard=Shard(number, 2), **OPTIONS)
    return root


@pytest.fixture
def job(made, tmp_path):
    """Return a copy of both, whose inputs have the times of before, and a way to check it."""
    shutil.copytree(made, tmp_path / "job")
    return tmp_path / "job"


@pytest.fixture
def check(job, model_path):
    def run(**options):
        options = {"model": model_path, "output": job / "out", **options}
        return infer.check_complete(options.pop("inputs", job / "in"), **options)

    return run


def kinds(found):
    assert found.is_complete == (not found.problems)
    return [problem.kind for problem in found.problems]


def message(found):
    (problem,) = found.problems
    return problem.message

"""A job on CUDA, on stub libraries: memory that runs out, at several sizes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SCORE = """
import json, sys
import infer
source, output, model = sys.argv[1:]
summary = infer.score_files(source, output, model=model, device="cuda", batch_tokens=200_000)
print(json.dumps({"budget": summary.batch_tokens, "tokens": summary.tokens}))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cuda") / "reviews.parquet"
    draw = np.random.default_rng(0)
    words = np.array(["good", "bad", "film", "the", "a", "not", ".", "!"])
    texts = [" ".join(draw.choice(words, 13 + row % 27)) for row in range(5_000)]  # all different
    pq.write_table(pa.table({"text": texts}), path)
    return path


@pytest.mark.parametrize("mebibytes", [10, 20, 50, 81_000])
def test_memory_that_runs_out_halves_the_budget(rehearse, model_path, source, tmp_path, mebibytes):
    output = tmp_path / "out.parquet"
    done = rehearse(SCORE, source, output, model_path, FAKE_TOTAL_MIB=mebibytes)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    halved = mebibytes < 1_000
    assert (facts["budget"] < 200_000) == halved
    assert facts["tokens"] == sum(13 + row % 27 for row in range(5_000))
    assert pq.read_table(output)["score"].null_count == 0

"""What n-grams give and cost, on a network that has some and on one that has none."""

import re

import pyarrow.parquet as pq
import pytest

import trainer
from benchmarks import ngrams
from benchmarks.harness import ROOT

SMALL = {"hidden": 8, "embedding": 16, "epochs": 1, "steps": 0, "vectors": "none"}


@pytest.fixture(scope="module", params=[0, 2])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ngrams")
    for part, rows in (("train", 200), ("test", 50)):
        table = pq.read_table(ROOT / "data" / f"{part}.parquet")
        pq.write_table(table.slice(0, rows), folder / f"{part}.parquet")
    output = folder / "checkpoint"
    trainer.train(
        folder, output=output, ngrams=request.param, threads=1, self_training=False, **SMALL
    )
    return output, request.param


def test_parts_and_costs_are_told_apart(checkpoint, capsys):
    folder, longest = checkpoint
    status = ngrams.main([str(folder), "--precision", "int8", "--rounds", "1"])
    out, err = capsys.readouterr()
    if not longest:
        assert status == 2 and "no n-grams" in err
        return
    assert status == 0
    accuracy = dict(re.findall(r"^\| (.+?) \| [\d.]+ \| ([\d.]+)%", out, re.M))
    assert set(accuracy) == {"the network alone", "the n-grams alone", "both"}
    assert re.search(r"^\| with n-grams \| [\d.]+ \| [\d.]+ \|$", out, re.M)

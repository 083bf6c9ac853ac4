"""What was found complete is written down, and a later change is seen."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer.base.errors import OutputError
from tests.infer.job.conftest import kinds


def test_a_complete_folder_gets_a_manifest(job, check):
    found = check()
    assert kinds(found) == []
    assert (found.rows, found.files) == (280, 5)
    manifest = json.loads((job / "out" / "_sent-manifest.json").read_text())
    assert manifest["rows"] == 280
    (entry,) = [one for one in manifest["inputs"] if one["name"].endswith("b.parquet")]
    assert [(file["place"], file["first_row"], file["rows"]) for file in entry["files"]] == [
        ("b.000000000000.parquet", 0, 100),
        ("b.000000000100.parquet", 100, 100),
        ("b.000000000200.parquet", 200, 50),
    ]
    before = (job / "out" / "_sent-manifest.json").read_bytes()
    # It is no matter how many shards there were, nor where they would be cut, nor what ran them.
    assert check(shard="1/7", piece_rows=7, device="cuda", processes=3, overwrite=True).is_complete
    assert (job / "out" / "_sent-manifest.json").read_bytes() == before


def test_a_manifest_that_cannot_be_written(job, check):
    (job / "out" / "_sent-manifest.json").mkdir()
    with pytest.raises(
        OutputError, match=r"cannot be written .* though nothing is missing of 280 rows"
    ):
        check()


def test_scores_that_were_changed_since(job, check):
    assert check().is_complete
    path = job / "out" / "b.000000000100.parquet"
    table = pq.read_table(path)
    changed = pa.array(np.zeros(100, np.float32))
    pq.write_table(table.set_column(1, table.schema.field("score"), changed), path)
    assert kinds(check()) == ["changed output"]
    (job / "out" / "_sent-manifest.json").write_text("no JSON")
    assert check().is_complete


def test_what_is_no_manifest_tells_nothing(job, check):
    manifest = job / "out" / "_sent-manifest.json"
    os.mkfifo(manifest)  # nobody writes into it
    assert check().is_complete
    manifest.write_text("[" * 100_000)
    assert check().is_complete
    assert json.loads(manifest.read_text())["rows"] == 280


def test_a_manifest_that_says_so_already_is_left_alone(job, check):
    assert check().is_complete
    manifest = job / "out" / "_sent-manifest.json"
    before = manifest.stat()
    assert check().manifest == str(manifest)
    assert (manifest.stat().st_ino, manifest.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )

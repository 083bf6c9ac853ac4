"""The output: the input's rows, their scores beside them, and where they come from."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer import __version__
from infer.base.errors import InputError
from infer.job import job
from infer.job.output import _RowReader, result_columns
from infer.model.profile import Profile
from infer.model.results import Scores
from infer.model.session import CPU

NOTHING = np.zeros((9, 0), np.float32)


def test_the_three_columns():
    scores = Scores(
        np.array([0.5, 0.49, np.nan], np.float32),
        np.array([1, 0, 0], np.int16),
        np.array([0, 1, 2], np.uint8),
        NOTHING[:3],
    )
    score, prediction, status = result_columns(scores, ("bad", "good"))
    assert score.equals(pa.array([0.5, 0.49, None], pa.float32()))
    assert prediction.to_pylist() == ["good", "bad", None]
    assert status.to_pylist() == ["ok", "truncated", "null"]
    assert (prediction.type, status.type) == (pa.string(), pa.string())


@given(sizes=st.lists(st.integers(1, 5)), takes=st.lists(st.integers(0, 7)))
def test_scores_are_handed_out_in_pieces_of_any_size(sizes, takes):
    values = np.arange(sum(sizes), dtype=np.float32)
    pieces = np.split(values, np.cumsum(sizes))[:-1]
    whole = [
        Scores(piece, piece.astype(np.int16), piece.astype(np.uint8), NOTHING[: len(piece)])
        for piece in pieces
    ]
    rows = _RowReader(iter(whole), 0)
    taken = [rows.take(count).score for count in takes]
    np.testing.assert_equal(np.concatenate([[], *taken]), values[: sum(takes)])
    assert rows.left() == (sum(takes) < len(values))


def test_schema_metadata_and_provenance(tmp_path, score, model):
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False, metadata={"unit": "none"}),
            pa.field("text", pa.string()),
            pa.field("kind", pa.dictionary(pa.int32(), pa.string())),
        ],
        metadata={"owner": "us"},
    )
    table = pa.table([[1, 2], ["good", None], ["a", None]], schema=schema)
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read.column_names == ["id", "kind", "score", "prediction", "status"]
    original = pq.read_schema(tmp_path / "in.parquet")
    for name in ("id", "kind"):
        assert read.schema.field(name).equals(original.field(name), check_metadata=True)
    found = dict(read.schema.metadata)
    assert len(found.pop(b"sent.job")) == 64
    assert Profile.from_text(found.pop(b"sent.profile")).rows == read.num_rows
    task = json.loads(found.pop(b"sent.task"))
    assert task["model"] == model.sha256 and task["columns"] == ["id", "kind"]
    assert str(tmp_path) not in json.dumps(task), "an output can be passed on"
    assert found == {
        b"owner": b"us",
        b"sent.model_sha256": model.sha256.encode(),
        b"sent.version": __version__.encode(),
        b"sent.provider": CPU.encode(),
    }


@pytest.mark.parametrize("groups", [0, 1])
def test_no_rows_give_a_valid_file_without_rows(tmp_path, score, groups):
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(tmp_path / "in.parquet", schema) as writer:
        for _ in range(groups):
            writer.write_table(schema.empty_table())
    summary = score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert (read.num_rows, summary.rows) == (0, 0)
    assert read.column_names == ["id", "score", "prediction", "status"]


def test_no_carried_columns(tmp_path, score):
    pq.write_table(pa.table({"text": ["good", "bad"] * 5}), tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read.column_names == ["score", "prediction", "status"]
    assert read.num_rows == 10


def test_an_input_that_changes_meanwhile_is_no_output(tmp_path, score, monkeypatch):
    """Rows are counted against the footer of the file that is carried over."""
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": [1, 2], "text": ["good", "bad"]}), source)
    write_output = job.write_output

    def shrink_first(*arguments):
        pq.write_table(pa.table({"id": [1], "text": ["good"]}), source)
        return write_output(*arguments)

    monkeypatch.setattr(job, "write_output", shrink_first)
    with pytest.raises(Exception, match="changed while it was read") as caught:
        score(source, tmp_path / "out.parquet")
    assert isinstance(caught.value.__cause__, InputError)
    assert not (tmp_path / "out.parquet").exists()

"""What is looked at before the work: all that is wrong at once, and the model's own text column."""

import dataclasses
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import ModelProto

import infer
from infer.base.errors import InputError
from infer.job.plan import ScoreOptions, make_plan
from infer.model.file import stamp


def test_all_unusable_files_of_a_folder_are_told_at_once(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        pq.write_table(pa.table({"n": [number]}), folder / f"numbers-{number}.parquet")
        (folder / f"broken-{number}.parquet").write_bytes(b"no Parquet")
        pq.write_table(pa.table({"text": ["good"]}), folder / f"fine-{number}.parquet")
    with pytest.raises(InputError) as caught:
        make_plan([str(folder)], tmp_path / "out", ScoreOptions())
    message = str(caught.value)
    assert message.startswith("10 of 15 files cannot be used. ")
    for number in range(5):
        assert f"numbers-{number}.parquet" in message
        assert f"broken-{number}.parquet" in message
    assert "fine" not in message
    assert message.count("no string columns") == 1


@pytest.fixture
def body_model(model_path, model, tmp_path):
    """A model that was trained on a column called `body`."""
    path = tmp_path / "body.onnx"
    card = dataclasses.replace(model.card, text_column="body")
    path.write_bytes(stamp(ModelProto.FromString(model_path.read_bytes()), card))
    return path


@pytest.mark.parametrize(
    ("columns", "options", "carried"),
    [
        ({"text": ["bad"], "body": ["good"]}, {}, ["text"]),
        ({"title": ["bad"], "body": ["good"]}, {}, ["title"]),
        ({"text": ["bad"], "body": [7]}, {}, ["body"]),
        ({"text": ["bad"], "body": ["good"]}, {"text_column": "text"}, ["body"]),
    ],
)
def test_the_column_that_the_model_was_trained_on(
    tmp_path, body_model, columns, options, carried, caplog
):
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    caplog.set_level("INFO", "sent_toolkit")
    infer.score_files(
        tmp_path / "in.parquet", tmp_path / "out.parquet", model=body_model, device="cpu", **options
    )
    assert pq.read_schema(tmp_path / "out.parquet").names[:-3] == carried
    assert ("which the model was trained on" in caplog.text) == ("body" not in carried)


def test_an_output_is_no_more_open_than_its_input(tmp_path, score):
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"text": ["good"]}), source)
    source.chmod(0o600)
    score(source, output)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600

"""The Python API: the command's scores, from several threads, pickled, and without a word."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import infer
from infer.base.errors import InputError, ModelFileError, OutputError, UsageError

WORDS = ["good", "bad", "film", "the", "a", "not", ".", "!", "unheard-of", "<br />"]
COLUMNS = ["score", "prediction", "status"]


def reviews(rows, seed=0):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(1, 30))) for _ in range(rows)]


@pytest.fixture(scope="module")
def loaded(model_path):
    return infer.load(model_path, device="cpu", threads=1)


@pytest.fixture
def scored(tmp_path, sent_score):
    """300 texts as a table, and what the command makes of them."""
    table = pa.table({"id": range(303), "text": [*reviews(300), None, "", "the " * 50]})
    pq.write_table(table, tmp_path / "in.parquet")
    done = sent_score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return table, pq.read_table(tmp_path / "out.parquet")


def test_the_names_that_a_user_needs():
    names = ["Model", "Scorer", "SentError", "Summary", "check_complete", "load", "score_files"]
    assert infer.__all__ == names
    assert all(getattr(infer, name).__doc__ for name in infer.__all__)
    assert set(infer.__all__) <= set(dir(infer))
    with pytest.raises(AttributeError):
        _ = infer.lod


def test_scores_are_those_of_the_command(loaded, scored):
    table, expected = scored
    for texts in (table["text"], table["text"].to_pylist(), table["text"].combine_chunks()):
        found = loaded.score(texts)
        assert found.equals(expected.select(COLUMNS).replace_schema_metadata(None))
    behind = loaded(table)
    assert behind.column_names == ["id", "text", *COLUMNS]
    assert behind.select(["id", *COLUMNS]).equals(expected)


def test_a_batch_comes_back_as_a_batch(loaded):
    batch = pa.record_batch({"n": [1, 2], "review": ["good film", None]})
    found = loaded(batch, prefix="sent_")
    assert isinstance(found, pa.RecordBatch)
    assert found.schema.names == ["n", "review", "sent_score", "sent_prediction", "sent_status"]
    assert found["sent_status"].to_pylist() == ["ok", "null"]
    with pytest.raises(InputError, match="no column 'x'"):
        loaded(batch, text_column="x")
    with pytest.raises(InputError, match="'score' would be written twice"):
        loaded(pa.table({"text": ["a"], "score": [0.5]}))
    with pytest.raises(InputError, match="of type dict, expected an Arrow Table"):
        loaded({"text": ["a"]})


@pytest.mark.parametrize(
    "texts",
    [
        ["good film", None, "", "bad"],
        [b"good film", None, b"", b"bad"],
        ("good film", None, "", "bad"),
        np.array(["good film", None, "", "bad"], object),
        pa.array(["good film", None, "", "bad"], pa.string_view()),
        pa.array(["good film", None, "", "bad"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(
            pa.array([0, None, 1, 2]), pa.array(["good film", "", "bad"], pa.string_view())
        ),
        pa.chunked_array([["good film", None], [], ["", "bad"]]),
    ],
)
def test_texts_of_every_kind(loaded, texts):
    found = loaded.score(texts)
    assert found["status"].to_pylist() == ["ok", "null", "empty", "ok"]
    assert found["score"].null_count == 2


def test_texts_that_are_none(loaded):
    assert loaded.score([]).num_rows == 0
    assert loaded.score([]).schema.equals(loaded.score(["good"]).schema)
    assert loaded.score([None, None])["status"].to_pylist() == ["null", "null"]
    halves = ["good \ud800 film", "good"]
    for texts in (halves, np.array(halves)):
        assert loaded.score(texts)["status"].to_pylist() == ["invalid", "ok"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("good film", "a single string, expected a list"),
        ([1, 2], "of type int64, expected strings"),
        (["good", 2], "values of int, str, expected str"),
        (pa.array([1.5]), "of type double, expected strings"),
        (None, "of type NoneType, expected one list"),
        (np.array([["good"], ["bad"]]), "of type ndarray, expected one list"),
    ],
)
def test_what_is_no_text_is_refused(loaded, texts, message):
    with pytest.raises(InputError, match=message):
        loaded.score(texts)


def test_several_threads_share_a_model(loaded):
    """Each with texts of its own, most of their words new to the model."""
    sets = [
        [f"{text} word{seed}-{i}" for i, text in enumerate(reviews(200, seed))] for seed in range(8)
    ]
    alone = [infer.load(loaded.path, device="cpu", threads=1).score(texts) for texts in sets]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(loaded.score, sets))
    assert all(one.equals(other) for one, other in zip(found, alone, strict=True))


FORK = """
import multiprocessing, sys
import infer
model = infer.load(sys.argv[1], device="cpu", threads=1)
def status(texts):
    return model.score(texts)["status"].to_pylist()
status(["good film"])
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply_async(status, [["good film", None]]).get(30))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_does_not_wait_for_its_parents_threads(model_path):
    command = [sys.executable, "-c", FORK, model_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['ok', 'null']\n", done.stderr


def test_a_pickled_model_is_its_name_and_is_loaded_once(loaded):
    pickled = pickle.dumps(loaded)
    assert len(pickled) < 1_000
    one, two = pickle.loads(pickled), pickle.loads(pickled)
    assert one is two
    assert one.score(["good film"]).equals(loaded.score(["good film"]))
    shipped = pickle.loads(pickle.dumps(infer.load("imdb-small", device="cpu", threads=1)))
    assert shipped.name == "imdb-small"


def test_wrong_requests(tmp_path):
    with pytest.raises(UsageError):
        infer.load("imdb-small", device="gpu")
    with pytest.raises(ModelFileError):
        infer.load(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="threads: -1"):
        infer.load("imdb-small", threads=-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": []}, "inputs: an empty list"),
        ({"columns": "id"}, "columns: a single string"),
        ({"part_rows": 0}, "part_rows: 0, expected at least 1"),
        ({"batch_tokens": -1}, "batch_tokens: -1, expected at least 1"),
        ({"threads": -1}, "threads: -1"),
    ],
)
def test_wrong_requests_for_files(tmp_path, scored, loaded, options, message):
    wanted = {"inputs": tmp_path / "in.parquet", "output": tmp_path / "o", "model": loaded}
    with pytest.raises(UsageError, match=message):
        infer.score_files(**{**wanted, **options})
    assert not (tmp_path / "o").exists()


def test_files(tmp_path, loaded, scored, model_path):
    _, expected = scored
    summary = infer.score_files(tmp_path / "in.parquet", tmp_path / "again.parquet", model=loaded)
    assert pq.read_table(tmp_path / "again.parquet").equals(expected)
    assert (summary.rows, summary.resumed_rows, summary.statuses["truncated"]) == (303, 0, 1)
    assert summary.to_json()["model"]["path"] == str(model_path)
    again = infer.score_files([tmp_path / "in.parquet"], tmp_path / "again", model=model_path)
    assert again.files[0]["output"] == str(tmp_path / "again")


def test_the_same_call_finds_done_what_is_done(tmp_path, loaded, scored):
    source, output = tmp_path / "in.parquet", tmp_path / "again.parquet"
    infer.score_files(source, output, model=loaded)
    before = output.stat()
    summary = infer.score_files(source, output, model=loaded)
    assert (summary.rows, summary.resumed_rows) == (303, 303)
    assert output.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(OutputError):
        infer.score_files(source, output, model=loaded, columns=())
    anew = infer.score_files(source, output, model=loaded, overwrite=True)
    assert anew.resumed_rows == 0


@pytest.mark.parametrize(
    "change", [lambda t: t.slice(0, 9), lambda t: t.drop(["status"]), lambda t: t.select([0])]
)
def test_an_output_that_was_rewritten_is_not_done(tmp_path, loaded, scored, change):
    """Arrow hands the fingerprint on, with the rest of the schema's metadata."""
    source, output = tmp_path / "in.parquet", tmp_path / "again.parquet"
    infer.score_files(source, output, model=loaded)
    rewritten = change(pq.read_table(output))
    pq.write_table(rewritten, output)
    with pytest.raises(OutputError):
        infer.score_files(source, output, model=loaded)
    assert pq.read_table(output).equals(rewritten)


def test_an_output_that_is_damaged_is_not_done(tmp_path, loaded, scored):
    source, output = tmp_path / "in.parquet", tmp_path / "again.parquet"
    infer.score_files(source, output, model=loaded)
    place = pq.read_metadata(output).row_group(0).column(3).data_page_offset
    content = bytearray(output.read_bytes())
    content[place + 60] ^= 0xFF
    output.write_bytes(content)
    with pytest.raises(OutputError, match="is damaged"):
        infer.score_files(source, output, model=loaded)
    output.unlink()
    assert infer.score_files(source, output, model=loaded).resumed_rows == 0


def test_provenance_is_not_handed_on(tmp_path, loaded, scored):
    table = pq.read_table(tmp_path / "out.parquet")
    assert b"sent.job" in table.schema.metadata
    behind = loaded(table.append_column("text", table["status"]), prefix="new_")
    assert not behind.schema.metadata


CODE = """
import sys
import infer
assert "numpy" not in sys.modules and "pyarrow" not in sys.modules
model = infer.load(sys.argv[1], device="cpu", threads=1)
model.score(["good film", None])
infer.score_files(sys.argv[2], sys.argv[3], model=model)
assert "torch" not in sys.modules
"""


def test_a_library_says_nothing_and_needs_no_torch(tmp_path, scored, model_path):
    command = [sys.executable, "-c", CODE, model_path, tmp_path / "in.parquet", tmp_path / "o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

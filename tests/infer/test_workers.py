"""What engines call: small when pickled, one model a process, the very same file, every string."""

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import infer
from infer.base.errors import InputError, MissingExtraError, ModelFileError, UsageError
from infer.model.shipped import SHIPPED

TABLE = pa.table({"id": [1, 2, 3, 4], "text": ["good film", None, "", "a bad film !"]})
COLUMNS = ["score", "prediction", "status"]


@pytest.fixture(scope="module")
def scorer(model_path):
    return infer.Scorer(model_path, device="cpu", columns=["id"])


def here(model_path, folder):
    """A copy of the model in a folder of its own, which a test may lose."""
    return Path(shutil.copy(model_path, folder / "own.onnx"))


def other(path):
    """Another model file at the same path."""
    shutil.copy(SHIPPED["imdb-small"], path)


def test_a_table_is_scored_as_the_model_scores_it(scorer, model_path):
    loaded = infer.load(model_path, device="cpu", threads=1)
    assert scorer(TABLE).equals(loaded(TABLE).drop(["text"]))
    batch = TABLE.to_batches()[0]
    assert scorer(batch).equals(loaded(batch).select(["id", *COLUMNS]))
    assert scorer(TABLE)["status"].to_pylist() == ["ok", "null", "empty", "ok"]
    everything = infer.Scorer(model_path, device="cpu", prefix="p_", probabilities=True)
    assert everything(TABLE).equals(loaded(TABLE, prefix="p_", probabilities=True))


def test_the_schema_is_known_beforehand(scorer, model_path):
    assert scorer.schema(TABLE.schema).equals(scorer(TABLE).schema)
    everything = infer.Scorer(model_path, device="cpu", prefix="p_", probabilities=True)
    assert everything.schema(TABLE.schema).equals(everything(TABLE).schema)
    with pytest.raises(InputError, match="no column 'id'"):
        scorer.schema(pa.schema([("text", pa.string())]))


def test_no_rows_have_the_same_columns(scorer):
    for empty in (TABLE.slice(0, 0), TABLE.schema.empty_table(), TABLE.to_batches()[0].slice(0, 0)):
        found = scorer(empty)
        assert (found.num_rows, type(found)) == (0, type(empty))
        assert found.schema.equals(scorer(TABLE).schema)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string_view(),
        pa.large_string(),
        pa.binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
    ],
)
def test_strings_of_every_engine(scorer, kind):
    """Polars gives views and large strings, its categories are dictionaries."""
    table = TABLE.set_column(1, "text", TABLE["text"].combine_chunks().cast(kind))
    assert scorer(table).equals(scorer(TABLE))
    assert scorer(table.slice(1, 2)).equals(scorer(TABLE.slice(1, 2)))
    assert scorer(table.to_batches()[0]).equals(scorer(TABLE.to_batches()[0]))


def test_what_cannot_be_scored(scorer, model_path):
    with pytest.raises(InputError, match="no column 'id'"):
        scorer(TABLE.drop(["id"]))
    with pytest.raises(InputError, match="no column 'text'"):
        scorer(TABLE.drop(["text"]))
    with pytest.raises(InputError, match="of type dict, expected an Arrow Table"):
        scorer({"text": ["good film"]})
    with pytest.raises(UsageError, match="columns: a single string"):
        infer.Scorer(model_path, columns="id")
    with pytest.raises(UsageError, match="threads: -1"):
        infer.Scorer(model_path, threads=-1)
    with pytest.raises(UsageError):
        infer.Scorer(model_path, device="gpu")
    with pytest.raises(UsageError):  # its file does not say how right it was
        infer.Scorer(model_path, abstain_below=0.9)


def test_pickled_it_is_its_options(scorer, model_path):
    pickled = pickle.dumps(scorer)
    assert len(pickled) < 1_000
    again = pickle.loads(pickled)
    assert again.options == scorer.options == infer.Scorer(**scorer.options).options
    assert again(TABLE).equals(scorer(TABLE))
    assert scorer.options["model"] == str(model_path)
    assert infer.Scorer("imdb-small").options["model"] == "imdb-small"


def test_the_model_that_nobody_named_is_the_same_elsewhere(tmp_path, monkeypatch):
    """Workers run in folders of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "artifacts").mkdir()
    shutil.copy(SHIPPED["imdb-small"], tmp_path / "artifacts" / "model.onnx")
    assert infer.Scorer().options["model"] == str(tmp_path / "artifacts" / "model.onnx")
    (tmp_path / "artifacts" / "model.onnx").unlink()
    assert infer.Scorer().options["model"] == "imdb"


def test_all_of_a_process_share_one_model(model_path, tmp_path, monkeypatch):
    """Whatever is pickled and whoever calls first: eight threads load it once."""
    path = here(model_path, tmp_path)
    made = []
    init = infer.Model.__init__
    monkeypatch.setattr(
        infer.Model, "__init__", lambda self, *args: (made.append(args), init(self, *args))[1]
    )
    pickled = pickle.dumps(infer.Scorer(path, device="cpu", columns=["id"]))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: pickle.loads(pickled)(TABLE), range(16)))
    infer.Scorer(path, device="cpu", prefix="other_")(TABLE)
    assert len(made) == 1
    assert all(one.equals(found[0]) for one in found)


def test_two_models_in_one_process(scorer):
    shipped = infer.Scorer("imdb-small", device="cpu", columns=["id"])
    first, second = scorer(TABLE), shipped(TABLE)
    assert not first["score"].equals(second["score"])
    assert (scorer(TABLE), shipped(TABLE)) == (first, second)


def test_a_file_that_was_replaced_is_refused(model_path, tmp_path):
    path = here(model_path, tmp_path)
    scorer = infer.Scorer(path, device="cpu")
    pickled = pickle.dumps(scorer)
    other(path)
    for one in (scorer, pickle.loads(pickled)):
        with pytest.raises(ModelFileError, match=r"own.onnx on .*: SHA-256 .*, expected .*Put the"):
            one(TABLE)
    with pytest.raises(ModelFileError, match="SHA-256"):
        infer.Scorer(path, sha256=scorer.options["sha256"]).schema(TABLE.schema)
    infer.Scorer(path, device="cpu")(TABLE)


def test_a_process_goes_on_with_the_model_that_it_has_loaded(model_path, tmp_path):
    path = here(model_path, tmp_path)
    scorer = infer.Scorer(path, device="cpu")
    before = scorer(TABLE)
    other(path)
    assert scorer(TABLE).equals(before)
    assert not infer.Scorer(path, device="cpu")(TABLE).equals(before)


def test_a_file_that_a_machine_lacks_is_told_with_the_machine(model_path, tmp_path):
    path = here(model_path, tmp_path)
    pickled = pickle.dumps(infer.Scorer(path, device="cpu"))
    kept = path.rename(tmp_path / "away.onnx")
    with pytest.raises(
        ModelFileError, match=r"own.onnx: cannot be read .*Looked for on .*same path"
    ):
        pickle.loads(pickled)(TABLE)
    kept.rename(path)  # no failure is remembered
    assert pickle.loads(pickled)(TABLE).num_rows == 4


def test_a_model_is_pickled_with_the_hash_of_its_file(model_path, tmp_path):
    path = here(model_path, tmp_path)
    pickled = pickle.dumps(infer.load(path, device="cpu", threads=1))
    other(path)
    with pytest.raises(ModelFileError, match="SHA-256"):
        pickle.loads(pickled)


def test_errors_come_back_from_workers():
    """An engine pickles what a worker raised."""
    error = MissingExtraError("fsspec", "uri")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (MissingExtraError, str(error))


FORK = """
import multiprocessing, sys
import pyarrow as pa
import infer
scorer = infer.Scorer(sys.argv[1], device="cpu", threads=2)
table = pa.table({"text": ["good film", None]})
def status(rows):
    return scorer(table.slice(0, rows))["status"].to_pylist()
status(2)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(status, [2, 1]).get(30))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_scores_with_the_model_of_its_parent(model_path):
    command = [sys.executable, "-c", FORK, model_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[['ok', 'null'], ['ok']]\n", done.stderr


FORK_WHILE_LOADING = """
import multiprocessing, os, sys, threading
import pyarrow as pa
import infer
from infer import api
scorer = infer.Scorer(sys.argv[1], device="cpu")
parent, load, begun = os.getpid(), api._loaded, threading.Event()
def loaded(*place):
    if os.getpid() == parent:
        begun.set()
        threading.Event().wait(60)
    return load(*place)
api._loaded = loaded
table = pa.table({"text": ["good film"]})
threading.Thread(target=scorer, args=[table], daemon=True).start()
begun.wait()
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map_async(scorer, [table]).get(30)[0]["status"].to_pylist(), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_the_parent_loads_waits_for_nobody(model_path):
    command = [sys.executable, "-c", FORK_WHILE_LOADING, model_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['ok']\n", done.stderr

"""The command `sent-score`: what it prints, where, and its exit codes."""

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infer import __version__, cli
from infer.job.plan import ScoreOptions

HEAVY = ("spacy", "onnxruntime", "onnx", "torch")
RUN = """
import sys
from infer.cli import main
try:
    main()
finally:
    loaded = [name for name in {heavy} if name in sys.modules]
    sys.stdout.write("LOADED " + " ".join(loaded))
"""


@pytest.fixture
def source(tmp_path):
    texts = ["good film", None, "", "bad", "the " * 50]
    table = pa.table({"id": np.arange(5), "text": texts})
    pq.write_table(table, tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_scores_outlast_a_full_disk_behind_the_talk(source, tmp_path, model_path, full):
    command = [sys.executable, "-c", "from infer.cli import main; main()", source, "--json"]
    command += ["-o", tmp_path / "out.parquet", "--model", model_path]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with open("/dev/full", "w") as device:  # noqa: PTH123
        done = subprocess.run(command, text=True, check=False, **{**streams, full: device})
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 5
    if full == "stdout":
        assert "stdout cannot be written (No space left on device)" in done.stderr
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    else:
        assert json.loads(done.stdout)["rows"] == 5
        assert done.returncode == 0


def test_one_json_object_on_stdout(source, tmp_path, sent_score, model_path, model):
    done = sent_score(source, "-o", tmp_path / "out.parquet", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == 5
    statuses = {"ok": 2, "truncated": 1, "null": 1, "empty": 1, "invalid": 0}
    assert found["statuses"] == statuses
    assert sum(found["predictions"].values()) == 3
    assert set(found["predictions"]) == {"negative", "positive"}
    assert found["files"] == [
        {"input": str(source), "output": str(tmp_path / "out.parquet"), "rows": 5}
    ]
    assert set(found["seconds"]) == {"total", "read", "encode", "run", "write"}
    assert found["reviews_per_second"] > 0
    assert 0 <= found["padding"] < 1
    assert found["provider"] in ("CPUExecutionProvider", "CUDAExecutionProvider")
    assert found["model"]["path"] == str(model_path)
    assert found["model"]["sha256"] == model.sha256
    assert found["resumed_rows"] == 0
    assert found["version"] == __version__
    for word in ("Model:", "Device:", "Scored 5 rows", "truncated 1", "out.parquet"):
        assert word in done.stderr
    assert "\x1b" not in done.stderr  # no bar where there is no terminal


def test_columns_may_be_named_one_by_one(tmp_path, sent_score):
    table = pa.table({"id": [1], "a,b": [2], "c": [3], "text": ["good"]})
    pq.write_table(table, tmp_path / "in.parquet")
    names = ["--columns", "id", "--columns", '"a,b",text']
    done = sent_score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", *names)
    assert done.returncode == 0, done.stderr
    columns = pq.read_schema(tmp_path / "out.parquet").names
    assert columns == ["id", "a,b", "text", "score", "prediction", "status"]


def test_quiet_says_nothing(source, tmp_path, sent_score):
    done = sent_score(source, "-o", tmp_path / "out.parquet", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = sent_score(source, "-o", tmp_path / "out.parquet", "--quiet", "--no-resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert "exists already. Use --overwrite" in done.stderr


def test_a_progress_bar_on_a_terminal(source, tmp_path, model_path):
    ours, theirs = pty.openpty()
    code = "from infer.cli import main; main()"
    output = str(tmp_path / "out.parquet")
    command = [sys.executable, "-c", code, str(source), "-o", output, "--model", str(model_path)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while piece := read_terminal(ours):
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    assert b"5/5" in shown
    assert b"reviews/s" in shown
    assert b"0:00:0" in shown


def read_terminal(handle):
    try:
        return os.read(handle, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.parquet", "-o", "out"], "nothing.parquet: no such file or folder"),
        (["in.parquet", "-o", "in.parquet"], "in.parquet: is the input itself"),
        (["in.parquet", "-o", "out", "--text-column", "id"], "has type int64, expected string"),
        (["in.parquet", "-o", "out", "--text-column", "x"], "no column 'x'. Columns: id (int64)"),
        (["in.parquet", "-o", "out", "--delimiter", "abc"], "--delimiter 'abc': expected one"),
        (["bad.parquet", "-o", "out"], "bad.parquet: not a whole, readable Parquet file"),
        (["in.parquet", "-o", "model.onnx", "--overwrite"], "is the input model.onnx"),
    ],
)
def test_a_wrong_request_is_told_before_anything_heavy_is_loaded(
    source, tmp_path, model_path, arguments, message
):
    (tmp_path / "bad.parquet").write_bytes(b"text\ngood film\n")
    (tmp_path / "model.onnx").write_bytes(model_path.read_bytes())
    command = [sys.executable, "-c", RUN.format(heavy=HEAVY), *arguments, "--model", "model.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "LOADED "
    assert not (tmp_path / "out").exists()


def test_a_wrong_model_is_told_before_spacy_and_onnx_runtime_are_loaded(source, tmp_path):
    command = [sys.executable, "-c", RUN.format(heavy=HEAVY), str(source), "-o", "out"]
    absent = ["--model", "artifacts/model.onnx"]
    for asked, code, message in ((absent, 2, "cannot be read"), ([], 1, "not an ONNX file")):
        if not asked:
            (tmp_path / "artifacts").mkdir()
            (tmp_path / "artifacts" / "model.onnx").write_bytes(b"x")
        done = subprocess.run(
            [*command, *asked], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == code
        assert f"artifacts/model.onnx: {message}" in done.stderr
        assert done.stdout == "LOADED onnx"


def test_scoring_loads_no_torch_where_there_is_one(source, tmp_path, model_path):
    pytest.importorskip("torch")
    command = [sys.executable, "-c", RUN.format(heavy=HEAVY), str(source), "-o"]
    command += [str(tmp_path / "out.parquet"), "--model", str(model_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "LOADED spacy onnxruntime onnx"


def test_help_loads_nothing(tmp_path):
    command = [sys.executable, "-c", RUN.format(heavy=(*HEAVY, "pyarrow", "numpy")), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.endswith("LOADED ")
    for word in ("--part-rows", "a kill costs at most", "Examples:"):
        assert word in " ".join(done.stdout.split())


def test_a_device_that_cannot_be_had(source, tmp_path, sent_score):
    from infer.model.cuda import cuda_problem

    if cuda_problem() is None:
        pytest.skip("CUDA works here")
    done = sent_score(source, "-o", tmp_path / "out.parquet", "--device", "cuda")
    assert done.returncode == 1
    assert "Error: --device cuda: " in done.stderr
    assert "--device cpu" in done.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_the_defaults_shown_are_the_defaults_used():
    options = {option.name: option.default for option in cli.main.params}
    used = ScoreOptions()
    for name in ("text_column", "columns", "prefix", "batch_tokens", "part_rows"):
        assert getattr(used, name) == options[name]
    assert (used.overwrite, used.resume) == (False, True)

"""`sent-export` as a command: exit codes, what goes to stdout, help without heavy imports."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from exporter.cli import main
from infer.model.file import read_model_file

HEAVY = ("torch", "onnx", "spacy", "onnxruntime", "onnxscript", "numpy", "pyarrow")


def invoke(*arguments):
    return CliRunner().invoke(main, ["--threads", "1", *map(str, arguments)])


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """A model file made by the command, and what the command printed."""
    path = tmp_path_factory.mktemp("cli") / "artifacts" / "model.onnx"
    result = invoke("--checkpoint", folder, "-o", path, "--device", "cpu", "--json")
    return path, result


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom exporter.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--opset INTEGER RANGE" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_every_option_has_help_and_a_default():
    for option in main.params:
        assert option.help
    text = invoke("--help").stdout
    for default in ("artifacts/checkpoint", "artifacts/model.onnx", "17", "fp32", "auto"):
        assert f"[default: {default}" in " ".join(text.split())


def test_an_export_ends_with_0_and_prints_one_json_object(exported):
    path, result = exported
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["sha256"] == read_model_file(path).sha256
    assert printed["bytes"] == path.stat().st_size
    assert printed["parity"]["passed"] is True


def test_talk_is_on_stderr_and_names_what_to_run_next(exported):
    path, result = exported
    assert "accuracy on 60 reviews" in result.stderr
    assert "same labels, of 60" in result.stderr
    assert f"Next: sent-score reviews.parquet -o scores.parquet --model {path}" in result.stderr


def test_check_agrees_and_quiet_says_nothing(exported, folder):
    path, _ = exported
    result = invoke("--check", path, "--checkpoint", folder, "--device", "cpu", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_failure_ends_with_1_in_one_line(exported, folder, tmp_path):
    output = tmp_path / "model.onnx"
    result = invoke("--checkpoint", folder, "-o", output, "--atol", "1e-15", "--quiet", "--json")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: parity failed: CPUExecutionProvider, ")
    assert result.stderr.count("\n") == 1
    assert json.loads(result.stdout)["parity"]["passed"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx.parity-failure.json"]


def test_opsets_above_21_warn(folder, tmp_path):
    output = tmp_path / "model.onnx"
    result = invoke("--checkpoint", folder, "-o", output, "--device", "cpu", "--opset", "22")
    assert result.exit_code == 0, result.output
    assert "Warning: opset 22 is above 21: ONNX Runtime before 1.31" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--opset", "16"], 2, "16 is not in the range 17<=x<=23"),
        (["--precision", "int4"], 2, "'int4' is not one of"),
        (["--atol", "0"], 2, "0.0 is not in the range"),
        (["--atol", "nan"], 2, "nan is not a finite number"),
        (["--atol", "inf"], 2, "inf is not a finite number"),
        (["--device", "tpu"], 2, "--device 'tpu', expected auto, cpu, cuda or cuda:N"),
        (["--check", "m.onnx", "--precision", "fp16"], 2, "--precision has no meaning"),
        (["--parity-data", "none.parquet"], 2, "none.parquet: no such file"),
        (["--check", "none.onnx"], 2, "none.onnx: cannot be read"),
        (["--checkpoint", "nowhere"], 2, "nowhere: no checkpoint there"),
    ],
)
def test_wrong_usage_ends_in_one_line(arguments, code, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--checkpoint" not in arguments:
        arguments = ["--checkpoint", str(folder), *arguments]
    result = invoke(*arguments)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "artifacts" / "model.onnx").exists()


def test_a_missing_extra_is_named():
    code = (
        "import sys\nsys.modules['onnxscript'] = None\n"
        "from importlib import util\nfind = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'onnxscript' else find(name)\n"
        "from exporter.cli import main\nmain([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install -c constraints.txt '.[train]'" in done.stderr

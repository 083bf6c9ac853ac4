"""`import exporter`: exported and checked from Python, quietly unless asked."""

import pytest

import exporter
from exporter.request import NEWEST_OPSET, OLDEST_OPSET, PRECISIONS
from infer.base.errors import UsageError
from infer.model import card, graph_rules
from infer.model.file import read_model_file


def test_it_exports_and_checks_what_it_exported(folder, tmp_path, capfd, said):
    path = tmp_path / "new" / "model.onnx"
    exported = exporter.export(str(folder), str(path), precision="fp16", device="cpu", threads=1)
    assert exported.model_file.sha256 == read_model_file(path).sha256
    assert exported.model_file.card.precision == exported.report.precision == "fp16"
    assert said() == [f"Exporting {folder} (fp16, opset 17)"]
    again = exporter.check(path, folder, device="cpu", threads=1)
    assert again.report.passed
    assert again.model_file == exported.model_file
    assert capfd.readouterr() == ("", "")


def test_a_failure_carries_the_report(folder, tmp_path):
    with pytest.raises(exporter.ParityFailedError) as failure:
        exporter.export(folder, tmp_path / "m.onnx", atol=1e-15, device="cpu", threads=1)
    assert failure.value.report["passed"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx.parity-failure.json"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"opset": 16},
        {"opset": 24},
        {"precision": "int4"},
        {"atol": 0.0},
        {"atol": float("nan")},
        {"threads": -1},
        {"device": "tpu"},
    ],
)
def test_wrong_arguments_are_refused_at_once(wrong, folder, tmp_path):
    with pytest.raises(UsageError):
        exporter.export(folder, tmp_path / "m.onnx", **wrong)
    assert not list(tmp_path.iterdir())


def test_what_is_exported_is_what_a_model_file_may_hold():
    """The request names it too, since `--help` must not wait for ONNX."""
    assert PRECISIONS == card.PRECISIONS
    assert range(OLDEST_OPSET, NEWEST_OPSET + 1) == graph_rules.OPSETS

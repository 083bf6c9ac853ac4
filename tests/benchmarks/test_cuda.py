"""The CUDA evidence on the CPU, at tiny sizes: the same code."""

import json

import pytest

from benchmarks import cuda
from benchmarks.cuda_parts import PARTS, Part
from benchmarks.providers import heavy_elsewhere
from benchmarks.report_cuda import HEADINGS, cuda_document

QUICK = ["--device", "cpu", "--quick"]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "cuda.json"
    code = cuda.main([*QUICK, "--in-process", "--out", str(path)])
    return code, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_part_runs(evidence):
    code, body = evidence
    assert body["parts"].keys() == PARTS.keys() == HEADINGS.keys()
    errors = {name: part["error"] for name, part in body["parts"].items() if "error" in part}
    assert not errors
    assert code == 0


@pytest.mark.slow
def test_parity_holds_and_no_label_flips(evidence):
    parity = evidence[1]["parts"]["parity"]["result"]
    assert [goal["measured"] for goal in parity["goals"]] == [0]
    assert all(row[6] == "yes" for row in parity["tables"][0]["rows"])


@pytest.mark.slow
def test_every_opset_is_tried(evidence):
    rows = evidence[1]["parts"]["opsets"]["result"]["tables"][0]["rows"]
    assert [row[0] for row in rows] == [
        *(f"article, opset {opset}" for opset in (17, 21, 22, 23)), "small, opset 17",
    ]  # fmt: skip
    assert "LSTM" in rows[0][1]


@pytest.mark.slow
def test_cuda_that_cannot_be_had_is_an_error(evidence):
    assert evidence[1]["parts"]["hidden-libraries"]["result"]["goals"][0]["measured"] == 0


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_budget(evidence):
    squeezed = evidence[1]["parts"]["out-of-memory"]["result"]
    assert squeezed["said"]
    assert squeezed["difference"] < 0.01


@pytest.mark.slow
def test_the_page_has_every_part(evidence):
    page = cuda_document(evidence[1])
    assert "A rehearsal without a GPU" in page
    assert all(f"## {heading}" in page for heading in HEADINGS.values())


def fail(context):
    raise RuntimeError("no such kernel")


def test_a_part_fails_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(cuda.PARTS, "training", Part(fail))
    path = tmp_path / "cuda.json"
    only = ["--only", "training", "host", "--in-process", "--out", str(path)]
    assert cuda.main([*QUICK, *only]) == 1
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
    assert "no such kernel" in parts["training"]["error"]
    assert "result" in parts["host"]
    assert "**failed** | RuntimeError: no such kernel" in capsys.readouterr().out


def test_a_part_in_its_own_process(capsys):
    assert cuda.main([*QUICK, "--only", "host"]) == 0
    assert "ONNX Runtime's providers" in capsys.readouterr().out


def test_a_heavy_node_on_the_wrong_provider_is_named():
    assigned = {"a (LSTM)": "CPU", "b (Shape)": "CPU", "c (Gather)": "CUDA"}
    assert heavy_elsewhere(assigned, "CUDA") == ["a (LSTM)"]

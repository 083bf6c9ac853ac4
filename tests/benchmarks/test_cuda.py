"""The CUDA evidence without a GPU: on the CPU, and on stub libraries whose logits are zeros."""

import json

import pytest

from benchmarks import cuda, cuda_scoring
from benchmarks.cuda_parts import PARTS, Part
from benchmarks.harness.cuda_page import cuda_document
from benchmarks.harness.providers import heavy_elsewhere

QUICK = ["--device", "cpu", "--quick", "--in-process"]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "cuda.json"
    code = cuda.main([*QUICK, "--out", str(path)])
    return code, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_part_runs(evidence):
    code, body = evidence
    assert body["parts"].keys() == PARTS.keys()
    errors = {name: part["error"] for name, part in body["parts"].items() if "error" in part}
    assert not errors
    assert not any(part["result"]["failed"] for part in body["parts"].values())
    assert code == 0


@pytest.mark.slow
def test_the_page_has_every_part(evidence):
    page = cuda_document(evidence[1])
    assert "A rehearsal without a GPU" in page
    assert all(f"## {part.heading}" in page for part in PARTS.values())


@pytest.mark.slow
def test_a_gpu_that_returns_zeros_fails(rehearse, tmp_path):
    code = "import sys; from benchmarks.cuda import main; sys.exit(main(sys.argv[1:]))"
    only = ("--only", "score", "parity", "opsets", "--quick", "--in-process")
    done = rehearse(code, *only, "--out", tmp_path / "cuda.json")
    assert done.returncode == 1, done.stderr
    parts = json.loads((tmp_path / "cuda.json").read_text(encoding="utf-8"))["parts"]
    assert "all 40 scores are alike" in parts["score"]["result"]["failed"]
    # What is left of the logits is the n-grams' share, which the CPU computes.
    failed = parts["parity"]["result"]["failed"]
    assert any(line.startswith("CUDAExecutionProvider: 40 of 40 logits differ") for line in failed)
    assert any("opset 17: logits" in line for line in parts["opsets"]["result"]["failed"])
    assert "**failed** | all 40 scores are alike" in done.stdout


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_budget(rehearse, tmp_path):
    code = "import sys; from benchmarks.cuda import main; sys.exit(main(sys.argv[1:]))"
    only = ("--only", "out-of-memory", "--quick", "--in-process")
    rehearse(code, *only, "--out", tmp_path / "cuda.json")
    part = json.loads((tmp_path / "cuda.json").read_text(encoding="utf-8"))["parts"]
    assert part["out-of-memory"]["result"]["halvings"]


def test_both_networks_take_training_steps():
    assert cuda.main([*QUICK, "--only", "training"]) == 0


def fail(context):
    raise RuntimeError("no such kernel")


def test_a_part_fails_alone_and_the_rest_is_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cuda_scoring, "refusals", fail)
    path = tmp_path / "cuda.json"
    assert cuda.main([*QUICK, "--only", "refusals", "host", "--out", str(path)]) == 1
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
    assert "no such kernel" in parts["refusals"]["error"]
    assert "result" in parts["host"]
    assert "**failed** | RuntimeError: no such kernel" in capsys.readouterr().out


def test_what_is_done_is_written_before_the_next_part_begins(monkeypatch, tmp_path):
    path, seen = tmp_path / "cuda.json", []

    def look(context):
        seen.extend(json.loads(path.read_text(encoding="utf-8"))["parts"])
        raise RuntimeError

    monkeypatch.setattr(cuda_scoring, "refusals", look)
    cuda.main([*QUICK, "--only", "host", "refusals", "--out", str(path)])
    assert seen == ["host"]


def test_a_part_has_a_bound_in_time(monkeypatch, capsys):
    monkeypatch.setitem(cuda.PARTS, "host", Part("Host", PARTS["host"].where, 0.05))
    assert cuda.main(["--device", "cpu", "--quick", "--only", "host"]) == 1
    assert "stopped after 0 s" in capsys.readouterr().out
    assert cuda.main([*QUICK, "--only", "host", "--limit", "0"]) == 1
    assert "not started: 0 s were over" in capsys.readouterr().out


@pytest.mark.slow
def test_a_part_in_its_own_process(capsys):
    assert cuda.main(["--device", "cpu", "--quick", "--only", "host"]) == 0
    assert "ONNX Runtime's providers" in capsys.readouterr().out


def test_a_heavy_node_on_the_wrong_provider_is_named():
    assigned = {"a (LSTM)": "CPU", "b (Shape)": "CPU", "c (Gather)": "CUDA"}
    assert heavy_elsewhere(assigned, "CUDA") == ["a (LSTM)"]

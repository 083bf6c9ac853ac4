"""CUDA: what is missing is named, and what the provider asks of a device, on stub libraries."""

import re
import shutil
from collections import defaultdict

import pytest

import infer.model.cuda
from infer.model.cuda import CUDA, cuda_problem, wheel_conflict
from infer.model.session import CPU

OPEN = """
import sys
from pathlib import Path
from infer.base.errors import SentError
from infer.model.session import Session
try:
    session = Session(Path(sys.argv[1]).read_bytes(), sys.argv[2])
except SentError as error:
    sys.exit(f"{error}")
print(session.provider, session.reason, session.batch_tokens)
"""

RUN_TOGETHER = """
import sys, threading
from pathlib import Path
import numpy as np
from infer.model.session import Session
session = Session(Path(sys.argv[1]).read_bytes(), "cuda")
both = threading.Barrier(session.at_once, timeout=30)
def run(batch):
    both.wait()
    return session.run(*batch)
batch = np.full((300, 40), 2, np.int64), np.full(300, 40, np.int32)
with session.side_by_side() as executor:
    print(session.at_once, [len(logits) for logits in executor.map(run, [batch] * session.at_once)])
"""


def test_a_build_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(infer.model.cuda.ort, "get_available_providers", lambda: [CPU])
    assert "was built without CUDA" in cuda_problem()


def test_both_wheels_at_once_are_told(tmp_path, monkeypatch):
    for folder, name in (("a", "onnxruntime"), ("b", "onnxruntime_gpu"), ("c", "onnxruntime")):
        (tmp_path / folder / f"{name}-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "c" / "onnxruntime_gpu-1.0.dist-info").mkdir()
    for info in tmp_path.glob("*/*"):
        name = info.name.removesuffix("-1.0.dist-info").replace("_", "-")
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.setattr(infer.model.cuda.sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert wheel_conflict() is None  # the first folder on the path is the one that is used
    monkeypatch.setattr(infer.model.cuda.sys, "path", [str(tmp_path / "c")])
    assert "pip uninstall onnxruntime onnxruntime-gpu" in wheel_conflict()


def test_cuda_is_taken_and_nothing_is_said_on_stderr(rehearse, model_path):
    for device, reason in (("cuda", "asked for"), ("cuda:0", "asked for"), ("auto", "CUDA works")):
        done = rehearse(OPEN, model_path, device)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{CUDA} {reason}")


@pytest.mark.parametrize(
    ("device", "settings", "said"),
    [
        ("cuda", {"FAKE_DEVICES": 0}, "no CUDA device is visible here"),
        ("cuda", {"FAKE_ERR_COUNT": 100}, "no CUDA device is visible here"),
        ("cuda", {"FAKE_DRIVER": 12040}, "driver is too old: it knows CUDA 12.4"),
        ("cuda", {"FAKE_ERR_COUNT": 35}, "driver is too old for CUDA 13"),
        ("cuda", {"FAKE_ERR_COUNT": 999}, "CUDA failed with error 999"),
        ("cuda:3", {}, "there is only cuda:0 here"),
        ("cuda:3", {"FAKE_DEVICES": 2}, "there is cuda:0 to cuda:1 here"),
        ("cuda", {"FAKE_ERR_SETDEVICE": 46}, "CUDA failure 46"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_own_line(rehearse, model_path, device, settings, said):
    done = rehearse(OPEN, model_path, device, **settings)
    assert done.returncode == 1
    assert done.stderr.startswith(f"--device {device}: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "--device cpu" in done.stderr


def test_auto_takes_the_cpu_and_says_why(rehearse, model_path):
    done = rehearse(OPEN, model_path, "auto", FAKE_DRIVER=12040)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{CPU} the NVIDIA driver is too old")


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("libcuda.so.1", "no NVIDIA driver (libcuda.so.1"),
        ("libcublas.so.13", "a CUDA library is missing (libcublas.so.13"),
        ("libcudnn.so.9", "cuDNN is missing (libcudnn.so.9"),
    ],
)
def test_a_missing_library_is_named(rehearse, stub_cuda, model_path, tmp_path, library, said):
    shutil.copytree(stub_cuda, tmp_path / "lib")
    (tmp_path / "lib").chmod(0o755)
    (tmp_path / "lib" / library).unlink()
    done = rehearse(OPEN, model_path, "cuda", lib=tmp_path / "lib")
    if done.returncode == 0:
        pytest.skip(f"this host has a {library} of its own")
    assert said in done.stderr
    assert library == "libcuda.so.1" or f"LD_LIBRARY_PATH ({tmp_path / 'lib'})" in done.stderr


def test_libraries_in_another_site_packages_are_found(rehearse, stub_cuda, model_path, tmp_path):
    """As where ONNX Runtime was installed with `pip --target` beside PyTorch's own libraries."""
    wheels, driver = tmp_path / "site", tmp_path / "driver"
    for library in stub_cuda.iterdir():
        package = "cudnn" if "cudnn" in library.name else "cu13"
        place = driver if library.name == "libcuda.so.1" else wheels / "nvidia" / package / "lib"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    code = f"import sys; sys.path.append({str(wheels)!r})\n" + OPEN
    done = rehearse(code, model_path, "cuda", lib=driver)
    assert (done.returncode, done.stderr) == (0, "")
    (wheels / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9").unlink()
    done = rehearse(code, model_path, "cuda", lib=driver)
    assert f"NVIDIA's wheels ({wheels / 'nvidia' / 'cu13' / 'lib'}, " in done.stderr


def test_the_budget_is_what_the_memory_holds(rehearse, model_path):
    budgets = {}
    for mebibytes in (100, 2_000, 6_000, 81_000):
        done = rehearse(OPEN, model_path, "cuda", FAKE_TOTAL_MIB=mebibytes)
        budgets[mebibytes] = int(done.stdout.split()[-1])
    assert budgets == {100: 2_048, 2_000: 16_384, 6_000: 65_536, 81_000: 262_144}


def test_a_card_without_room_for_the_model(rehearse, model_path):
    done = rehearse(OPEN, model_path, "cuda", FAKE_TOTAL_MIB=0)
    assert done.stderr == (
        "--device cuda: the GPU has no room for the model (0 MiB are free). End what else uses it, "
        "or use --device cpu\n"
    )


def test_batches_at_once_have_streams_of_their_own(rehearse, model_path, tmp_path):
    log = tmp_path / "cuda.log"
    done = rehearse(RUN_TOGETHER, model_path, FAKE_LOG=log)
    assert (done.stdout, done.stderr) == ("2 [300, 300]\n", "")
    threads = defaultdict(set)
    for line in log.read_text(encoding="utf-8").splitlines():
        if found := re.search(r"^\S+ (\S+) LAUNCH\[(0x\w+)\]", line):
            threads[found[2]].add(found[1])
    assert len(threads) == 2
    assert all(len(names) == 1 for names in threads.values())

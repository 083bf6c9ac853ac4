"""Devices: honoured or an error, and out of memory told apart."""

import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import infer.model.session
from infer.base.errors import DeviceError, ModelFileError, SentError, UsageError
from infer.model.cuda import CUDA, cuda_problem
from infer.model.session import CPU, DEFAULT_BATCH_TOKENS, Session

needs_no_cuda = pytest.mark.skipif(cuda_problem() is None, reason="CUDA works here")
BATCH = np.array([[2, 4], [3, 0]], np.int64), np.array([2, 1], np.int32)


def test_the_cpu(model):
    session = Session(model.data, "cpu")
    assert session.provider == CPU
    assert session.batch_tokens == DEFAULT_BATCH_TOKENS[CPU]
    logits = session.run(*BATCH)
    assert logits.shape == (2,)
    assert logits.dtype == np.float32


def test_padding_and_batch_mates_do_not_matter(session):
    ids, lengths = BATCH
    alone = np.concatenate(
        [session.run(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    )
    padded = np.concatenate((ids, np.zeros((2, 7), np.int64)), axis=1)
    np.testing.assert_allclose(session.run(*BATCH), alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(session.run(padded, lengths), alone, rtol=0, atol=1e-6)


def test_batches_run_side_by_side(model):
    session = Session(model.data, threads=2)
    both = threading.Barrier(2, timeout=30)

    def run(batch):
        both.wait()  # only both together get past it
        return session.run(*batch)

    with session.side_by_side() as executor:
        found = list(executor.map(run, [BATCH] * 4))
    for logits in found:
        np.testing.assert_array_equal(logits, session.run(*BATCH))


def test_what_has_not_begun_is_not_begun_after_the_block(model):
    begun = []
    held = threading.Event()

    def work(number):
        begun.append(number)
        held.wait(30)

    with Session(model.data, threads=1).side_by_side() as executor:
        futures = [executor.submit(work, number) for number in range(3)]
        while not begun:
            time.sleep(0.001)
        threading.Timer(0.2, held.set).start()
    assert begun == [0]
    assert [future.cancelled() for future in futures] == [False, True, True]


@needs_no_cuda
def test_cuda_is_honoured_or_an_error(model):
    for device in ("cuda", "cuda:0"):
        with pytest.raises(DeviceError, match=rf"--device {device}: .*--device cpu"):
            Session(model.data, device)


@needs_no_cuda
def test_auto_says_what_it_chose_and_why(model):
    session = Session(model.data, "auto")
    assert session.provider == CPU
    # It ran on the CPU: advice to use that would be none.
    assert session.reason in cuda_problem()
    assert "--device cpu" not in session.reason


@pytest.mark.gpu
@pytest.mark.skipif(cuda_problem() is not None, reason="CUDA does not work here")
def test_cuda_where_it_works(model):
    session = Session(model.data, "auto")
    assert session.provider == CUDA
    np.testing.assert_allclose(
        session.run(*BATCH), Session(model.data, "cpu").run(*BATCH), atol=1e-2
    )


def test_a_silent_fallback_to_the_cpu_is_an_error(model, monkeypatch):
    """What is looked for first finds nothing wrong, and ONNX Runtime takes the CPU all the same."""
    monkeypatch.setattr(infer.model.session, "cuda_problem", lambda index: None)
    with pytest.raises(DeviceError, match="fell back to the CPU"):
        Session(model.data, "cuda")
    session = Session(model.data, "auto")
    assert (session.provider, session.tf32) == (CPU, False)
    assert "fell back to the CPU" in session.reason


def test_a_gpu_that_fails_is_told_and_nothing_is_printed(model, monkeypatch, capfd):
    """ONNX Runtime's wrapper would print on stdout, and take the CPU in silence."""
    create = infer.model.session.ort.InferenceSession._create_inference_session

    def fail_on_cuda(session, providers, *rest):
        if len(providers) > 1:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        create(session, providers, *rest)

    monkeypatch.setattr(infer.model.session, "cuda_problem", lambda index: None)
    monkeypatch.setattr(
        infer.model.session.ort.InferenceSession, "_create_inference_session", fail_on_cuda
    )
    with pytest.raises(DeviceError, match=r"--device cuda: CUDA failed: .* no CUDA-capable device"):
        Session(model.data, "cuda")
    session = Session(model.data, "auto")
    assert session.provider == CPU
    assert "no CUDA-capable device" in session.reason
    assert capfd.readouterr().out == ""


def test_int8_on_cuda(model):
    with pytest.raises(DeviceError, match="int8 models have no CUDA kernels"):
        Session(model.data, "cuda", precision="int8")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_a_device_that_is_none(model, device):
    with pytest.raises(UsageError):
        Session(model.data, device)


def test_a_model_that_is_none(model):
    with pytest.raises(ModelFileError):
        Session(b"no model")


def test_other_errors_are_not_taken_for_a_lack_of_memory(session):
    with pytest.raises(SentError, match=r"ONNX Runtime failed on \(2, 2\) tokens") as caught:
        session.run(BATCH[0] + 1_000, BATCH[1])
    assert type(caught.value) is SentError


NO_ROOM = """
import resource, sys
from pathlib import Path
import numpy as np
from infer.model.session import OutOfMemoryError, Session
session = Session(Path(sys.argv[1]).read_bytes(), threads=1)
def run(rows):
    session.run(np.full((rows, 1000), 2, np.int64), np.full(rows, 1000, np.int32))
run(1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
try:
    run(10_000)
except OutOfMemoryError as error:
    sys.stdout.write(str(error))
run(10)  # and it goes on
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit on memory here")
def test_a_real_lack_of_memory_is_recognised(model_path):
    command = [sys.executable, "-c", NO_ROOM, str(model_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "no room on CPUExecutionProvider for a batch of (10000, 1000) tokens"

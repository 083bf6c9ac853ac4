"""ONNX Runtime on the device that was asked for, or an error that says why not.

ONNX Runtime falls back to the CPU in silence when a CUDA library is missing, and lists providers
that its build knows rather than those that work here. So the reason is looked for first (driver,
wheel, libraries), and the session's own providers are checked after it is made.
"""

import contextlib
import ctypes
import importlib.metadata
import io
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from infer.base.cores import cores
from infer.base.device import Device
from infer.base.errors import DeviceError, ModelFileError, SentError
from infer.model.file import INPUT_IDS, LENGTHS, LOGITS

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Padded tokens in a batch: benchmarks/batching.py sweeps them. On the CPU a batch has to fit the
# cache; a GPU wants work.
DEFAULT_BATCH_TOKENS: Final = {CPU: 2_048, CUDA: 131_072}
_INSTALL_CUDA = (
    "Install the CUDA libraries from the toolkit's folder: pip install -c constraints.txt "
    "'.[cuda]', or use --device cpu"
)
_OUT_OF_MEMORY: Final = (
    "out of memory",
    "failed to allocate memory",
    "bad_alloc",
    "alloc_failed",
    "bad allocation",
)


class OutOfMemoryError(SentError):
    """The device had no room for a batch; a smaller one may fit."""


class Session:
    """A model file's graph on one device.

    Attributes:
        provider: ONNX Runtime's name of the provider that was made, `CUDAExecutionProvider` or
            `CPUExecutionProvider`.
        reason: why that one, in words.
        tf32: whether matrix products round their inputs to TF32.
        at_once: batches that may run side by side.
    """

    def __init__(
        self,
        data: bytes,
        device: str = "cpu",
        threads: int = 0,
        precision: str = "fp32",
        tf32: bool = True,
    ) -> None:
        """Make the session from a checked model file's bytes.

        Args:
            data: the model file (see `infer.model.file.read_model_file`).
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: CPU cores to use, 0 = all. Each runs batches of its own: two threads within
                an operator wait for each other at every token, and take up to 1.7 times as long.
            precision: the model card's precision; `int8` has no CUDA kernels.
            tf32: on CUDA, let matrix products round their inputs to TF32.

        Raises:
            DeviceError: the device cannot be had; the message says why.
            ModelFileError: ONNX Runtime refuses the graph.
        """
        wanted = Device.parse(device)
        self._session, self.reason = _open(data, wanted, precision, tf32)
        self.provider: str = self._session.get_providers()[0]
        self.tf32 = tf32 and self.provider == CUDA
        self.at_once = (threads or cores()) if self.provider == CPU else 1

    def run(
        self, input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Compute a batch's logits.

        Args:
            input_ids: (B, T) int64, padded behind each row.
            lengths: (B,) int32 from 1 to T.

        Returns:
            (B,) float32.

        Raises:
            OutOfMemoryError: the device has no room for the batch.
        """
        try:
            feeds = {INPUT_IDS: input_ids, LENGTHS: lengths}
            logits: npt.NDArray[np.float32] = self._session.run([LOGITS], feeds)[0]
        except Exception as error:
            text = _one_line(error)
            if isinstance(error, MemoryError) or any(w in text.lower() for w in _OUT_OF_MEMORY):
                raise OutOfMemoryError(
                    f"no room on {self.provider} for a batch of {input_ids.shape} tokens"
                ) from error
            raise SentError(f"ONNX Runtime failed on {input_ids.shape} tokens: {text}") from error
        return logits

    @contextmanager
    def side_by_side(self) -> Iterator[Executor]:
        """Give an executor with a thread for each batch that may run at once.

        What has not begun when the block is left is not begun any more.
        """
        executor = ThreadPoolExecutor(self.at_once, "session")
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


def cuda_problem() -> str | None:
    """Return why CUDA cannot be used here, with the remedy, or None."""
    if CUDA not in ort.get_available_providers():
        return (
            f"this ONNX Runtime ({ort.__version__}) was built without CUDA. Install the GPU wheel: "
            "pip install onnxruntime-gpu (and uninstall onnxruntime), or use --device cpu"
        )
    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if (missing := _cannot_load(driver)) is not None:
        return f"no NVIDIA driver ({missing}). Use --device cpu, or run on a host with a GPU"
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        ort.preload_dlls()
    if sys.platform != "win32":
        library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
        missing = _cannot_load(str(library))
        if missing is not None and "undefined symbol" not in missing:
            return f"a CUDA library is missing ({missing}). {_INSTALL_CUDA}"
    return None


def wheel_conflict() -> str | None:
    """Return a warning when both wheels of ONNX Runtime are installed, else None."""
    names = ("onnxruntime", "onnxruntime-gpu")
    if not all(_installed(name) for name in names):
        return None
    return (
        "both onnxruntime and onnxruntime-gpu are installed; they overwrite each other's files "
        "and CUDA may be lost. Remedy: pip uninstall onnxruntime onnxruntime-gpu, then "
        "pip install onnxruntime-gpu"
    )


def _open(
    data: bytes, wanted: Device, precision: str, tf32: bool
) -> tuple[ort.InferenceSession, str]:
    """Make ONNX Runtime's session on the device that is wanted, and say why on that one."""
    if wanted.kind == "cpu":
        return _make(data, [CPU]), "asked for"
    problem = (
        "int8 models have no CUDA kernels. Score them with --device cpu, or export with "
        "--precision fp16"
        if precision == "int8"
        else cuda_problem()
    )
    if problem is None:
        cuda = {
            "device_id": wanted.index,
            "use_tf32": int(tf32),
            # Every batch has another shape: powers of two would double what each one takes.
            "arena_extend_strategy": "kSameAsRequested",
        }
        try:
            session = _make(data, [(CUDA, cuda), CPU])
        except ModelFileError as error:  # a GPU that is hidden or full; the CPU will tell
            problem = f"CUDA failed: {error}. Use --device cpu"
        else:
            if session.get_providers()[0] == CUDA:
                return session, "asked for" if wanted.kind == "cuda" else "CUDA works here"
            problem = "ONNX Runtime fell back to the CPU without a reason. Use --device cpu"
    if wanted.kind == "cuda":
        raise DeviceError(f"--device cuda: {problem}")
    return _make(data, [CPU]), problem


def _make(data: bytes, providers: list[Any]) -> ort.InferenceSession:
    """Make a session that raises where ONNX Runtime's wrapper would print and take the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False  # every batch has another shape
    options.log_severity_level = 4  # every error is raised, and told in one line
    try:
        return ort.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no other base class
        raise ModelFileError(f"ONNX Runtime refuses the graph: {_one_line(error)}") from error


def _cannot_load(library: str) -> str | None:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]

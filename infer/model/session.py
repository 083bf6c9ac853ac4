"""ONNX Runtime on the device that was asked for, or an error that says why not.

ONNX Runtime falls back to the CPU in silence when a CUDA library is missing. So the reason is
looked for first (`infer.model.cuda`), and the session's own providers are checked after it is made.
"""

import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from infer.base.cores import cores
from infer.base.device import Device
from infer.base.errors import DeviceError, ModelFileError, SentError
from infer.model.cuda import CUDA, cuda_problem, free_memory
from infer.model.interface import INPUT_IDS, LENGTHS, LOGITS

CPU: Final = "CPUExecutionProvider"
# Padded tokens in a batch: benchmarks/batching.py sweeps them. On the CPU a batch has to fit the
# cache; a GPU wants work, as much as its memory holds.
DEFAULT_BATCH_TOKENS: Final = {CPU: 2_048, CUDA: 262_144}
# On CUDA one batch is computed while the next is copied; ONNX Runtime gives each a stream.
CUDA_AT_ONCE: Final = 2
# Device memory that a token takes, rounded up: 19,333 MiB were in use with two batches of 262,144
# tokens at once (benchmarks/results/cuda.json).
BYTES_PER_TOKEN: Final = 40_000
_OUT_OF_MEMORY: Final = (
    "out of memory",
    "failed to allocate memory",
    "bad_alloc",
    "alloc_failed",
    "bad allocation",
)
_CUDA_FAILURE: Final = re.compile(r"(CUDA|CUDNN|CUBLAS) failure \w+: [^;]*")


class OutOfMemoryError(SentError):
    """The device had no room for a batch; a smaller one may fit."""


class Session:
    """A model file's graph on one device.

    Attributes:
        provider: ONNX Runtime's name of the provider that was made, `CUDAExecutionProvider` or
            `CPUExecutionProvider`.
        reason: why that one, in words.
        providers: the providers that were asked for, with CUDA's options.
        tf32: whether matrix products round their inputs to TF32.
        label: provider and rounding, as reports name them.
        at_once: batches that may run side by side.
        batch_tokens: padded tokens that a batch may hold here, unless another number is asked for.
    """

    def __init__(
        self,
        data: bytes,
        device: str = "cpu",
        threads: int = 0,
        precision: str = "fp32",
        tf32: bool = True,
        sharing: int = 1,
    ) -> None:
        """Make the session from a checked model file's bytes.

        Args:
            data: the model file (see `infer.model.file.read_model_file`).
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: CPU cores to use, 0 = all. Each runs batches of its own: two threads within
                an operator wait for each other at every token, and take up to 1.7 times as long.
            precision: the model card's precision; `int8` has no CUDA kernels.
            tf32: on CUDA, let matrix products round their inputs to TF32.
            sharing: how many processes share the device, each with such a session.

        Raises:
            DeviceError: the device cannot be had; the message says why.
            ModelFileError: ONNX Runtime refuses the graph.
        """
        wanted = Device.parse(device)
        self._session, self.reason = _open(data, wanted, precision, tf32)
        self.provider: str = self._session.get_providers()[0]
        self.providers = _providers(wanted, tf32) if self.provider == CUDA else [CPU]
        self.tf32 = tf32 and self.provider == CUDA
        self.label = f"{self.provider}, TF32" if self.tf32 else self.provider
        self.at_once = (threads or cores()) if self.provider == CPU else CUDA_AT_ONCE
        self.batch_tokens = default_batch_tokens(
            self.provider, wanted.index, self.at_once * sharing
        )
        self._giving_back = _giving_back(f"gpu:{wanted.index}") if self.provider == CUDA else None

    def run(
        self,
        input_ids: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int32],
        give_back: bool = False,
    ) -> npt.NDArray[np.float32]:
        """Compute a batch's logits.

        Args:
            input_ids: (B, T) int64, padded behind each row.
            lengths: (B,) int32 from 1 to T.
            give_back: return the device memory that is held for later batches, at the end.

        Returns:
            (B,) float32, or (B, K) of more than two labels.

        Raises:
            OutOfMemoryError: the device has no room for the batch.
        """
        try:
            feeds = {INPUT_IDS: input_ids, LENGTHS: lengths}
            options = self._giving_back if give_back else None
            logits: npt.NDArray[np.float32] = self._session.run([LOGITS], feeds, options)[0]
        except Exception as error:
            text = _one_line(error)
            if isinstance(error, MemoryError) or _is_out_of_memory(text):
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


def default_batch_tokens(provider: str, index: int, at_once: int) -> int:
    """Return the padded tokens that a batch may hold: on CUDA what the free memory has room for.

    It is a power of two, so that it stays the same when the card is nearly as free as before.
    """
    most = DEFAULT_BATCH_TOKENS[provider]
    free = free_memory(index) if provider == CUDA else None
    if free is None:
        return most
    room = max(DEFAULT_BATCH_TOKENS[CPU], free // (at_once * BYTES_PER_TOKEN))
    return min(most, 1 << (room.bit_length() - 1))


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
        else cuda_problem(wanted.index)
    )
    if problem is None:
        try:
            session = _make(data, _providers(wanted, tf32))
        except ModelFileError as error:  # a GPU that is full or fails; the CPU will tell
            problem = _refusal(str(error), wanted.index)
        else:
            if session.get_providers()[0] == CUDA:
                return session, "asked for" if wanted.kind == "cuda" else "CUDA works here"
            problem = "ONNX Runtime fell back to the CPU without a reason. Use --device cpu"
    if wanted.kind == "cuda":
        raise DeviceError(f"--device {wanted}: {problem}")
    # Nobody asked for CUDA, so that the reason is told without the remedy.
    return _make(data, [CPU]), problem.partition(". ")[0]


def _providers(wanted: Device, tf32: bool) -> list[Any]:
    """Return CUDA with its options, and the CPU for the few nodes that shape arithmetic needs.

    The memory arena grows by powers of two, as it does unless told otherwise: blocks of exactly
    what was asked for suit no batch of another shape, and took twice the memory.
    """
    return [(CUDA, {"device_id": wanted.index, "use_tf32": int(tf32)}), CPU]


def _giving_back(device: str) -> ort.RunOptions:
    """Return options of a run that shrinks the memory arena of a device when it ends."""
    options = ort.RunOptions()
    options.log_severity_level = 4
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", device)
    return options


def _refusal(text: str, index: int) -> str:
    """Say why CUDA, which is all there, made no session."""
    if not _is_out_of_memory(text):
        return f"CUDA failed: {text}. Use --device cpu"
    free = free_memory(index)
    room = "" if free is None else f" ({free >> 20:,} MiB are free)"
    return f"the GPU has no room for the model{room}. End what else uses it, or use --device cpu"


def _make(data: bytes, providers: list[Any]) -> ort.InferenceSession:
    """Make a session that raises where ONNX Runtime's wrapper would print and take the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False  # every batch has another shape
    options.log_severity_level = 4  # every error is raised, and told in one line
    ort.set_default_logger_severity(4)  # what is said outside any session, in colour
    try:
        return ort.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors share no other base class
        raise ModelFileError(f"ONNX Runtime refuses the graph: {_one_line(error)}") from error


def _is_out_of_memory(text: str) -> bool:
    return any(words in text.lower() for words in _OUT_OF_MEMORY)


def _one_line(error: Exception) -> str:
    """Return ONNX Runtime's words without the C++ around them, where CUDA's own are in them."""
    text = " ".join(str(error).split())
    failure = _CUDA_FAILURE.search(text)
    return (failure.group() if failure else text)[:500]

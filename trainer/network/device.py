"""The device that was asked for, or an error; seeds, threads and precision."""

import random

import numpy as np
import torch
from torch import nn

from infer.base.cores import cores
from infer.base.device import Device
from infer.base.errors import DeviceError
from infer.base.words import counted


def choose_device(name: str) -> torch.device:
    """Return the device that `name` asks for.

    Args:
        name: `auto` (CUDA where it can be used, else the CPU), `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: the name is none of these.
        DeviceError: CUDA was asked for and cannot be had; the message holds the reason.
    """
    wanted = Device.parse(name)
    if wanted.kind == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if wanted.kind == "cuda":
        _check_cuda(name, wanted.index)
    return torch.device(name)


def _check_cuda(name: str, index: int) -> None:
    remedy = "Use --device auto or --device cpu."
    if torch.version.cuda is None:
        raise DeviceError(
            f"device {name}: this PyTorch ({torch.__version__}) is built without CUDA. {remedy}"
        )
    if not torch.cuda.is_available():
        raise DeviceError(f"device {name}: no CUDA device or no working driver here. {remedy}")
    if index >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name}: there are {torch.cuda.device_count()} CUDA devices, "
            f"numbered from 0. {remedy}"
        )


def describe(device: torch.device) -> str:
    """Return the device's name as a person knows it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({counted(torch.get_num_threads(), 'thread')})"


def set_threads(threads: int | None) -> None:
    """Use `threads` CPU threads; None: all cores that this process may use."""
    torch.set_num_threads(cores() if threads is None else threads)


def prepare_thread(threads: int) -> None:
    """Make a thread beside the main one compute as that does, with `threads` of its own."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def check_precision(precision: str, device: torch.device) -> None:
    """Try an LSTM in the precision: PyTorch finds out only then that a processor lacks bf16.

    Raises:
        DeviceError: the device cannot compute in it.
    """
    if precision == "tf32" and device.type != "cuda":
        raise DeviceError(f"precision tf32: {device} has none, CUDA has. Use --precision fp32")
    if precision == "bf16" and device.type == "cuda":
        raise DeviceError(
            "precision bf16: on CUDA PyTorch's autocast computes the LSTM in half precision "
            "whatever is asked for, and its small gradients are lost. Use --precision tf32"
        )
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            nn.LSTM(1, 1, device=device)(torch.zeros(1, 1, 1, device=device))
    except RuntimeError as error:
        raise DeviceError(
            f"precision {precision}: {device} cannot compute an LSTM in it ({error}). "
            "Use --precision fp32"
        ) from error


def set_precision(precision: str) -> None:
    """Let CUDA's matrix products and LSTM kernels use TF32, or hold them to float32."""
    # The newer switches (`fp32_precision`) leave cuDNN's flags at odds with each other, which
    # torch.onnx.export then stumbles over in the same process.
    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    # Saturated gates leave gradients below 1e-38, on which x86 cores are many times slower.
    torch.set_flush_denormal(True)


def seed_of(*numbers: int) -> int:
    """Mix the run's seed and further numbers into one seed of 32 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def seed_everything(seed: int, epoch: int) -> None:
    """Seed Python, numpy and PyTorch from (seed, epoch), so that any epoch can be run again."""
    state = seed_of(seed, epoch)
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002 - libraries may draw from the old generator
    torch.manual_seed(state)

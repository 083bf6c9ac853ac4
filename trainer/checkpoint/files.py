"""Tensors and JSON objects as files: what a checkpoint is made of, read with the faults named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from infer.base.errors import ModelFileError


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, each with storage of its own, on the CPU."""
    own = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    path.write_bytes(save(own))  # `save_file` would make a file that only its owner can read


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelFileError: the file is missing or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error
    if not isinstance(values, dict):
        raise ModelFileError(f"{path}: {type(values).__name__}, expected an object")
    return values


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file to the CPU.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module with weights of exactly its names, shapes and type.

    Raises:
        ModelFileError: the two differ; the first difference is named.
    """
    expected = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelFileError(
                f"{path}: {name} has shape {found.get(name)}, expected {expected.get(name)}"
            )
        if weights[name].dtype != torch.float32 or not weights[name].isfinite().all():
            raise ModelFileError(f"{path}: {name} is not made of finite float32 numbers")
    module.load_state_dict(dict(weights))

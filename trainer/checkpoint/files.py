"""Tensors and JSON objects as files: what a checkpoint is made of, read with the faults named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from infer.base.errors import ModelFileError
from infer.text.vocabulary import Vocabulary

NOTE: Final = "note"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], note: str | None = None) -> None:
    """Write tensors as safetensors, each with storage of its own, on the CPU.

    Args:
        path: the file.
        tensors: name → tensor.
        note: words that go with them, see `note_of`.
    """
    own = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    # `save_file` would make a file that only its owner can read
    path.write_bytes(save(own, None if note is None else {NOTE: note}))


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


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary, one token a line.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        # `newline=""`: a token is never changed by what a platform takes for a line's end.
        with path.open(encoding="utf-8", newline="") as file:
            return Vocabulary.from_text(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file to the CPU.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: missing or damaged ({error})") from error


def note_of(path: Path) -> str | None:
    """Read the words that go with tensors, and nothing of these.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(NOTE)
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

"""Smaller weights in the same graph: `fp16` and `w8` store them so, `int8` computes with them.

**fp16** stores the embedding and the LSTM's weights in half and casts them to float32 in the
graph; biases and the classifier (a few kB) stay as they are. The LSTM computes in float32: ONNX
Runtime's half LSTM kernels exist on CUDA alone, where cuDNN is given half as its accumulator type
too and PyTorch's reference is not, so no test on a CPU could vouch for them. Stored so, the file
halves, the same numbers come out on both providers, and the rounding is the only difference.

**w8** stores the same weights in 8 bits, with a scale for each column of the embedding and for each
gate's unit, and computes in float32 too: a quarter of the file, on both providers. The n-grams' one
column would have one scale for all; it is stored in half.

**int8** is `exporter.graph.int8`; what it leaves in float32 and is large is stored in half.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from exporter.graph.int8 import (
    MICROSOFT,
    STORED_RANGE,
    Weights,
    cast_behind,
    quantize,
    quantize_columns,
)
from infer.base.errors import ParityError

EMBEDDING: Final = "embedding.weight"


def apply_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Return a copy of an fp32 graph in another precision.

    Args:
        model: from `exporter.graph.build.build_graph`.
        precision: `fp32`, `fp16`, `w8` or `int8`.

    Raises:
        ParityError: a weight does not fit (not finite, or above 65,504 for `fp16`).
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in changed.graph.initializer}
    _check_finite(weights)
    if precision != "fp32":
        nodes = list(changed.graph.node)
        if precision == "int8":
            nodes = quantize(nodes, weights)
        if precision == "w8":
            nodes = [new for node in nodes for new in _store_bytes(node, weights)]
        nodes = [new for node in nodes for new in _halve(node, weights)]
        del changed.graph.node[:], changed.graph.initializer[:]
        changed.graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        changed.graph.initializer.extend(
            numpy_helper.from_array(values, name)
            for name, values in weights.items()
            if name in used
        )
    if any(node.domain == MICROSOFT for node in changed.graph.node):
        changed.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return changed


def _check_finite(weights: Weights) -> None:
    for name, values in weights.items():
        if np.issubdtype(values.dtype, np.floating) and np.isnan(values).any():
            raise ParityError(f"the weight {name} holds NaN, expected numbers. Train again")


def _store_bytes(node: onnx.NodeProto, weights: Weights) -> list[onnx.NodeProto]:
    """Store the embedding or the LSTM's matrices in 8 bits; floats are made where they are used."""
    if node.op_type == "Gather" and node.input[0] == EMBEDDING:
        scale = _scale(weights, EMBEDDING, axis=0)  # (1, E)
        output = node.output[0]
        node, cast = cast_behind(node)
        cast.output[0] = cast.name = f"{output}/multiple"
        return [node, cast, _product(cast.output[0], scale, output)]
    if node.op_type == "LSTM":
        floats = [new for place in (1, 2) for new in _matrix_of_bytes(weights, node, place)]
        return [*floats, node]
    return [node]


def _matrix_of_bytes(
    weights: Weights, node: onnx.NodeProto, place: int
) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """Store one matrix (2, 4H, X) in 8 bits; loading folds away what makes floats of it."""
    stored = node.input[place]
    scale = _scale(weights, stored, axis=2)  # (2, 4H, 1)
    cast, product = f"{stored}/Cast", f"{stored}/Mul"
    node.input[place] = product
    to_float = onnx.helper.make_node("Cast", [stored], [cast], cast, to=onnx.TensorProto.FLOAT)
    return to_float, _product(cast, scale, product)


def _scale(weights: Weights, name: str, axis: int) -> str:
    """Store a weight as multiples of a scale for each slice across `axis`; return its name."""
    weights[name], weights[f"{name}/scale"] = quantize_columns(weights[name], axis, STORED_RANGE)
    return f"{name}/scale"


def _product(one: str, other: str, found: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Mul", [one, other], [found], found)


def _halve(node: onnx.NodeProto, weights: Weights) -> list[onnx.NodeProto]:
    """Store the node's table or matrices in half, with a `Cast` to float32 where they are used."""
    if node.op_type in ("Gather", "GatherElements") and _is_float(weights.get(node.input[0])):
        _store_half(weights, node.input[0])
        return cast_behind(node)
    if node.op_type == "LSTM" and _is_float(weights.get(node.input[1])):
        casts = [_cast_matrix(weights, node, place) for place in (1, 2)]
        return [*casts, node]
    return [node]


def _is_float(values: npt.NDArray[Any] | None) -> bool:
    return values is not None and values.dtype == np.float32


def _cast_matrix(weights: Weights, node: onnx.NodeProto, place: int) -> onnx.NodeProto:
    """Store one matrix in half; the node reads it through a `Cast`, which loading folds away."""
    stored, cast = node.input[place], f"{node.input[place]}/Cast"
    _store_half(weights, stored)
    node.input[place] = cast
    return onnx.helper.make_node("Cast", [stored], [cast], cast, to=onnx.TensorProto.FLOAT)


def _store_half(weights: Weights, name: str) -> None:
    with np.errstate(over="ignore"):
        half = weights[name].astype(np.float16)
    if not np.isfinite(half).all():
        raise ParityError(
            f"the weight {name} reaches {np.abs(weights[name]).max():.3g}, above fp16's largest "
            "number (65,504). Use --precision fp32"
        )
    weights[name] = half

"""Smaller weights in the same graph: `fp16` stores them in half, `int8` computes with them.

**fp16** stores the embedding and the LSTM's weights in half and casts them to float32 in the
graph; biases and the classifier (a few kB) stay as they are. The LSTM computes in float32: ONNX
Runtime's half LSTM kernels exist on CUDA alone, where cuDNN is given half as its accumulator type
too and PyTorch's reference is not, so no test on a CPU could vouch for them. Stored so, the file
halves, the same numbers come out on both providers, and the rounding is the only difference.

**int8** replaces `LSTM` by ONNX Runtime's `DynamicQuantizeLSTM`: both of its matrix products in
integers, weights of 7 bits with a scale for each gate's unit, activations scaled as they come. The
embedding is stored in 8 bits with a scale for each of its columns. The classifier's columns, one
for two labels or one a label, stay in float32: their few kB would save nothing. Written here rather
than by `onnxruntime.quantization`, whose weights have one scale a matrix and which refuses graphs
of the dynamo exporter ("Inferred shape and existing shape differ"). Activations are scaled over the
whole batch, so an int8 score depends a little on its batch-mates; the parity report says how
much.

Legend: E embedding, H hidden size of one direction, V vocabulary.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from infer.base.errors import ParityError

# Symmetric: the lowest number, -128, is not used.
STORED_RANGE: Final = 127
# On x86 without VNNI, ONNX Runtime adds two products of an unsigned and a signed byte in 16 bits
# that saturate (https://github.com/microsoft/onnxruntime/issues/6004): 255 x 127 x 2 does not fit,
# 255 x 63 x 2 does. With the eighth bit the shipped model's logits were off by 0.10 in the mean
# there, without it by 0.013; and a certificate from one processor would not hold on another.
COMPUTED_RANGE: Final = 63
MICROSOFT: Final = "com.microsoft"


def apply_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Return a copy of an fp32 graph in another precision.

    Args:
        model: from `exporter.graph.build.build_graph`.
        precision: `fp32`, `fp16` or `int8`.

    Raises:
        ParityError: a weight does not fit (not finite, or above 65,504 for `fp16`).
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in changed.graph.initializer}
    _check_finite(weights)
    if precision != "fp32":
        convert = {"fp16": _halve, "int8": _quantize}[precision]
        nodes = [new for node in changed.graph.node for new in convert(node, weights)]
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


Weights = dict[str, npt.NDArray[np.generic]]


def _check_finite(weights: Weights) -> None:
    for name, values in weights.items():
        if np.issubdtype(values.dtype, np.floating) and np.isnan(values).any():
            raise ParityError(f"the weight {name} holds NaN, expected numbers. Train again")


def _halve(node: onnx.NodeProto, weights: Weights) -> list[onnx.NodeProto]:
    """Store the node's table or matrices in half, with a `Cast` to float32 where they are used."""
    if node.op_type == "Gather":
        _store_half(weights, node.input[0])
        return _then(node, "Cast", [], to=onnx.TensorProto.FLOAT)
    if node.op_type == "LSTM":
        casts = [_cast_matrix(weights, node, place) for place in (1, 2)]
        return [*casts, node]
    return [node]


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


def _quantize(node: onnx.NodeProto, weights: Weights) -> list[onnx.NodeProto]:
    """Store the node's table or matrices in int8, and compute the LSTM in integers."""
    if node.op_type == "Gather":
        table = node.input[0]
        scale = f"{table}/scale"
        # (V, E) and (1, E)
        weights[table], scales = quantize_columns(weights[table], 0, STORED_RANGE)
        weights[scale] = scales[0]
        # A product takes a quarter of the time of DequantizeLinear along an axis.
        product = _then(node, "Mul", [scale])
        return [*_then(product[0], "Cast", [], to=onnx.TensorProto.FLOAT), product[1]]
    if node.op_type == "LSTM":
        return [_quantize_lstm(node, weights)]
    return [node]


def _quantize_lstm(node: onnx.NodeProto, weights: Weights) -> onnx.NodeProto:
    """Return ONNX Runtime's quantized LSTM for one layer.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    scales_and_zeros: list[str] = []
    for matrix in node.input[1:3]:
        columns = weights[matrix].transpose(0, 2, 1)
        quantized, scales = quantize_columns(columns, 1, COMPUTED_RANGE)
        weights[matrix] = quantized  # (2, E or H, 4H)
        weights[f"{matrix}/scale"] = scales[:, 0]  # (2, 4H)
        weights[f"{matrix}/zero"] = np.zeros_like(scales[:, 0], np.int8)
        scales_and_zeros += [f"{matrix}/scale", f"{matrix}/zero"]
    inputs = [*node.input, "", "", "", *scales_and_zeros]  # no initial states, no peepholes
    quantized_node = onnx.helper.make_node(
        "DynamicQuantizeLSTM", inputs, node.output, node.name, domain=MICROSOFT
    )
    quantized_node.attribute.extend(node.attribute)
    return quantized_node


def quantize_columns(
    values: npt.NDArray[np.generic], axis: int, largest: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round to whole multiples, -`largest` to `largest`, of a scale for each slice across `axis`.

    Args:
        values: float32 of any shape.
        axis: the axis that shares a scale.
        largest: the largest multiple, at most 127.

    Returns:
        The multiples as int8, and the scales with `axis` of length 1; `int8 * scale ≈ values`.
    """
    numbers: npt.NDArray[np.float32] = values.astype(np.float32)
    reach = np.abs(numbers).max(axis=axis, keepdims=True)
    scales = np.maximum(reach / largest, np.finfo(np.float32).tiny)
    return np.rint(numbers / scales).astype(np.int8), scales


def _then(
    node: onnx.NodeProto, operator: str, inputs: list[str], **attributes: Any
) -> list[onnx.NodeProto]:
    """Put an operator behind a node; it takes over the node's output, readers see no change."""
    output, before = node.output[0], f"{node.output[0]}/stored"
    node.output[0] = node.name = before
    follower = onnx.helper.make_node(operator, [before, *inputs], [output], output, **attributes)
    return [node, follower]

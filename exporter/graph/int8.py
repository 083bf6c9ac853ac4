"""int8: matrix products in integers, on scales that no text of a batch can move.

ONNX Runtime's `DynamicQuantizeLSTM` scales its input, and at each token its state, by the smallest
and the largest value in the whole batch: so a score would hang on its batch-mates. Here both ends
stand in every row, wherever it is scored:

- **Input.** The embedding is stored in 8 bits with a scale for each column; the scales go into the
  first layer's weights, so that its input is the stored numbers themselves. Two more columns hold
  -128 and 127 for every token: the scale is 1, and nothing is rounded a second time.
- **State.** Two more units in each direction hold the largest and the smallest value that a state
  can have: their cell never changes. What reads the states has weights of 0 for them. The layers
  behind the first read those ends with the states.

Weights have 7 bits and a scale for each gate's unit; biases and the classifier, a few kB, stay in
float32. Written here rather than by `onnxruntime.quantization`, whose weights have one scale a
matrix and which refuses graphs of the dynamo exporter ("Inferred shape and existing shape differ").

Legend: B batch, E embedding, H hidden size of one direction, S the same with spare units, V
vocabulary, K outputs of the classifier.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx

from infer.model.interface import LENGTHS

Weights = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float32]

# Symmetric: the lowest number, -128, is not used for weights.
STORED_RANGE: Final = 127
# On x86 without VNNI, ONNX Runtime adds two products of an unsigned and a signed byte in 16 bits
# that saturate (https://github.com/microsoft/onnxruntime/issues/6004): 255 x 127 x 2 does not fit,
# 255 x 63 x 2 does. With the eighth bit the shipped model's logits were off by 0.10 in the mean
# there, without it by 0.013; and a certificate from one processor would not hold on another.
COMPUTED_RANGE: Final = 63
MICROSOFT: Final = "com.microsoft"
# The ends of the input's range, as they stand in the table.
ENDS: Final = np.array([-128, 127], np.int8)
# 66 units took longer than 68.
UNITS_AT_ONCE: Final = 4
# Where ONNX Runtime's approximations of tanh and sigmoid are largest, by a rounding above 1: no
# state, sigmoid(output gate) x tanh(cell), lies beyond those of the spare units.
CELL: Final = 8.47554
OPEN: Final = 17.482065
# Input, output, forget, cell: sigmoid(20) = 1 of the cell stays, sigmoid(-20) x tanh(0) = 0 joins.
KEEPING_GATES: Final = (-20.0, OPEN, 20.0, 0.0)
CELLS: Final = "spare/Mul"
CLASSIFIER: Final = "classifier.weight"


def quantize(nodes: list[onnx.NodeProto], weights: Weights) -> list[onnx.NodeProto]:
    """Replace the embedding and the LSTMs of a graph by what computes in integers.

    Args:
        nodes: of the fp32 graph; changed in place.
        weights: its initialisers by name; changed in place.

    Returns:
        The nodes of the int8 graph.
    """
    named = [(node.name, node) for node in nodes]
    layers = [node for node in nodes if node.op_type == "LSTM"]
    table = next(node for node in nodes if layers[0].input[0] in node.output)
    hidden = weights[layers[0].input[2]].shape[2]
    readers = [*(layer.input[1] for layer in layers[1:]), CLASSIFIER]
    weights |= {name: with_spare(weights[name], hidden) for name in readers}
    replaced = {table.name: _store_table(table, layers[0], weights)}
    for layer in layers:
        _add_units(layer, hidden, weights)
        replaced[layer.name] = [_quantize_lstm(layer, weights)]
    kept = [new for name, node in named for new in replaced.get(name, [node])]
    return [*_first_cells(hidden, weights), *kept]


def units(hidden: int) -> int:
    """Return S, the units of a direction of H with the spare ones."""
    return -(-(hidden + len(ENDS)) // UNITS_AT_ONCE) * UNITS_AT_ONCE


def with_spare(values: Floats, hidden: int) -> Floats:
    """Put zeros behind each H numbers of the last axis: (…, n x H) → (…, n x S)."""
    *outer, last = values.shape
    parts = values.reshape(*outer, last // hidden, hidden)
    spare = [(0, 0)] * (parts.ndim - 1) + [(0, units(hidden) - hidden)]
    return np.pad(parts, spare).reshape(*outer, -1)


def without_spare(values: Floats, hidden: int) -> Floats:
    """Take the spare units away: (…, n x S) → (…, n x H)."""
    *outer, last = values.shape
    parts = values.reshape(*outer, last // units(hidden), units(hidden))
    return parts[..., :hidden].reshape(*outer, -1)


def _store_table(
    node: onnx.NodeProto, layer: onnx.NodeProto, weights: Weights
) -> list[onnx.NodeProto]:
    """Store the embedding as multiples of its columns' scales, which go into the first layer."""
    table, matrix = node.input[0], layer.input[1]
    stored, scales = quantize_columns(weights[table], 0, STORED_RANGE)  # (V, E) and (1, E)
    weights[table] = np.hstack((stored, np.tile(ENDS, (len(stored), 1))))
    weights[matrix] = np.pad(weights[matrix] * scales[0], [(0, 0), (0, 0), (0, len(ENDS))])
    return cast_behind(node)


def _add_units(layer: onnx.NodeProto, hidden: int, weights: Weights) -> None:
    """Give both directions the units whose state never changes.

    W (2, 4H, X), R (2, 4H, H), B (2, 8H) → (2, 4S, X), (2, 4S, S), (2, 8S).
    """
    matrix, recurrent, bias = layer.input[1:4]
    for name in (matrix, recurrent):
        weights[name] = with_spare(weights[name].swapaxes(1, 2), hidden).swapaxes(1, 2)
    weights[recurrent] = with_spare(weights[recurrent], hidden)
    weights[bias] = with_spare(weights[bias], hidden)
    gates = weights[bias].reshape(2, 2, 4, -1)  # direction, of W and of R, gate, unit
    gates[:, 0, :, hidden:] = np.array(KEEPING_GATES, np.float32)[:, None]
    (size,) = (attribute for attribute in layer.attribute if attribute.name == "hidden_size")
    size.i = units(hidden)


def _first_cells(hidden: int, weights: Weights) -> list[onnx.NodeProto]:
    """Return the nodes that lay the cells' initial values out for each row: (2, B, S)."""
    cells = np.zeros((2, 1, units(hidden)), np.float32)
    cells[..., hidden : hidden + len(ENDS)] = -CELL, CELL
    weights |= {
        "spare.cells": cells,
        "spare.one": np.ones((), np.float32),
        "spare.axes": np.array([0, 2]),
    }
    float_lengths = onnx.helper.make_node(
        "Cast", [LENGTHS], ["spare/Cast"], "spare/Cast", to=onnx.TensorProto.FLOAT
    )
    ones = (  # (B,), (1, B, 1), (2, B, S)
        ("Clip", ["spare/Cast", "spare.one", "spare.one"], "spare/Clip"),
        ("Unsqueeze", ["spare/Clip", "spare.axes"], "spare/Unsqueeze"),
        ("Mul", ["spare/Unsqueeze", "spare.cells"], CELLS),
    )
    return [
        float_lengths,
        *(onnx.helper.make_node(name, given, [found], found) for name, given, found in ones),
    ]


def _quantize_lstm(node: onnx.NodeProto, weights: Weights) -> onnx.NodeProto:
    """Return ONNX Runtime's quantized LSTM for one layer.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    scales_and_zeros: list[str] = []
    for matrix in node.input[1:3]:
        columns = weights[matrix].swapaxes(1, 2)
        quantized, scales = quantize_columns(columns, 1, COMPUTED_RANGE)
        weights[matrix] = quantized  # (2, X or S, 4S)
        weights[f"{matrix}/scale"] = scales[:, 0]  # (2, 4S)
        weights[f"{matrix}/zero"] = np.zeros_like(scales[:, 0], np.int8)
        scales_and_zeros += [f"{matrix}/scale", f"{matrix}/zero"]
    inputs = [*node.input, "", CELLS, "", *scales_and_zeros]  # no initial states, no peepholes
    quantized_node = onnx.helper.make_node(
        "DynamicQuantizeLSTM", inputs, node.output, node.name, domain=MICROSOFT
    )
    quantized_node.attribute.extend(node.attribute)
    return quantized_node


def cast_behind(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Put a `Cast` to float32 behind a node; it takes over the node's output, as its readers do."""
    output, stored = node.output[0], f"{node.output[0]}/stored"
    node.output[0] = node.name = stored
    cast = onnx.helper.make_node("Cast", [stored], [output], output, to=onnx.TensorProto.FLOAT)
    return [node, cast]


def quantize_columns(
    values: npt.NDArray[Any], axis: int, largest: int
) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round to whole multiples, -`largest` to `largest`, of a scale for each slice across `axis`.

    Args:
        values: float32 of any shape.
        axis: the axis that shares a scale.
        largest: the largest multiple, at most 127.

    Returns:
        The multiples as int8, and the scales with `axis` of length 1; `int8 * scale ≈ values`.
    """
    numbers: Floats = values.astype(np.float32)
    reach = np.abs(numbers).max(axis=axis, keepdims=True)
    scales = np.maximum(reach / largest, np.finfo(np.float32).tiny)
    scales[reach == 0] = 1.0  # products with a number as small as `tiny` are slow
    return np.rint(numbers / scales).astype(np.int8), scales

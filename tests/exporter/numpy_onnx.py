"""A second opinion: the exported graph run in plain numpy, written from ONNX's specification.

https://onnx.ai/onnx/operators/ — one function an operator, in float64, no outside help: what
PyTorch's exporter and ONNX Runtime might get wrong alike, this does not. Quantized operators are
not part of ONNX and are not here.
"""

import numpy as np
from onnx import helper, numpy_helper


def run_graph(model, feeds):
    """Run a model on named arrays and return its first output."""
    values = {"": None, **feeds}
    for tensor in model.graph.initializer:
        values[tensor.name] = numpy_helper.to_array(tensor)
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] for name in node.input]
        outputs = OPERATORS[node.op_type](*inputs, **attributes)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        values.update(zip(node.output, outputs, strict=False))
    return values[model.graph.output[0].name]


def lstm(x, w, r, b, lengths, *, direction, hidden_size):
    """https://onnx.ai/onnx/operators/onnx__LSTM.html, its default activations and layout.

    X (T, B, E), W (2, 4H, E), R (2, 4H, H), B (2, 8H), sequence_lens (B,), gates i, o, f, c.
    Behind a row's end ONNX promises nothing; ONNX Runtime's zeros stand there.
    """
    assert direction == b"bidirectional"
    tokens, rows, _ = x.shape
    every = np.zeros((tokens, 2, rows, hidden_size))
    last = np.zeros((2, rows, hidden_size))
    for row in range(rows):
        own = x[: lengths[row], row].astype(np.float64)
        for d, places in enumerate((range(len(own)), reversed(range(len(own))))):
            h = c = np.zeros(hidden_size)
            for place in places:
                input_bias, state_bias = np.split(b[d], 2)
                gates = own[place] @ w[d].T + h @ r[d].T + input_bias + state_bias
                i, o, f, g = np.split(gates, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                every[place, d, row] = h
            last[d, row] = h
    return every, last


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cast(x, *, to, saturate=1, round_mode=b"up"):
    return np.asarray(x).astype(helper.tensor_dtype_to_np_dtype(to))


def gemm(a, b, c, *, alpha=1.0, beta=1.0, transA=0, transB=0):  # noqa: N803 - ONNX's names
    return alpha * (a.T if transA else a) @ (b.T if transB else b) + beta * c


def reshape(x, shape, *, allowzero=0):
    copied = [x.shape[i] if size == 0 and not allowzero else size for i, size in enumerate(shape)]
    return x.reshape(copied)


def unsqueeze(x, axes):
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def squeeze(x, axes=None):
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes))


def slice_(x, starts, ends, axes, steps):
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


def reduction(function):
    def reduce(x, axes_input=None, *, axes=None, keepdims=1, noop_with_empty_axes=0):
        chosen = axes if axes_input is None else axes_input
        return function(x, axis=tuple(int(axis) for axis in chosen), keepdims=bool(keepdims))

    return reduce


OPERATORS = {
    "Add": np.add,
    "Cast": cast,
    "Concat": lambda *xs, axis: np.concatenate(xs, axis),
    "Div": lambda a, b: a / b,
    "Gather": lambda x, indices, axis=0: np.take(x, indices, axis),
    "GatherElements": lambda x, indices, axis=0: np.take_along_axis(x, indices, axis),
    "Gemm": gemm,
    "LSTM": lstm,
    "Less": lambda a, b: a < b,
    "Range": lambda start, limit, delta: np.arange(start, limit, delta, np.asarray(start).dtype),
    "ReduceMax": reduction(np.max),
    "ReduceSum": reduction(np.sum),
    "Mod": lambda a, b, fmod=0: np.mod(a, b),
    "Mul": np.multiply,
    "Reshape": reshape,
    "Shape": lambda x, start=0, end=None: np.array(x.shape[start:end], np.int64),
    "Slice": slice_,
    "Squeeze": squeeze,
    "Transpose": lambda x, perm: np.transpose(x, perm),
    "Unsqueeze": unsqueeze,
    "Where": np.where,
}

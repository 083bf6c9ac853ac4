"""Half and int8 weights: what they cost in accuracy, what they save in bytes."""

import platform

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from exporter.graph.build import build_graph
from exporter.graph.int8 import CELL, OPEN, quantize_columns
from exporter.graph.precision import apply_precision
from infer.base.errors import ParityError
from infer.model.graph_rules import graph_summary
from infer.model.session import Session


@pytest.fixture(scope="module")
def wide(new_model):
    """A graph whose weights outweigh everything else."""
    return build_graph(new_model(hidden=64), 17)


def logits(model):
    random = np.random.default_rng(5)
    lengths = np.array([40, *random.integers(1, 40, 31)], np.int32)
    return Session(model.SerializeToString(), threads=1).run(
        random.integers(0, 62, (32, 40)), lengths
    )


@pytest.mark.parametrize(
    ("precision", "size", "apart"), [("fp16", 0.53, 0.03), ("w8", 0.3, 0.3), ("int8", 0.33, 0.5)]
)
def test_weights_shrink_and_logits_stay(wide, precision, size, apart):
    smaller = apply_precision(wide, precision)
    onnx.checker.check_model(smaller) if precision != "int8" else None
    assert smaller.ByteSize() < size * wide.ByteSize()
    difference = np.abs(logits(smaller) - logits(wide)).max()
    assert 0 < difference < apart


def test_fp32_is_left_as_it_is(graph):
    assert apply_precision(graph, "fp32").SerializeToString() == graph.SerializeToString()


def test_operators_of_each_precision(graph):
    assert graph_summary(apply_precision(graph, "fp16")) == {
        "Cast": 5, "Gather": 1, "Gemm": 1, "LSTM": 2, "Reshape": 2, "Squeeze": 1, "Transpose": 3,
    }  # fmt: skip
    assert graph_summary(apply_precision(graph, "int8")) == {
        "Cast": 2, "Clip": 1, "DynamicQuantizeLSTM": 2, "Gather": 1, "Gemm": 1, "Mul": 1,
        "Reshape": 2, "Squeeze": 1, "Transpose": 3, "Unsqueeze": 1,
    }  # fmt: skip


@settings(deadline=None)
@example(np.zeros((2, 1), np.float32), 127)
@example(np.full((1, 1), 1e-45, np.float32), 63)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.floats(-1000, 1000, width=32),
    ),
    st.sampled_from([63, 127]),
)
def test_rounding_is_at_most_half_a_step(values, largest):
    quantized, scales = quantize_columns(values, 0, largest)
    assert quantized.dtype == np.int8 and np.abs(quantized).max() <= largest
    assert scales.shape == (1, values.shape[1])
    assert (np.abs(quantized * scales - values) <= 0.501 * scales + 1e-6).all()


def test_no_pair_of_products_leaves_16_bits(wide):
    """Processors without VNNI add pairs of products of activation (0 to 255) and weight there."""
    tensors = {t.name: t for t in apply_precision(wide, "int8").graph.initializer}
    for name in ("layer.0.W", "layer.0.R", "layer.1.W", "layer.1.R"):
        weights = numpy_helper.to_array(tensors[name]).astype(np.int64)  # (2, E or H, 4H)
        assert weights.dtype.kind == "i" and 2 * 255 * np.abs(weights).max() < 2**15


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "int8"])
@pytest.mark.parametrize(
    ("layers", "pooling", "ngrams"), [(2, "last", 0), (1, "max_mean", 3), (2, "max_mean", 0)]
)
def test_the_same_text_has_the_same_bits(new_model, layers, pooling, ngrams, precision):
    """Alone, among others, at any place, and with padding of any length behind it."""
    model = new_model(layers, pooling, hidden=16, ngrams=ngrams)
    graph = apply_precision(build_graph(model, 17), precision)
    session = Session(graph.SerializeToString(), threads=1)
    random = np.random.default_rng(layers)
    lengths = random.integers(1, 40, 500, np.int32)
    ids = random.integers(0, 62, (500, 47))

    def run(rows, tokens):
        return session.run(ids[rows, :tokens].copy(), lengths[rows])

    alone = np.array([run([row], lengths[row])[0] for row in range(500)])
    for rows, tokens in ((1, 47), (2, 40), (7, 41), (33, 39), (500, 47)):
        order = random.permutation(500)
        for start in range(0, 500, rows):
            chosen = order[start : start + rows]
            assert (run(chosen, tokens) == alone[chosen]).all()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other kernels of tanh and sigmoid")
def test_no_state_lies_beyond_the_spare_units():
    """Every float32 where the two functions are about 1."""

    def largest(operator, start, end):
        start, end = np.array([start, end], np.float32).view(np.int32)
        values = np.arange(start, end, dtype=np.int32).view(np.float32)
        return run_operator(operator, values).max()

    held = [
        run_operator(operator, np.full(1, value, np.float32))[0]
        for operator, value in (("Tanh", CELL), ("Sigmoid", OPEN))
    ]
    assert held == [largest("Tanh", 7, 11), largest("Sigmoid", 15, 21)]
    assert run_operator("Sigmoid", np.full(1, 20, np.float32))[0] == 1


def run_operator(operator, values):
    """Run one function of ONNX Runtime."""
    kinds = (onnx.TensorProto.FLOAT, [None])
    node = onnx.helper.make_node(operator, ["x"], ["y"])
    ends = [[onnx.helper.make_tensor_value_info(name, *kinds)] for name in "xy"]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "one", *ends),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": values})[0]


def with_weight(graph, name, value):
    """Return the graph with one element of a weight set."""
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    tensor = next(t for t in changed.graph.initializer if t.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[3] = value
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    return changed


def test_a_weight_beyond_half_is_refused(graph):
    with pytest.raises(ParityError, match=r"layer\.0\.W reaches 7e\+04, above fp16's largest"):
        apply_precision(with_weight(graph, "layer.0.W", 7e4), "fp16")


@pytest.mark.parametrize("precision", ["fp16", "w8", "int8"])
def test_a_weight_that_is_no_number_is_refused(graph, precision):
    with pytest.raises(ParityError, match=r"layer\.1\.R holds NaN"):
        apply_precision(with_weight(graph, "layer.1.R", np.nan), precision)

"""The exported graph: small, named, dynamic, of the opset asked for, and free of this machine."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from exporter.graph.build import check_contract
from exporter.graph.precision import apply_precision
from infer.base.errors import ParityError
from infer.model.graph_rules import graph_summary
from infer.model.session import Session

SEED_OPERATORS = {
    "Gather": 1, "Gemm": 1, "LSTM": 2, "Reshape": 2, "Squeeze": 1, "Transpose": 3,
}  # fmt: skip
MAX_MEAN_OPERATORS = {
    "Add": 1, "Cast": 2, "Concat": 1, "Div": 1, "Gather": 1, "Gemm": 1, "LSTM": 1, "Less": 1,
    "Range": 1, "ReduceMax": 1, "ReduceSum": 1, "Reshape": 1, "Shape": 1, "Squeeze": 2,
    "Transpose": 3, "Unsqueeze": 2, "Where": 1,
}  # fmt: skip


def test_the_articles_model_is_ten_nodes(graph):
    assert graph_summary(graph) == SEED_OPERATORS


def test_nothing_is_computed_that_nothing_reads(graph, pooled_graph):
    """Of an LSTM's outputs, all states and the last ones, each layer keeps the one that is read."""
    lstms = [node for g in (graph, pooled_graph) for node in g.graph.node if node.op_type == "LSTM"]
    assert [[bool(name) for name in node.output] for node in lstms] == [
        [True], [False, True], [True],
    ]  # fmt: skip


def test_max_and_mean_pooling_is_twenty_two_nodes(pooled_graph):
    assert graph_summary(pooled_graph) == MAX_MEAN_OPERATORS


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_behind_a_rows_end_the_runtime_leaves_zeros(pooled_graph, precision):
    """ONNX does not promise it; the mean counts on it."""
    watched = apply_precision(pooled_graph, precision)
    (layer,) = (node for node in watched.graph.node if node.op_type.endswith("LSTM"))
    watched.graph.output.append(
        onnx.helper.make_tensor_value_info(layer.output[0], onnx.TensorProto.FLOAT, None)
    )
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    lengths = np.array([1, 5, 9, 2], np.int32)
    ids = np.random.default_rng(1).integers(0, 62, (4, 9))
    (states,) = session.run([layer.output[0]], {"input_ids": ids, "lengths": lengths})
    own = np.arange(9)[:, None] < lengths  # (T, B)
    assert (states.transpose(0, 2, 1, 3)[~own] == 0).all()
    assert (states.transpose(0, 2, 1, 3)[own][..., :8] != 0).all()


@pytest.mark.parametrize(
    ("opset", "layers", "pooling", "ngrams"),
    [
        (17, 1, "last", 0),
        *((opset, 2, "max_mean", 0) for opset in (17, 18, 19, 20, 21, 23)),
        *((opset, 1, "max_mean", 3) for opset in (17, 18, 23)),
    ],
)
def test_every_opset_computes_what_pytorch_computes(
    opset, layers, pooling, ngrams, model_and_graph
):
    model, graph = model_and_graph(opset, layers, pooling, ngrams)
    onnx.checker.check_model(graph, full_check=True)
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", opset)]
    session = Session(graph.SerializeToString(), threads=1)
    random = np.random.default_rng(opset)
    for rows, tokens in ((1, 1), (1, 9), (4, 1), (3, 5), (9, 31)):
        ids = random.integers(0, 62, (rows, tokens))
        lengths = random.integers(1, tokens + 1, rows, np.int32)
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()
        np.testing.assert_allclose(session.run(ids, lengths), expected, atol=1e-5, rtol=1e-5)


def test_axes_are_dynamic_and_named(graph):
    axes = {
        value.name: [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    assert axes == {
        "input_ids": ["batch", "sequence"], "lengths": ["batch"], "logits": ["batch"],
    }  # fmt: skip


def test_nodes_are_named_after_the_parts_of_the_model(graph):
    assert [node.name for node in graph.graph.node] == [
        "embedding/Transpose", "embedding/Gather", "layer.0/LSTM", "join.0/Transpose",
        "join.0/Reshape", "layer.1/LSTM", "pooling/Transpose", "pooling/Reshape",
        "classifier/Gemm", "logits",
    ]  # fmt: skip


def test_nothing_of_this_machine_is_inside(graph):
    data = graph.SerializeToString()
    places = (Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path(torch.__file__).parent)
    for place in places:
        if len(str(place)) > 1:
            assert str(place).encode() not in data
    assert b".py" not in data
    parts = (graph, graph.graph, *graph.graph.node, *graph.graph.initializer)
    assert not any(part.doc_string or part.metadata_props for part in parts)
    assert not graph.graph.value_info


def test_an_opset_that_is_not_the_one_asked_for_is_refused(graph):
    with pytest.raises(ParityError, match="opset 17, expected 18"):
        check_contract(graph, 18, 2)


def test_an_axis_that_is_not_dynamic_is_refused(graph):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(graph)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    with pytest.raises(ParityError, match=r"axes are .*\(3, 'sequence'\)"):
        check_contract(fixed, 17, 2)

"""The exported graph, run by something that is neither PyTorch nor ONNX Runtime."""

import copy

import numpy as np
import pytest
import torch

from exporter.graph.precision import apply_precision


def batch(rows=5, tokens=11, seed=0):
    random = np.random.default_rng(seed)
    lengths = np.array([tokens, *random.integers(1, tokens, rows - 1)], np.int32)
    return random.integers(0, 62, (rows, tokens)), lengths


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize(
    ("layers", "pooling", "ngrams"), [(2, "last", 0), (2, "max_mean", 0), (1, "last", 4)]
)
def test_numpy_agrees_with_pytorch(layers, pooling, ngrams, opset, model_and_graph, run_in_numpy):
    model, graph = model_and_graph(opset, layers, pooling, ngrams)
    model = copy.deepcopy(model).double()
    ids, lengths = batch()
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()
    found = run_in_numpy(graph, {"input_ids": ids, "lengths": lengths})
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(("precision", "apart"), [("fp16", 2e-2), ("w8", 2e-1)])
def test_numpy_agrees_with_pytorch_on_smaller_weights(
    precision, apart, checkpoint, graph, run_in_numpy
):
    smaller = apply_precision(graph, precision)
    ids, lengths = batch()
    with torch.inference_mode():
        expected = checkpoint.model(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()
    found = run_in_numpy(smaller, {"input_ids": ids, "lengths": lengths})
    np.testing.assert_allclose(found, expected, atol=apart)
    assert np.abs(found - expected).max() > 1e-6

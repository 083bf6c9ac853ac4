"""Parity of K logits: every one is compared, and labels that change are counted."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from exporter.card import make_card
from exporter.graph.build import build_graph
from exporter.graph.precision import apply_precision
from exporter.parity.check import Conditions, check_parity
from exporter.parity.difference import find_problems, measure_difference
from exporter.parity.reviews import read_reviews
from exporter.parity.tolerance import tolerance_for
from exporter.pipeline import as_model_file
from infer.model.file import stamp
from infer.model.session import CPU
from trainer.network.model import SentimentLSTM

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def five(pooled_checkpoint):
    """A checkpoint of five labels, which its validation reviews have by turns."""
    torch.manual_seed(3)
    config = replace(pooled_checkpoint.model.config, labels=5)
    model = SentimentLSTM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    table = pooled_checkpoint.validation
    numbers = np.arange(table.num_rows, dtype=np.int16) % 5
    return replace(
        pooled_checkpoint,
        model=model,
        labels=NAMES,
        validation=table.set_column(1, "label", [numbers]),
    )


def checked(checkpoint, graph, precision="fp32"):
    card = make_card(checkpoint, precision)
    draft = as_model_file(None, stamp(apply_precision(graph, precision), card), card)
    return check_parity(
        draft, checkpoint, read_reviews(None, checkpoint), Conditions("cpu", None, 1)
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_each_precision_agrees(five, precision):
    report = checked(five, build_graph(five.model, 17), precision)
    assert report.passed, report.problems
    (accuracy,) = report.accuracies
    assert accuracy.reviews == 60 and abs(accuracy.right_before - accuracy.right_after) <= 1


def test_one_wrong_logit_of_five_is_found(five):
    graph = onnx.ModelProto()
    graph.CopyFrom(build_graph(five.model, 17))
    bias = next(tensor for tensor in graph.graph.initializer if tensor.name == "classifier.bias")
    values = numpy_helper.to_array(bias).copy()
    values[3] += 9.0
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    report = checked(five, graph)
    assert not report.passed and report.first_stage == "logits"
    assert any("labels changed" in problem for problem in report.problems)
    worst = report.worst().worst
    assert worst.found - worst.expected == pytest.approx(9.0, abs=1e-3)


def test_differences_by_hand():
    expected = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 4.0]], np.float32)
    found = expected.copy()
    found[0] = [2.5, 2.0, 0.0]  # the label changes
    found[1, 2] = np.nan
    difference = measure_difference(expected, found, np.array([4, 5, 6]))
    assert (difference.rows, difference.flips, difference.not_finite) == (3, 1, 1)
    assert difference.logit_absolute.maximum == 1.5
    assert (difference.worst.row, difference.worst.tokens) == (1, 5)
    problems = find_problems(expected, found, difference, tolerance_for("fp16", CPU))
    assert problems[0].startswith("1 of 3 logits are not finite")
    assert problems[1].startswith("1 of 3 logits differ by more than allowed, at most by 1.5")


def test_bounds_are_wider_for_the_largest_of_many_errors():
    one, many = tolerance_for("fp16", CPU), tolerance_for("fp16", CPU, labels=300)
    assert many.absolute == pytest.approx(3.378 * one.absolute, rel=1e-3)
    assert many.source.endswith("3.4 times as much for the largest of 300 logits")
    assert tolerance_for("fp16", CPU, atol=0.1, labels=300).absolute == 0.1
    assert (many.mean, many.flips) == (one.mean, one.flips)

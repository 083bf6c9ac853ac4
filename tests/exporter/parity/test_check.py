"""The parity check as an object: what it compares, what it reports, where it says models part."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from onnx import numpy_helper

from exporter.card import make_card
from exporter.graph.precision import apply_precision
from exporter.parity.check import Conditions, check_parity
from exporter.parity.comparisons import flip_problems, loss_problems, mean_problems
from exporter.parity.difference import find_problems, measure_difference
from exporter.parity.localise import compare_stages, first_difference
from exporter.parity.reference import GRID_ROWS, make_grid, make_material, probe_rows
from exporter.parity.report import Accuracy, json_ready
from exporter.parity.reviews import read_reviews
from exporter.parity.tolerance import TOLERANCES, tolerance_for
from exporter.pipeline import as_model_file
from infer.model.cuda import CUDA
from infer.model.file import stamp
from infer.model.session import CPU


def parity(graph, checkpoint, precision="fp32", atol=None, card=None):
    card = card or make_card(checkpoint, precision)
    data = stamp(apply_precision(graph, precision), card)
    reviews = read_reviews(None, checkpoint)
    model_file = as_model_file(Path("model.onnx"), data, card)
    return check_parity(model_file, checkpoint, reviews, Conditions("cpu", atol, 1))


@pytest.fixture(scope="module")
def report(graph, checkpoint):

    return parity(graph, checkpoint)


def test_the_exported_graph_agrees(report):
    assert report.passed
    assert report.problems == []
    assert report.first_stage is None
    assert report.worst().logit_absolute.maximum < 1e-5


def test_every_check_is_made(report):
    checks = [c.check for c in report.comparisons]
    assert checks == ["grid"] * 14 + ["texts", "batch-mates", "repeated"]
    shapes = {c.shape for c in report.comparisons[:14]}
    assert shapes == {(b, t) for b in GRID_ROWS for t in (1, 2, 50)} | {(1, 60), (7, 60)}
    repeated = report.comparisons[-1].difference
    assert repeated.logit_absolute.maximum == 0


def test_scores_that_hang_on_their_batch_mates_are_refused(graph, checkpoint, monkeypatch):
    """Without the spare units' states a batch's own ones set the scale."""
    good = parity(graph, checkpoint, "int8")
    assert good.problems == []
    assert good.certificate()["batch_mates"] == 0
    monkeypatch.setattr("exporter.graph.int8.CELL", 0.0)
    (problem,) = parity(graph, checkpoint, "int8").problems
    assert "batch-mates 12 x 60: a text's logit changes by up to 0." in problem
    assert problem.endswith("with its batch-mates (allowed: not a bit)")
    assert parity(graph, checkpoint, "int8", atol=2.0).problems == []


def test_accuracy_is_measured_before_and_after(report):
    (accuracy,) = report.accuracies
    assert accuracy.reviews == 60
    assert accuracy.before == accuracy.after


def test_the_worst_row_is_named_with_its_text(report, checkpoint):
    worst = report.comparisons[14].difference.worst
    assert worst.text == checkpoint.validation["text"][worst.row].as_py()
    assert 1 <= worst.tokens <= 60


@pytest.mark.parametrize("precision", ["fp16", "w8", "int8"])
def test_other_precisions_agree_within_their_own_bounds(graph, checkpoint, precision):
    report = parity(graph, checkpoint, precision, atol=None)
    assert report.problems == []
    assert report.worst().logit_absolute.maximum > 1e-5


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "int8"])
def test_n_grams_agree_within_the_same_bounds(model_and_graph, wide_checkpoint, precision):
    report = parity(model_and_graph(17, 1, "max_mean", 3)[1], wide_checkpoint, precision)
    assert report.problems == []


def test_a_wrong_weight_of_an_n_gram_is_found(model_and_graph, wide_checkpoint):
    wrong = copy.deepcopy(model_and_graph(17, 1, "max_mean", 3)[1])
    table = next(t for t in wrong.graph.initializer if t.name == "ngrams.weight")
    values = numpy_helper.to_array(table) + np.float32(0.01)
    table.CopyFrom(numpy_helper.from_array(values, table.name))
    report = parity(wrong, wide_checkpoint)
    assert not report.passed
    assert report.first_stage == "n-grams"


def test_a_stale_vocabulary_is_named(graph, checkpoint, with_other_words):
    report = parity(graph, checkpoint, card=make_card(with_other_words, "fp32"))
    assert report.first_stage == "text settings and vocabulary"
    assert "vocabulary is not the checkpoint's" in report.problems[0]
    assert {c.check for c in report.comparisons if c.problems} == {"texts"}


def test_other_text_settings_are_named(graph, checkpoint):
    card = make_card(checkpoint, "fp32")
    card = replace(card, text=replace(card.text, lower=False, max_tokens=10, head_tokens=5))
    report = parity(graph, checkpoint, card=card)
    assert "text settings is not the checkpoint's" in report.problems[0]


def test_grid_has_mixed_lengths_and_random_tokens_behind_them():
    for ids, lengths in make_grid(100, 1000):
        assert lengths.max() == ids.shape[1]
        assert lengths.min() >= 1
        assert lengths.dtype == np.int32
    shapes = [ids.shape for ids, _ in make_grid(100, 1000)]
    assert (33, 400) in shapes
    assert (7, 1000) in shapes
    assert all(tokens <= 10 for _, tokens in (ids.shape for ids, _ in make_grid(100, 10)))


def test_probes_hold_the_shortest_and_the_longest(graph, checkpoint):
    card = make_card(checkpoint, "fp32")
    model_file = as_model_file(Path("m"), stamp(graph, card), card)
    material = make_material(model_file, checkpoint, read_reviews(None, checkpoint))
    lengths = material.found.lengths[probe_rows(material.found)]
    assert lengths[0] == material.found.lengths.min()
    assert lengths[-1] == material.found.lengths.max()


def floats(*values):
    return np.array(values, np.float32)


def test_statistics_are_those_of_the_values():
    found = measure_difference(floats(0.5, -1, 2), floats(0.5, 1, 2.5), np.array([3, 4, 5]))
    assert found.logit_absolute.maximum == 2
    assert found.logit_absolute.mean == pytest.approx(2.5 / 3)
    assert found.logit_relative.maximum == 2
    assert found.probability_absolute.maximum == pytest.approx(0.7310586 - 0.2689414)
    assert (found.flips, found.worst.row, found.worst.tokens) == (1, 1, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_logit_that_is_not_finite_is_counted_and_the_worst(value):
    expected, found = floats(1, 2, 3), floats(1, value, 9)
    difference = measure_difference(expected, found, np.array([1, 1, 1]))
    assert (difference.not_finite, difference.worst.row) == (1, 1)
    problems = find_problems(expected, found, difference, tolerance_for("fp32", CPU))
    assert problems[0] == "1 of 3 logits are not finite"
    assert "differ by more than allowed, at most by 6" in problems[1]
    assert json_ready(difference.worst.found) in ("nan", "inf")


def test_the_bound_grows_with_the_logit():
    tolerance = tolerance_for("fp32", CPU)
    for scale, fails in ((1.5e-5, False), (2.5e-4, True)):
        pair = floats(10), floats(10 + scale)
        difference = measure_difference(*pair, np.ones(1, int))
        assert bool(find_problems(*pair, difference, tolerance)) is fails


def test_the_mean_is_bounded_too():
    difference = measure_difference(floats(1, 2), floats(1.25, 2), np.ones(2, int))
    assert mean_problems(difference, tolerance_for("int8", CPU)) == [
        "the logits differ by 0.125 in the mean (allowed: 0.1)"
    ]
    assert mean_problems(difference, tolerance_for("int8", CPU, atol=0.2)) == []


@pytest.mark.parametrize(("rows", "allowed"), [(10, 1), (300, 1), (1000, 5), (2000, 10)])
def test_label_flips_are_bounded_by_share_and_granularity(rows, allowed):
    tolerance = tolerance_for("int8", CPU)
    difference = measure_difference(floats(1), floats(1), np.ones(1, int))
    at, above = (replace(difference, rows=rows, flips=n) for n in (allowed, allowed + 1))
    assert flip_problems(at, tolerance) == []
    assert f"(allowed: {allowed}, 0.5% and at least one)" in flip_problems(above, tolerance)[0]


@pytest.mark.parametrize(("rows", "allowed"), [(300, 1), (2000, 2)])
def test_accuracy_loss_is_bounded_by_share_and_granularity(rows, allowed):
    tolerance = tolerance_for("int8", CPU)
    assert loss_problems([Accuracy(CPU, rows, 200, 200 - allowed)], tolerance) == []
    assert loss_problems([Accuracy(CPU, rows, 200, 230)], tolerance) == []
    assert "accuracy fell" in loss_problems([Accuracy(CPU, rows, 200, 199 - allowed)], tolerance)[0]


def test_tolerances_name_their_source_and_an_override():
    assert all(len(t.source) > 20 and not t.override for t in TOLERANCES.values())
    override = tolerance_for("fp32", CPU, atol=0.5)
    assert (override.absolute, override.relative, override.override) == (0.5, 0.0, True)
    assert "--atol 0.5 in place of 1e-05" in override.source


def test_tf32_has_its_own_tolerance():
    loose, strict = (tolerance_for("fp32", CUDA, tf32) for tf32 in (True, False))
    assert tolerance_for("fp32", CPU).absolute < strict.absolute < loose.absolute


@pytest.mark.parametrize("precision", ["fp32", "fp16", "w8", "int8"])
@pytest.mark.parametrize(
    ("layers", "pooling", "ngrams"), [(2, "last", 0), (1, "max_mean", 0), (1, "max_mean", 3)]
)
def test_all_stages_agree(layers, pooling, ngrams, precision, model_and_graph):
    model, graph = model_and_graph(17, layers, pooling, ngrams)
    data = apply_precision(graph, precision).SerializeToString()
    batch = make_grid(62, 9)[5]
    stages = compare_stages(model, data, [CPU], batch, tolerance_for(precision, CPU).stage)
    names = [name for i in range(1, model.config.layers + 1)
             for name in (f"layer {i} forward", f"layer {i} backward")]  # fmt: skip
    wide = ["n-grams"] if ngrams else []
    expected = ["embedding", *names, "pooling", *wide, "logits"]
    assert [stage.name for stage in stages] == expected
    assert first_difference(stages) is None


def test_parity_data_without_labels(checkpoint, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"review": ["word1 word2", None]}), tmp_path / "r.parquet")
    reviews = read_reviews(tmp_path / "r.parquet", checkpoint)
    assert (reviews.labels, reviews.source, len(reviews.texts)) == (None, "r.parquet", 2)
    assert len(reviews.sha256) == 64


def test_one_review_in_a_thousand_may_round_worse_but_only_so_far():
    tolerance = tolerance_for("fp32", CPU)
    expected = np.zeros(2000, np.float32)

    def problems(gaps):
        found = expected.copy()
        found[: len(gaps)] = gaps
        difference = measure_difference(expected, found, np.ones(2000, np.int64))
        return find_problems(expected, found, difference, tolerance)

    assert problems([9e-6] * 3) == []
    assert problems([5e-5, 5e-5]) == []
    assert problems([5e-5, 5e-5, 5e-5]) != []
    assert problems([2e-4]) != []

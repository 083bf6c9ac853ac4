"""The linear model: its ratios by hand, what it learns, and what it becomes part of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_array

import exporter
from infer.api import load
from infer.base.console import Stopped
from infer.base.errors import InputError
from infer.text.encoding import EncodedTexts
from infer.text.vocabulary import UNK_ID
from trainer.checkpoint.folder import load_checkpoint
from trainer.data.prepared import labels_of, prepare_data, texts_of
from trainer.network.evaluate import predict
from trainer.network.ngrams import text_sums
from trainer.run.resume import resumed
from trainer.run.train import carry_out
from trainer.settings.request import Request
from trainer.teaching import linear
from trainer.teaching.linear import (
    balanced,
    count,
    fit_ngrams,
    in_several,
    log_ratios,
    predict_linear,
    repetition,
)

Interrupt = Callable[[Request, str], Stopped]


@pytest.fixture
def wide(request_: Request) -> Request:
    """A request whose network has n-grams beside it."""
    return replace(request_, recipe=replace(request_.recipe, ngrams=2, ngram_buckets=5_000))


def encode(texts: list[list[int]]) -> EncodedTexts:
    ids = np.array([i for text in texts for i in text], np.int32)
    offsets = np.cumsum([0, *map(len, texts)])
    return EncodedTexts(ids, offsets, np.zeros(len(texts), np.uint8))


def test_ratios_by_hand() -> None:
    found = csr_array([[1, 0], [2, 1], [0, 1]])
    ratios = log_ratios(found, np.array([1, 1, 0.5]))
    assert ratios == pytest.approx(np.log([(3 / 3.5) / (1 / 1.5), (2.5 / 3.5) / (1.5 / 1.5)]))


def test_repetition_is_that_of_the_texts_that_have_an_n_gram() -> None:
    found = csr_array([[1, 0], [4, 1], [0, 1], [1, 0]])
    assert repetition(found).tolist() == [2, 1]


def test_unknown_tokens_count_nothing_by_themselves(request_: Request) -> None:
    """How many there are hangs on the vocabulary: new texts have them, old ones few or none."""
    recipe = replace(request_.recipe, ngrams=1, ngram_buckets=1_000)
    texts = [[4, 5], [4, 5, UNK_ID]] * 6
    fitted = fit_ngrams(recipe, 1, encode(texts), np.array([0, 1] * 6, np.float32))
    one, other = predict_linear(fitted, encode([[4, 5], [4, 5, *[UNK_ID] * 7]]))
    assert one == other


def test_texts_count_alike_whatever_their_length() -> None:
    rows = csr_array(np.float32([[3, 4], [0, 0], [0, 1], [2, 0]]))
    # Norms of 5, 1 and 2, whose median is 2.
    assert balanced(rows).toarray() == pytest.approx(np.array([[1.2, 1.6], [0, 0], [0, 2], [2, 0]]))
    nothing = csr_array((2, 2), dtype=np.float32)
    assert balanced(nothing).sum() == 0


def test_each_n_gram_of_several_texts_counts_as_often_as_it_stands() -> None:
    found = count(encode([[4, 4, 4], [], [4, 4], [4, 9], [8]]), 2, 10_000)
    assert found.shape == (5, 10_000)
    # Of the first text: three times "4", "begin 4" and twice "4 4".
    assert sorted(found[[0]].data.tolist()) == [1, 2, 3]
    # "9", "4 9", "8" and "begin 8" stand in one text alone.
    assert found[[1, 2, 3, 4]].sum(axis=1).tolist() == [0, 4, 2, 0]


@pytest.mark.parametrize("texts", [1, 2, 50])
def test_n_grams_of_one_text_are_told_from_those_of_several(texts: int) -> None:
    rows = np.random.default_rng(texts).integers(2, 90, size=(texts, 20)).tolist()
    sums = text_sums(encode(rows), 2)
    number = np.repeat(np.arange(texts, dtype=np.int32), 20)
    for own in sums:
        having = {
            value: {n for v, n in zip(own, number, strict=True) if v == value} for value in own
        }
        assert in_several(own, number).tolist() == [len(having[value]) > 1 for value in own]


def test_it_learns_word_pairs(request_: Request) -> None:
    """Only a pair such as "not great" tells the label."""
    prepared = prepare_data(request_, None)
    model = fit_ngrams(request_.recipe, 1, prepared.fitting_texts, prepared.targets)
    test = prepared.dataset.test
    logits = predict_linear(model, prepared.encoder.encode(texts_of(test)))
    assert ((logits > 0) == (labels_of(test) == 1)).mean() == 1.0
    assert torch.equal(model.weight, model.weight.half().float())
    bare = prepared.encoder.encode(pa.array(["", "№"], pa.large_string()))
    assert np.isnan(predict_linear(model, bare)[0])


def test_it_learns_towards_probabilities(request_: Request) -> None:
    """Targets of 0.7 and 0.3 are met as such where there is nothing else to tell rows apart."""
    texts = encode([[5, 6]] * 4_000 + [[7, 8]] * 4_000)
    targets = np.repeat(np.float32([0.7, 0.3]), 4_000)
    logits = predict_linear(fit_ngrams(request_.recipe, 1, texts, targets), texts)
    assert 1 / (1 + np.exp(-logits[[0, -1]])) == pytest.approx([0.7, 0.3], abs=0.02)


def test_it_learns_towards_probabilities_that_are_all_on_one_side(request_: Request) -> None:
    """A teacher's are, of a label that is rare."""
    texts = encode([[5, 6]] * 4_000 + [[7, 8]] * 4_000)
    targets = np.repeat(np.float32([0.4, 0.1]), 4_000)
    logits = predict_linear(fit_ngrams(request_.recipe, 1, texts, targets), texts)
    assert 1 / (1 + np.exp(-logits[[0, -1]])) == pytest.approx([0.4, 0.1], abs=0.05)


@pytest.mark.parametrize("texts", [[[3, 4], [5, 6]], [[], []], []])
def test_what_cannot_be_learned_is_said(request_: Request, texts: list[list[int]]) -> None:
    with pytest.raises(InputError, match=r"cannot be fitted on \d reviews .* two labels"):
        fit_ngrams(request_.recipe, 1, encode(texts), np.ones(len(texts), np.float32))


def test_of_very_many_reviews_a_sample_is_drawn(
    request_: Request, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(linear, "MOST_TOKENS", 100)
    counted = []
    monkeypatch.setattr(
        linear, "count", lambda *given: counted.append(given[0].lengths.sum()) or count(*given)
    )
    texts, targets = encode([[5, 6], [7, 8]] * 500), np.float32([1, 0] * 500)
    logits = predict_linear(fit_ngrams(request_.recipe, 1, texts, targets), texts)
    assert ((logits > 0) == (targets == 1)).all()
    assert said()[-1] == "fitting the linear model on 50 reviews"
    assert counted == [100], "what is not drawn takes no memory"


def test_a_network_with_n_grams_is_at_least_as_right_as_either(wide: Request) -> None:
    """Trained for one epoch, the network knows little; the n-grams know it all."""
    recipe = replace(wide.recipe, epochs=1, learning_rate=1e-4)
    checkpoint = carry_out(replace(wide, recipe=recipe))
    assert checkpoint.metrics["test"]["accuracy"] == 1.0
    read = load_checkpoint(wide.output)
    assert read.model.ngrams is not None
    assert float(read.model.ngrams.mix.sum()) == pytest.approx(2)
    for name, tensor in checkpoint.model.state_dict().items():
        assert torch.equal(tensor, read.model.state_dict()[name])


def test_a_resumed_run_ends_with_the_same_weights(
    wide: Request, interrupt: Interrupt, tmp_path: Path
) -> None:
    whole = carry_out(replace(wide, output=tmp_path / "whole")).model.state_dict()
    interrupt(wide, "epoch 2/")
    rest = carry_out(resumed(wide.output)).model.state_dict()
    assert whole.keys() == rest.keys() and "ngrams.weight" in whole
    assert all(torch.equal(tensor, rest[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_its_model_file_scores_alike(wide: Request, precision: str, tmp_path: Path) -> None:
    checkpoint = carry_out(wide)
    weights = checkpoint.model.state_dict()
    path = tmp_path / "model.onnx"
    exported = exporter.export(wide.output, path, precision=precision, device="cpu", threads=1)
    assert exported.pytorch_bytes == 4 * sum(map(len, map(torch.flatten, weights.values())))
    texts = checkpoint.validation["text"]
    encoded = prepare_data(wide, None).encoder.encode(
        texts.cast(pa.large_string()).combine_chunks()
    )
    expected = predict(checkpoint.model, encoded) / checkpoint.temperature
    scores = load(path, device="cpu").score(texts)["score"].to_numpy()
    assert scores == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-3)

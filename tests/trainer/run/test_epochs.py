"""What a row weighs in an epoch, however its batches fall."""

from pathlib import Path

import numpy as np
import pytest
import torch

from infer.text.batching import pad
from trainer.data.epoch_batches import epoch_batches
from trainer.data.prepared import Prepared, class_weights, prepare_data, row_weights
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.objective import add_gradients
from trainer.run.epochs import epoch_weights
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request

PLAIN = Recipe(vocabulary=50, dropout=0.0)


def prepared_of(data: Path, **changes: object) -> Prepared:
    return prepare_data(Request(Recipe(vocabulary=50, dropout=0.0, **changes), str(data)), None)


def summed(prepared: Prepared, model: SentimentLSTM, batches: list[np.ndarray]) -> tuple:
    """Add up an epoch's gradients, the weights of the network as they are."""
    weights = epoch_weights(row_weights(prepared), batches)
    model.zero_grad()
    loss = 0.0
    for rows in batches:
        arrays = (*pad(prepared.fitting_texts, rows), prepared.targets[rows], weights[rows])
        loss += add_gradients(model, PLAIN, *map(torch.from_numpy, arrays))
    grads = {n: p.grad / len(batches) for n, p in model.named_parameters() if p.grad is not None}
    return loss / len(batches), grads


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_batches_of_any_size_add_up_to_the_weighted_mean(data: Path, class_weight: str) -> None:
    prepared = prepared_of(data, class_weight=class_weight)
    lengths = prepared.fitting_texts.lengths
    model = SentimentLSTM(ModelConfig(len(prepared.vocabulary), 8, 6, 1, dropout=0.0)).train()
    uneven = epoch_batches(lengths, 16, 60, seed=1, epoch=1)
    assert len({len(rows) for rows in uneven}) > 3
    loss, gradients = summed(prepared, model, uneven)
    whole, expected = summed(prepared, model, [np.arange(len(lengths))])
    assert loss == pytest.approx(whole, rel=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-6)


def test_a_batch_is_about_one_on_the_whole() -> None:
    batches = [np.arange(3), np.arange(3, 13), np.array([13])]
    found = epoch_weights(np.ones(14), batches)
    assert found == pytest.approx(np.full(14, 3 / 14))
    assert not epoch_weights(np.ones(2), []).any()


def test_balanced_classes_count_alike(data: Path) -> None:
    prepared = prepared_of(data, class_weight="balanced")
    labels = prepared.fitting["label"].to_numpy()
    weights = row_weights(prepared)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())
    assert weights.mean() == pytest.approx(1.0)
    assert class_weights(prepared.fitting, "none", 3).tolist() == [1.0, 1.0, 1.0]

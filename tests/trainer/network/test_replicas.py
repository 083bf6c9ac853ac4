"""Gradients in shares: those of the whole batch, drawn from numbers that the seed decides."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainer.network.device import seed_everything
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.objective import add_gradients
from trainer.network.replicas import ROWS_OF_A_SHARE, gradients_of, share_generators
from trainer.settings.recipe import Recipe

ROWS = 3 * ROWS_OF_A_SHARE + 1
ADVERSARIAL = Recipe(dropout=0.0, adversarial=0.5)
DROPPING = ModelConfig(50, 5, 4, 2, "max_mean", dropout=0.5, embedding_dropout=0.2)


@pytest.fixture(autouse=True)
def three_threads(one_thread: None) -> None:
    torch.set_num_threads(3)  # and one again afterwards


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    lengths = torch.randint(1, 9, (ROWS,), dtype=torch.int32).sort().values
    ids = torch.randint(2, 50, (ROWS, 8)) * (torch.arange(8) < lengths[:, None])
    return ids, lengths, torch.rand(ROWS), torch.rand(ROWS)


def model_of(config: ModelConfig) -> SentimentLSTM:
    torch.manual_seed(2)
    return SentimentLSTM(config).double().train()


def gradients(model: SentimentLSTM) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def in_shares(
    model: SentimentLSTM, recipe: Recipe, batch: tuple[Tensor, ...], epoch: int = 1
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    with gradients_of(model, share_generators(model, ROWS, 7, epoch)) as add:
        value = add(recipe, *batch)
    return value, gradients(model)


@pytest.mark.parametrize("rows", [ROWS, 2, 1])
def test_shares_add_up_to_the_whole(batch: tuple[Tensor, ...], rows: int) -> None:
    model = model_of(replace(DROPPING, dropout=0.0, embedding_dropout=0.0))
    batch = tuple(part[-rows:] for part in batch)
    value, found = in_shares(model, ADVERSARIAL, batch)
    model.zero_grad()
    assert value == pytest.approx(add_gradients(model, ADVERSARIAL, *batch), rel=1e-6)
    expected = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7)


def test_the_seed_and_the_epoch_decide(batch: tuple[Tensor, ...]) -> None:
    model = model_of(DROPPING)
    first, found = in_shares(model, ADVERSARIAL, batch)
    seed_everything(99, epoch=0)  # PyTorch's own numbers play no part
    second, again = in_shares(model, ADVERSARIAL, batch)
    other, _ = in_shares(model, ADVERSARIAL, batch, epoch=2)
    assert first == second != other
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_steps_between_batches_are_seen(batch: tuple[Tensor, ...]) -> None:
    model = model_of(replace(DROPPING, dropout=0.0, embedding_dropout=0.0))
    with gradients_of(model, share_generators(model, ROWS, 7, 1)) as add:
        add(ADVERSARIAL, *batch)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        value = add(ADVERSARIAL, *batch)
    assert value == pytest.approx(add_gradients(model, ADVERSARIAL, *batch), rel=1e-6)


def test_an_error_in_a_share_arrives(batch: tuple[Tensor, ...]) -> None:
    ids = batch[0]
    ids[4, 0] = 50  # not in the vocabulary
    model = model_of(DROPPING)
    generators = share_generators(model, ROWS, 7, 1)
    with pytest.raises(IndexError), gradients_of(model, generators) as add:
        add(ADVERSARIAL, *batch)

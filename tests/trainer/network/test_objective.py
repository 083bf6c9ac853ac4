"""The objective's terms and gradients, against their definitions."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.objective import add_gradients, change, radius
from trainer.settings.recipe import Recipe

IDS = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0], [8, 2, 3, 0]])
LENGTHS = torch.tensor([4, 2, 3], dtype=torch.int32)
TARGETS = torch.tensor([1.0, 0.0, 0.3])
ALIKE = torch.full((3,), 1 / 3)
PLAIN = Recipe(dropout=0.0)
ADVERSARIAL = replace(PLAIN, adversarial=0.5, perturbation=0.7)


@pytest.fixture
def model() -> SentimentLSTM:
    torch.manual_seed(3)
    config = ModelConfig(vocabulary_size=9, embedding=5, hidden=4, layers=2, dropout=0.0)
    return SentimentLSTM(config).double().train()


def gradients(
    model: SentimentLSTM, recipe: Recipe, weights: Tensor = ALIKE
) -> tuple[float, dict[str, Tensor]]:
    """Return the objective's value and the gradient of every parameter."""
    model.zero_grad()
    value = add_gradients(model, recipe, IDS, LENGTHS, TARGETS, weights)
    return value, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_without_further_terms_it_is_the_cross_entropy(model: SentimentLSTM) -> None:
    value, found = gradients(model, PLAIN)
    model.zero_grad()
    loss = binary_cross_entropy_with_logits(model(IDS, LENGTHS).float(), TARGETS)
    torch.autograd.backward(loss)
    assert value == pytest.approx(loss.item(), rel=1e-6)
    assert found.keys() == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-6, atol=1e-9)


def test_the_adversarial_term_is_the_loss_at_the_worst_change(model: SentimentLSTM) -> None:
    value, found = gradients(model, ADVERSARIAL)
    embedded = model.embed(IDS)
    loss = binary_cross_entropy_with_logits(model.classify(embedded, LENGTHS).float(), TARGETS)
    (direction,) = torch.autograd.grad(loss, embedded, retain_graph=True)
    worst = embedded + change(direction, radius(model, ADVERSARIAL))
    worse = binary_cross_entropy_with_logits(model.classify(worst, LENGTHS).float(), TARGETS)
    assert worse > loss
    assert value == pytest.approx((loss + 0.5 * worse).item(), abs=1e-6)
    model.zero_grad()
    torch.autograd.backward(loss + 0.5 * worse)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("recipe", [PLAIN, ADVERSARIAL])
def test_a_row_that_counts_twice_is_a_row_that_stands_there_twice(
    model: SentimentLSTM, recipe: Recipe
) -> None:
    value, found = gradients(model, recipe, torch.tensor([2.0, 1.0, 0.0]))
    model.zero_grad()
    twice = torch.tensor([0, 0, 1])
    expected = add_gradients(
        model, recipe, IDS[twice], LENGTHS[twice], TARGETS[twice], torch.ones(3)
    )
    assert value == pytest.approx(expected, rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-8)


def test_no_change_of_that_size_is_much_worse(model: SentimentLSTM) -> None:
    small = replace(ADVERSARIAL, perturbation=0.01)
    embedded = model.embed(IDS).detach().requires_grad_()
    loss = binary_cross_entropy_with_logits(model.classify(embedded, LENGTHS), TARGETS.double())
    (direction,) = torch.autograd.grad(loss, embedded)
    size = radius(model, small)

    def loss_at(direction: Tensor) -> float:
        logits = model.classify(embedded + change(direction, size), LENGTHS)
        return binary_cross_entropy_with_logits(logits, TARGETS.double()).item()

    tries = [loss_at(torch.randn_like(embedded)) for _ in range(50)]
    assert loss_at(direction) > max(tries)


def test_a_change_has_its_size_in_every_row_and_leaves_padding_alone() -> None:
    direction = torch.randn(3, 4, 5) * torch.tensor([1e-6, 1.0, 0.0])[:, None, None]
    direction[1, 2:] = 0.0
    changed = change(direction, torch.tensor(0.25))
    norms = changed.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.tensor([0.25, 0.25, 0.0]))
    assert not changed[1, 2:].any()


def test_the_size_of_the_change_grows_with_the_vectors(model: SentimentLSTM) -> None:
    before = radius(model, PLAIN)
    norms = model.embedding.weight[1:].norm(dim=1)
    assert before.item() == pytest.approx(0.3 * norms.square().mean().sqrt().item())
    model.embedding.weight.data *= 4
    assert radius(model, PLAIN).item() == pytest.approx(4 * before.item())


@pytest.mark.usefixtures("needs_bf16")
def test_bf16_keeps_the_terms_numbers(model: SentimentLSTM) -> None:
    model.float()
    exact, _ = gradients(model, ADVERSARIAL)
    rough, found = gradients(model, replace(ADVERSARIAL, precision="bf16"))
    assert rough == pytest.approx(exact, rel=0.05)
    assert all(gradient.isfinite().all() for gradient in found.values())

"""What a training step minimises, and its gradients.

The cross-entropy always; by the recipe also the same at the worst small change of the token
vectors (adversarial training, Goodfellow et al. 2015), the change of the prediction there (virtual
adversarial training, Miyato et al. 2016; both for text: Miyato, Dai, Goodfellow 2017), and the
entropy of the prediction (Grandvalet, Bengio 2005).

Legend: B rows, T tokens, E embedding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from infer.text.vocabulary import PAD_ID
from trainer.network.model import SentimentLSTM
from trainer.settings.recipe import Recipe


def add_gradients(
    model: SentimentLSTM, recipe: Recipe, input_ids: Tensor, lengths: Tensor, targets: Tensor
) -> float:
    """Add the objective's gradients to those of the parameters.

    Each term is differentiated down to the token vectors at once, so that the gradient which the
    adversarial change needs is the one that the step needs anyway: two passes instead of three.

    Args:
        model: in training mode.
        recipe: weights of the terms, size of the change, precision.
        input_ids: (B, T) int64.
        lengths: (B,) int32.
        targets: (B,) float32 probabilities of the positive label.

    Returns:
        The objective's value, a mean over the rows, in nats.
    """
    embedded = model.embed(input_ids)  # (B, T, E)
    clean = _leaf(embedded)
    value = _backward(supervised(recipe, _logits(model, recipe, clean, lengths), targets))
    gradient = _gradient_of(clean)
    if recipe.adversarial:
        worst = _leaf(embedded + change(gradient, radius(model, recipe)))
        term = supervised(recipe, _logits(model, recipe, worst, lengths), targets)
        value += _backward(recipe.adversarial * term)
        gradient = gradient + _gradient_of(worst)
    if recipe.virtual_adversarial:
        worst, truth = _least_like(model, recipe, embedded, input_ids, lengths)
        with _without_dropout(model):
            term = divergence(truth, _logits(model, recipe, worst, lengths))
        value += _backward(recipe.virtual_adversarial * term)
        gradient = gradient + _gradient_of(worst)
    torch.autograd.backward(embedded, gradient)
    return value


def supervised(recipe: Recipe, logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B,), plus the recipe's share of their entropy."""
    loss = binary_cross_entropy_with_logits(logits, targets)
    if recipe.entropy:
        # A prediction's cross-entropy with itself is its entropy.
        loss = loss + recipe.entropy * binary_cross_entropy_with_logits(logits, logits.sigmoid())
    return loss


def divergence(truth: Tensor, logits: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of two-way predictions, both (B,) logits."""
    p = truth.sigmoid()
    positive = logsigmoid(truth) - logsigmoid(logits)
    negative = logsigmoid(-truth) - logsigmoid(-logits)
    return (p * positive + (1 - p) * negative).mean()


def radius(model: SentimentLSTM, recipe: Recipe) -> Tensor:
    """Return the size of a row's change: `perturbation` times the usual norm of a token's vector.

    A fixed size would be undone by vectors that grow; the papers normalise them for that.
    """
    vectors = model.embedding.weight.detach()[PAD_ID + 1 :]
    return vectors.square().sum(dim=1).mean().sqrt() * recipe.perturbation


def change(direction: Tensor, size: Tensor) -> Tensor:
    """Scale each row's direction (B, T, E), all its tokens together, to a norm of `size`."""
    norms = direction.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    changed: Tensor = size * direction / norms[:, None, None]
    return changed


def _least_like(
    model: SentimentLSTM, recipe: Recipe, embedded: Tensor, input_ids: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Find the change that moves the prediction most, by one power iteration.

    Both predictions are made without dropout, whose noise would drown the small change. The first
    direction has the final size: a smaller one would be lost in bf16.

    Returns:
        The changed vectors (B, T, E), a leaf; and the logits (B,) of the unchanged ones.
    """
    size = radius(model, recipe)
    drawn = torch.randn(
        embedded.shape, generator=model.generator, dtype=embedded.dtype, device=embedded.device
    )
    noise = drawn * (input_ids != PAD_ID)[:, :, None]
    near = _leaf(embedded + change(noise, size))
    with _without_dropout(model):
        with torch.no_grad():
            truth = _logits(model, recipe, embedded, lengths)
        distance = divergence(truth, _logits(model, recipe, near, lengths))
        (direction,) = torch.autograd.grad(distance, near)
    return _leaf(embedded + change(direction, size)), truth


def _logits(model: SentimentLSTM, recipe: Recipe, embedded: Tensor, lengths: Tensor) -> Tensor:
    """Return (B,) float32 logits, computed in the recipe's precision."""
    with torch.autocast(embedded.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = model.classify(embedded, lengths)
    return logits.float()


def _leaf(values: Tensor) -> Tensor:
    return values.detach().requires_grad_()


def _gradient_of(leaf: Tensor) -> Tensor:
    if leaf.grad is None:
        raise AssertionError("no backward pass has reached the token vectors")
    return leaf.grad


def _backward(term: Tensor) -> float:
    torch.autograd.backward(term)
    return term.item()


@contextmanager
def _without_dropout(model: SentimentLSTM) -> Iterator[None]:
    """Switch dropout off; the LSTMs stay in training mode, without which cuDNN has no gradient."""
    model.dropout.eval()
    try:
        yield
    finally:
        model.dropout.train()

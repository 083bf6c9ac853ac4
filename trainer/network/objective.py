"""What a training step minimises, and its gradients.

The cross-entropy always; by the recipe also the same at the worst small change of the token
vectors (adversarial training, Goodfellow et al. 2015; for text: Miyato, Dai, Goodfellow 2017).

Legend: B rows, T tokens, E embedding, K labels.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from infer.text.vocabulary import PAD_ID
from trainer.network.model import SentimentLSTM
from trainer.settings.recipe import Recipe


def add_gradients(
    model: SentimentLSTM,
    recipe: Recipe,
    input_ids: Tensor,
    lengths: Tensor,
    targets: Tensor,
    weights: Tensor,
) -> float:
    """Add the objective's gradients to those of the parameters.

    Each term is differentiated down to the token vectors at once, so that the gradient which the
    adversarial change needs is the one that the step needs anyway: two passes instead of three.

    Args:
        model: in training mode.
        recipe: weight of the adversarial term, size of the change, precision.
        input_ids: (B, T) int64.
        lengths: (B,) int32.
        targets: (B,) float32 probabilities of the positive label, or (B, K) of each.
        weights: (B,) float32, what each row counts.

    Returns:
        The objective's value, the weighted sum over the rows, in nats.
    """
    embedded = model.embed(input_ids)  # (B, T, E)
    clean = _leaf(embedded)
    value = _backward(_loss(model, recipe, clean, lengths, targets, weights))
    gradient = _gradient_of(clean)
    if recipe.adversarial:
        worst = _leaf(embedded + change(gradient, radius(model, recipe)))
        term = _loss(model, recipe, worst, lengths, targets, weights)
        value += _backward(recipe.adversarial * term)
        gradient = gradient + _gradient_of(worst)
    torch.autograd.backward(embedded, gradient)
    return value


def radius(model: SentimentLSTM, recipe: Recipe) -> Tensor:
    """Return the size of a row's change: `perturbation` times the usual norm of a token's vector.

    A fixed size would be undone by vectors that grow; the paper normalises them for that.
    """
    vectors = model.embedding.weight.detach()[PAD_ID + 1 :]
    return vectors.square().sum(dim=1).mean().sqrt() * recipe.perturbation


def change(direction: Tensor, size: Tensor) -> Tensor:
    """Scale each row's direction (B, T, E), all its tokens together, to a norm of `size`."""
    norms = direction.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    changed: Tensor = size * direction / norms[:, None, None]
    return changed


def _loss(
    model: SentimentLSTM,
    recipe: Recipe,
    embedded: Tensor,
    lengths: Tensor,
    targets: Tensor,
    weights: Tensor,
) -> Tensor:
    """Return the weighted cross-entropy, of logits computed in the recipe's precision."""
    with torch.autocast(embedded.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = model.classify(embedded, lengths)
    cross = binary_cross_entropy_with_logits if targets.ndim == 1 else cross_entropy
    return (weights * cross(logits.float(), targets, reduction="none")).sum()


def _leaf(values: Tensor) -> Tensor:
    return values.detach().requires_grad_()


def _gradient_of(leaf: Tensor) -> Tensor:
    if leaf.grad is None:
        raise AssertionError("no backward pass has reached the token vectors")
    return leaf.grad


def _backward(term: Tensor) -> float:
    torch.autograd.backward(term)
    return term.item()

"""One epoch: batches in, optimizer steps, a line of the history out.

Legend: B rows of a batch, T tokens, K labels.
"""

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from infer.base.console import progress
from infer.base.errors import TrainingError
from infer.text.batching import pad, padding_share
from trainer.data.epoch_batches import epoch_batches
from trainer.data.prepared import Prepared
from trainer.network.device import seed_everything
from trainer.network.replicas import Gradients, gradients_of
from trainer.run.state import State, learning_rate, update_average
from trainer.settings.recipe import Recipe


def run_epoch(recipe: Recipe, seed: int, prepared: Prepared, state: State) -> dict[str, Any]:
    """Go once through the training reviews, and the unlabelled ones where there are any.

    Returns:
        `epoch`, `training_loss` (the objective's mean over the reviews, nats), `learning_rate`
        (the last), `seconds`, `tokens` (without padding), `tokens_per_second`, `padding_share`
        (0 to 1).

    Raises:
        TrainingError: a loss is not a number; epoch, step and learning rate are named.
    """
    epoch = state.epoch + 1
    seed_everything(seed, epoch)
    lengths, targets = prepared.fitting_texts.lengths, prepared.targets
    batches = epoch_batches(lengths, recipe.batch_size, recipe.batch_tokens, seed, epoch)
    padding = padding_share(lengths, batches)
    began = time.monotonic()
    loss_sum, reviews, tokens, rate = 0.0, 0, 0, 0.0
    state.model.train()
    with (
        progress(f"epoch {epoch}/{recipe.epochs}", int(lengths.sum()), "tokens") as advance,
        gradients_of(state.model, recipe.batch_size, seed, epoch) as gradients,
    ):
        for i, rows in enumerate(batches):
            rate = learning_rate(recipe, (epoch - 1 + i / len(batches)) / recipe.epochs)
            batch = _to_device(*pad(prepared.fitting_texts, rows), targets[rows], state)
            loss = take_step(state, gradients, recipe, *batch, rate)
            if not math.isfinite(loss):
                raise _not_a_number(loss, epoch, i + 1, len(batches), rate)
            loss_sum, reviews = loss_sum + loss * len(rows), reviews + len(rows)
            tokens += (own := int(lengths[rows].sum()))
            advance(own, f"loss {loss_sum / reviews:.3f}, {padding:.1%} padding")
    seconds = time.monotonic() - began
    return {
        "epoch": epoch,
        "training_loss": loss_sum / max(reviews, 1),
        "learning_rate": rate,
        "seconds": round(seconds, 3),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "padding_share": round(padding, 4),
    }


def _to_device(
    input_ids: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    targets: npt.NDArray[np.float32],
    state: State,
) -> tuple[Tensor, Tensor, Tensor]:
    """Move a batch to the model: (B, T) int64, (B,) int32, float32 targets."""
    device = state.model.classifier.weight.device
    return (
        torch.from_numpy(input_ids).to(device),
        torch.from_numpy(lengths).to(device),
        torch.from_numpy(targets).to(device),
    )


def take_step(
    state: State,
    gradients: Gradients,
    recipe: Recipe,
    input_ids: Tensor,
    lengths: Tensor,
    targets: Tensor,
    rate: float,
) -> float:
    """Take one optimizer step and return the objective before it.

    A loss or a gradient that is not a number changes no weight, and NaN is returned.

    Args:
        state: what the step moves.
        gradients: of its model, see `gradients_of`.
        recipe: objective, precision, clipping and averaging.
        input_ids: (B, T) int64.
        lengths: (B,) int32.
        targets: (B,) float32 probabilities of the positive label, or (B, K) of each: 0 or 1, or
            a teacher's.
        rate: learning rate.
    """
    state.optimizer.zero_grad()
    loss = gradients(recipe, input_ids, lengths, targets)
    if not math.isfinite(loss):
        return loss
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip or math.inf)
    if not norm.isfinite():
        return math.nan
    state.optimizer.param_groups[0]["lr"] = rate
    state.optimizer.step()
    state.steps += 1
    update_average(state, recipe.weight_average)
    return loss


def _not_a_number(loss: float, epoch: int, step: int, steps: int, rate: float) -> TrainingError:
    return TrainingError(
        f"the loss or its gradient is {loss} in epoch {epoch}, step {step} of {steps}, at learning "
        f"rate {rate:.3g}; expected a number. Use a lower --learning-rate or --clip"
    )


def epoch_line(row: dict[str, Any], epochs: int, is_best: bool) -> str:
    """Return what is said of a finished epoch."""
    return (
        f"epoch {row['epoch']}/{epochs}: training loss {row['training_loss']:.4f}, "
        f"validation loss {row['validation_loss']:.4f}, "
        f"accuracy {row['validation_accuracy']:.2%}; {row['seconds']:,.1f} s, "
        f"{row['tokens_per_second']:,.0f} tokens/s, {row['padding_share']:.1%} padding"
        f"{' (best so far)' if is_best else ''}"
    )

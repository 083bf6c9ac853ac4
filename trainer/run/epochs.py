"""One epoch: batches in, optimizer steps, a line of the history out.

Legend: B rows of a batch, T tokens, K labels.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from infer.base.console import held_signals, progress, say
from infer.base.errors import DivergedError
from infer.base.words import counted
from infer.text.batching import pad, padding_share
from trainer.data.epoch_batches import epoch_batches
from trainer.data.prepared import Prepared, row_weights
from trainer.network.device import seed_everything
from trainer.network.replicas import Gradients, gradients_of, share_generators
from trainer.run.state import Part, State, draw_on, learning_rate, update_average
from trainer.settings.recipe import Recipe

# Further ones change little where reviews are as few as that: what is known is in the n-grams.
MOST_EPOCHS: Final = 200


def enough_epochs(recipe: Recipe, seed: int, prepared: Prepared) -> Recipe:
    """Return the recipe with as many epochs as its steps need: few reviews make few batches.

    Training stops by validation; half of the epochs may pass without a better one, since the
    first ones, while the learning rate is low, bring little beside n-grams.
    """
    lengths = prepared.fitting_texts.lengths
    batches = len(epoch_batches(lengths, recipe.batch_size, recipe.batch_tokens, seed, epoch=1))
    epochs = min(math.ceil(recipe.steps / max(1, batches)), MOST_EPOCHS)
    if epochs <= recipe.epochs:
        return recipe
    patience = max(recipe.patience, math.ceil(epochs / 2))
    say(
        f"{counted(int(np.count_nonzero(lengths)), 'review')} in "
        f"{counted(batches, 'batch', 'batches')}: up to {epochs} epochs, not {recipe.epochs}, so "
        f"that there are {epochs * batches:,} (--steps), with patience for {patience}"
    )
    return replace(recipe, epochs=epochs, patience=patience)


def run_epoch(
    recipe: Recipe,
    seed: int,
    prepared: Prepared,
    state: State,
    after_step: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Go once through the training reviews, and the unlabelled ones where there are any.

    Goes on where `state.part` is. A signal waits until the state is whole again, after a step.

    Args:
        recipe: what is computed.
        seed: seed of the run.
        prepared: what is read.
        state: what the steps move.
        after_step: called after each step.

    Returns:
        `epoch`, `training_loss` (the objective's weighted mean over the reviews, nats),
        `learning_rate` (the last), `seconds`, `tokens` (without padding), `tokens_per_second`,
        `padding_share` (0 to 1).

    Raises:
        DivergedError: a loss is not a number; epoch, step and learning rate are named.
    """
    part, epoch = state.part, state.part.epoch
    seed_everything(seed, epoch)
    state.generators = share_generators(state.model, recipe.batch_size, seed, epoch)
    draw_on(state)
    lengths, targets = prepared.fitting_texts.lengths, prepared.targets
    batches = epoch_batches(lengths, recipe.batch_size, recipe.batch_tokens, seed, epoch)
    weights = epoch_weights(row_weights(prepared), batches)
    padding = padding_share(lengths, batches)
    began = time.monotonic() - part.seconds
    title, tokens = f"epoch {epoch}/{recipe.epochs}", int(lengths.sum())
    state.model.train()
    with (
        progress(title, tokens, "tokens", part.tokens) as advance,
        gradients_of(state.model, state.generators) as gradients,
        held_signals() as let_through,
    ):
        for i, rows in enumerate(batches[part.steps :], part.steps):
            rate = rate_at(recipe, epoch, i, len(batches))
            padded = pad(prepared.fitting_texts, rows)
            batch = _to_device(*padded, targets[rows], weights[rows], state)
            loss = take_step(state, gradients, recipe, *batch, rate)
            if not math.isfinite(loss):
                raise _not_a_number(loss, epoch, i + 1, len(batches), rate)
            part.loss, part.weight = part.loss + loss, part.weight + float(weights[rows].sum())
            part.tokens += (own := int(lengths[rows].sum()))
            part.steps, part.seconds = i + 1, time.monotonic() - began
            after_step()
            let_through()
            advance(own, f"loss {part.loss / part.weight:.3f}, {padding:.1%} padding")
    return _told(part, rate_at(recipe, epoch, len(batches) - 1, len(batches)), padding)


def _told(part: Part, rate: float, padding: float) -> dict[str, Any]:
    """Return what the history says of an epoch that is done; see `run_epoch`."""
    return {
        "epoch": part.epoch,
        "training_loss": part.loss / part.weight if part.weight else 0.0,
        "learning_rate": rate,
        "seconds": round(part.seconds, 3),
        "tokens": part.tokens,
        "tokens_per_second": round(part.tokens / part.seconds, 1),
        "padding_share": round(padding, 4),
    }


def rate_at(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, of an epoch of so many."""
    return learning_rate(recipe, (epoch - 1 + step / steps) / recipe.epochs)


def _to_device(
    input_ids: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    targets: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    state: State,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Move a batch to the model: (B, T) int64, (B,) int32, float32 targets, (B,) float32."""
    device = state.model.classifier.weight.device
    return (
        torch.from_numpy(input_ids).to(device),
        torch.from_numpy(lengths).to(device),
        torch.from_numpy(targets).to(device),
        torch.from_numpy(weights).to(device),
    )


def epoch_weights(
    rows: npt.NDArray[np.float64], batches: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float32]:
    """Return what each row counts in the sum that its batch minimises: (R,) float32.

    A row counts alike whether its batch is full or not: the gradients of an epoch's batches add up
    to that of the weighted mean over its rows, once for each batch.

    Args:
        rows: (R,) float64, what each counts beside the others.
        batches: the epoch's row numbers.
    """
    total = sum(float(rows[batch].sum()) for batch in batches)
    return (rows * (len(batches) / total if total else 0.0)).astype(np.float32)


def take_step(
    state: State,
    gradients: Gradients,
    recipe: Recipe,
    input_ids: Tensor,
    lengths: Tensor,
    targets: Tensor,
    weights: Tensor,
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
        weights: (B,) float32, what each row counts; they add up to about 1.
        rate: learning rate.
    """
    state.optimizer.zero_grad()
    loss = gradients(recipe, input_ids, lengths, targets, weights)
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


def _not_a_number(loss: float, epoch: int, step: int, steps: int, rate: float) -> DivergedError:
    return DivergedError(
        f"the loss or its gradient is {loss} in epoch {epoch}, step {step} of {steps}, at learning "
        f"rate {rate:.3g}; expected a number. Use a lower --learning-rate or --clip"
    )

"""A batch's gradients in shares, one on each group of CPU cores.

Two threads within an LSTM wait for each other at every token. Copies of the network that share its
weights and have gradients of their own need not: data-parallel training, within one process.

Legend: B rows, T tokens.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from trainer.network.device import prepare_thread, seed_of
from trainer.network.model import SentimentLSTM
from trainer.network.objective import add_gradients
from trainer.settings.recipe import Recipe

# (recipe, input_ids, lengths, targets, weights) → the objective's value; see `add_gradients`.
Gradients = Callable[[Recipe, Tensor, Tensor, Tensor, Tensor], float]
# With fewer rows a product is too thin to keep a core busy.
ROWS_OF_A_SHARE: Final = 16


def share_generators(
    model: SentimentLSTM, batch_size: int, seed: int, epoch: int
) -> list[torch.Generator]:
    """Return what each share of a batch draws from in an epoch.

    On a GPU, with one thread, or with batches too small to share, there is none.

    Args:
        model: the network.
        batch_size: most rows in a batch.
        seed: seed of the run; what a share draws hangs on it, the epoch and the share's number.
        epoch: number of the epoch.
    """
    shares = min(torch.get_num_threads(), batch_size // ROWS_OF_A_SHARE)
    if model.classifier.weight.device.type != "cpu" or shares < 2:
        return []
    return [torch.Generator().manual_seed(seed_of(seed, epoch, i)) for i in range(shares)]


@contextmanager
def gradients_of(
    model: SentimentLSTM, generators: Sequence[torch.Generator]
) -> Iterator[Gradients]:
    """Give what adds a batch's gradients to the model's, for one epoch.

    Args:
        model: in training mode; its weights may move between the batches, not its `requires_grad`.
        generators: one for each share; without any, that is `add_gradients`.
    """
    if not generators:
        yield lambda recipe, *batch: add_gradients(model, recipe, *batch)
        return
    replicas = [_replica(model, generator) for generator in generators]
    shares, threads = len(replicas), torch.get_num_threads()
    pool = ThreadPoolExecutor(shares, "share", prepare_thread, (threads // shares,))
    with pool:
        yield lambda recipe, *batch: _add_shared(pool, model, replicas, recipe, *batch)


def _replica(model: SentimentLSTM, generator: torch.Generator) -> SentimentLSTM:
    """Copy a network; the copy has the same weights in memory, and draws numbers of its own."""
    replica = copy.deepcopy(model)
    for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    replica.draw_from(generator)
    return replica


def _add_shared(
    pool: ThreadPoolExecutor,
    model: SentimentLSTM,
    replicas: Sequence[SentimentLSTM],
    recipe: Recipe,
    *batch: Tensor,
) -> float:
    """Compute the gradients of every n-th row in each replica, and add their sum to the model's.

    Rows of a batch are sorted by length, so every n-th row makes shares of like work.
    """
    rows = len(batch[0])
    replicas = replicas[: max(1, min(len(replicas), rows))]
    shares = [tuple(t[first :: len(replicas)] for t in batch) for first in range(len(replicas))]
    futures = []
    for replica, share in zip(replicas, shares, strict=True):
        replica.zero_grad()
        futures.append(pool.submit(add_gradients, replica, recipe, *share))
    values = [future.result() for future in futures]
    for parameter, *copies in zip(
        model.parameters(), *(replica.parameters() for replica in replicas), strict=True
    ):
        for own in copies:
            if own.grad is None:
                continue
            if parameter.grad is None:
                parameter.grad = own.grad.clone()
            else:
                parameter.grad.add_(own.grad)
    return sum(values)

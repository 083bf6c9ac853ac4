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

# (recipe, input_ids, lengths, targets) → the objective's value; see `add_gradients`.
Gradients = Callable[[Recipe, Tensor, Tensor, Tensor], float]
# With fewer rows a product is too thin to keep a core busy.
ROWS_OF_A_SHARE: Final = 16


@contextmanager
def gradients_of(
    model: SentimentLSTM, batch_size: int, seed: int, epoch: int
) -> Iterator[Gradients]:
    """Give what adds a batch's gradients to the model's, for one epoch.

    On a GPU, with one thread, or with batches too small to share, that is `add_gradients`.

    Args:
        model: in training mode; its weights may move between the batches, not its `requires_grad`.
        batch_size: most rows in a batch.
        seed: seed of the run; what a share draws hangs on it, the epoch and the share's number.
        epoch: number of the epoch.
    """
    threads = torch.get_num_threads()
    shares = min(threads, batch_size // ROWS_OF_A_SHARE)
    if model.classifier.weight.device.type != "cpu" or shares < 2:
        yield lambda recipe, *batch: add_gradients(model, recipe, *batch)
        return
    replicas = [_replica(model, seed_of(seed, epoch, share)) for share in range(shares)]
    pool = ThreadPoolExecutor(shares, "share", prepare_thread, (threads // shares,))
    with pool:
        yield lambda recipe, *batch: _add_shared(pool, model, replicas, recipe, *batch)


def _replica(model: SentimentLSTM, seed: int) -> SentimentLSTM:
    """Copy a network; the copy has the same weights in memory, and draws numbers of its own."""
    replica = copy.deepcopy(model)
    for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    replica.draw_from(torch.Generator().manual_seed(seed))
    return replica


def _add_shared(
    pool: ThreadPoolExecutor,
    model: SentimentLSTM,
    replicas: Sequence[SentimentLSTM],
    recipe: Recipe,
    *batch: Tensor,
) -> float:
    """Compute the gradients of every n-th row in each replica, and add their mean to the model's.

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
    weights = [len(share[0]) / rows for share in shares]
    for parameter, *copies in zip(
        model.parameters(), *(replica.parameters() for replica in replicas), strict=True
    ):
        for own, weight in zip(copies, weights, strict=True):
            if own.grad is None:
                continue
            if parameter.grad is None:
                parameter.grad = own.grad * weight
            else:
                parameter.grad.add_(own.grad, alpha=weight)
    return sum(value * weight for value, weight in zip(values, weights, strict=True))

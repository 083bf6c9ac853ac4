"""Training batches of like length, in an order drawn from (seed, epoch).

Legend: R rows, B rows of a batch.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import progress
from infer.text.encoding import EncodedTexts, Encoder, encode_all

# Rows are sorted by length within pools of this many batches: enough that padding stays at a few
# per cent, few enough that an epoch's batches differ from the last one's.
POOL_BATCHES = 50


def epoch_batches(
    lengths: npt.NDArray[np.int64],
    batch_size: int,
    batch_tokens: int,
    seed: int,
    epoch: int,
) -> list[npt.NDArray[np.int64]]:
    """Group all rows that have tokens into batches of like length, in random order.

    Args:
        lengths: (R,) tokens of each row.
        batch_size: most rows in a batch.
        batch_tokens: most rows x longest row; a single longer row is a batch of its own.
        seed: seed of the run.
        epoch: number of the epoch; the same (seed, epoch) gives the same batches.

    Returns:
        (B,) int64 row numbers of each batch.
    """
    random = np.random.default_rng([seed, epoch])
    rows = random.permutation(np.flatnonzero(lengths))
    pool = batch_size * POOL_BATCHES
    batches: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(rows), pool):
        near = rows[start : start + pool]
        near = near[np.argsort(lengths[near], kind="stable")]
        batches.extend(_cut(near, lengths, batch_size, batch_tokens))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(
    rows: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    batch_size: int,
    batch_tokens: int,
) -> list[npt.NDArray[np.int64]]:
    """Cut rows, sorted from short to long, into batches within both bounds."""
    batches = []
    end = len(rows)
    while end > 0:
        fitting = max(1, min(batch_size, batch_tokens // int(lengths[rows[end - 1]])))
        batches.append(rows[max(0, end - fitting) : end])
        end -= fitting
    return batches


def encode_with_bar(encoder: Encoder, texts: pa.Array, title: str) -> EncodedTexts:
    """Encode many texts, with a progress bar.

    Args:
        encoder: settings and vocabulary.
        texts: (R,) strings.
        title: what the bar says.
    """
    with progress(title, len(texts)) as advance:
        return encode_all(encoder, texts, advance)

"""Rows of like length, padded together under a token budget.

Legend: R texts, B rows, T tokens. Logits are (B,) or, of more than two labels, (B, K).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from infer.text.encoding import EncodedTexts
from infer.text.ranges import ranges
from infer.text.vocabulary import PAD_ID

Rows = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
# (input_ids (B, T) int64, lengths (B,) int32) → the rows' logits, or None where there is no room.
Run = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int32]], Logits | None]


def run_in_batches(
    encoded: EncodedTexts,
    budget: int,
    run: Run,
    rows: Rows | None = None,
    in_turn: Callable[..., Iterable[Logits | None]] = map,
    done: Callable[[Rows], object] = lambda rows: None,
    shape: tuple[int, ...] = (),
) -> Logits:
    """Run texts in batches of like length and put the results back in order.

    Args:
        encoded: R texts.
        budget: padded tokens in a batch.
        run: from a padded batch to its logits; None leaves its rows without one.
        rows: the texts to run (None: all).
        in_turn: `map`, or an executor's, which runs batches side by side.
        done: is told the row numbers of each batch that was run, in this thread.
        shape: of one text's logits, as `infer.model.probability.row_shape` has it.

    Returns:
        (R, *shape) float32 logits, NaN for a text without a token, or that was not run.
    """
    logits = np.full((len(encoded), *shape), np.nan, np.float32)
    rows = np.arange(len(encoded)) if rows is None else rows
    batches = [rows[batch] for batch in plan_batches(encoded.lengths[rows], budget)]
    results = in_turn(lambda batch: run(*pad(encoded, batch)), batches)
    for batch, found in zip(batches, results, strict=True):
        if found is not None:
            logits[batch] = found
            done(batch)
    return logits


def plan_batches(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Group rows so that rows × longest row stays within the budget.

    Longest first: a batch too large for the device shows at once, not at the end. Rows without
    tokens are in no batch; a row longer than the budget is a batch of its own.

    Args:
        lengths: (R,) tokens of each row.
        budget: padded tokens in a batch, at least 1.

    Returns:
        Row numbers of each batch, int64.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    batches = []
    start = 0
    while start < len(order):
        rows = max(1, budget // int(lengths[order[start]]))
        batches.append(order[start : start + rows])
        start += rows
    return batches


def pad(
    encoded: EncodedTexts, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Lay the rows of a batch side by side.

    Args:
        encoded: the texts.
        rows: (B,) row numbers, each with at least one token.

    Returns:
        `input_ids` (B, T) int64, padded with `<pad>`, and `lengths` (B,) int32.
    """
    starts = encoded.offsets[rows]
    lengths = encoded.offsets[rows + 1] - starts
    input_ids = np.full((len(rows), int(lengths.max())), PAD_ID, np.int64)
    input_ids[np.arange(input_ids.shape[1]) < lengths[:, None]] = encoded.ids[
        ranges(starts, lengths)
    ]
    return input_ids, lengths.astype(np.int32)


def padding_share(
    lengths: npt.NDArray[np.int64], batches: Sequence[npt.NDArray[np.int64]]
) -> float:
    """Return the share of a plan's tokens that is padding, 0 to 1."""
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    real = sum(int(lengths[rows].sum()) for rows in batches)
    return 1 - real / padded if padded else 0.0

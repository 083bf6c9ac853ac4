"""Logits of encoded texts, and what they are worth.

Legend: R rows, B rows of a batch, K labels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infer.base.console import progress
from infer.base.interval import interval
from infer.model.probability import (
    Labels,
    decided,
    has_values,
    label_count,
    losses,
    probabilities,
    row_shape,
)
from infer.text.batching import Logits, run_in_batches
from infer.text.encoding import EncodedTexts
from trainer.network.figures import areas, best_threshold, class_figures
from trainer.network.model import SentimentLSTM
from trainer.network.ngrams import NGrams
from trainer.settings.recipe import BEST_F1

BATCH_TOKENS = 8_192


@torch.inference_mode()
def predict(
    model: SentimentLSTM | NGrams,
    encoded: EncodedTexts,
    title: str = "evaluating",
    batch_tokens: int = BATCH_TOKENS,
    compute: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> npt.NDArray[np.float32]:
    """Compute the logits of all texts, in their order; the model's mode is left as it was.

    Args:
        model: the network, on any device, or a part of it.
        encoded: R texts.
        title: what the bar says.
        batch_tokens: padded tokens in a batch.
        compute: what of the model computes the logits of a batch, (B, T) and (B,) → (B,) or
            (B, K); None:
            the whole.

    Returns:
        (R,) or (R, K) float32 logits, NaN where a text has no token.
    """
    device = next(iter(model.state_dict().values())).device

    def run(input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> Logits:
        batch = (torch.from_numpy(array).to(device) for array in (input_ids, lengths))
        logits: Logits = (compute or model)(*batch).float().cpu().numpy()
        return logits

    training = model.training
    model.eval()
    with progress(title, int(np.count_nonzero(encoded.lengths))) as advance:
        logits = run_in_batches(
            encoded,
            batch_tokens,
            run,
            done=lambda rows: advance(len(rows)),
            shape=row_shape(model.labels),
        )
    model.train(training)
    return logits


def measure(
    logits: npt.NDArray[np.float32],
    labels: Labels,
    temperature: float = 1.0,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compare logits with the truth.

    Args:
        logits: (R,) or (R, K) float32; NaN rows (texts without a token) are left out and counted.
        labels: (R,) numbers of the true labels.
        temperature: what logits are divided by before they become scores.
        threshold: the score from which on the positive of two labels is predicted.

    Returns:
        `accuracy` (0 to 1) and its 95 % `interval`, `loss` (mean cross-entropy of the logits as
        they are, in nats), `reviews`, `without_text`, `confusion`, as the function of that name has
        it, and what `class_figures` and `areas` find.
    """
    scored, count = has_values(logits), label_count(logits)
    x, truth = logits[scored], labels[scored]
    found = decide(x, temperature, threshold)
    right = int((found == truth).sum())
    return {
        "accuracy": right / len(x) if len(x) else float("nan"),
        "interval": list(interval(right, len(x))) if len(x) else None,
        "loss": float(losses(x, truth).mean()) if len(x) else float("nan"),
        "reviews": len(x),
        "without_text": int((~scored).sum()),
        "confusion": confusion(found, truth, count),
        **class_figures(found, truth, count),
        **areas(probabilities(x), truth),
    }


def confusion(found: Labels, truth: Labels, labels: int) -> dict[str, int] | list[list[int]]:
    """Count rows by truth and prediction.

    Args:
        found: (R,) numbers of the predicted labels.
        truth: (R,) numbers of the true labels.
        labels: how many there are.

    Returns:
        Of two labels `true_positive`, `false_positive`, `false_negative` and `true_negative`; of
        more K rows, one for each true label, of K counts, one for each prediction.
    """
    cells = np.bincount(truth.astype(np.int64) * labels + found, minlength=labels**2)
    counts: list[list[int]] = cells.reshape(labels, labels).tolist()
    if labels > 2:
        return counts
    return {
        "true_positive": counts[1][1],
        "false_positive": counts[0][1],
        "false_negative": counts[1][0],
        "true_negative": counts[0][0],
    }


def named_confusion(
    counts: dict[str, int] | list[list[int]], names: tuple[str, ...]
) -> dict[str, Any]:
    """Give the labels of a confusion their names: of more than two, truth → prediction → count.

    What never happened, which of many labels is nearly all, is left out.
    """
    if isinstance(counts, dict):
        return counts
    return {
        truth: {name: count for name, count in zip(names, row, strict=True) if count}
        for truth, row in zip(names, counts, strict=True)
    }


def decide(logits: npt.NDArray[np.float32], temperature: float, threshold: float) -> Labels:
    """Return the number of the label that is predicted, (R,), as `sent-score` does.

    Args:
        logits: (R,) or (R, K) float32.
        temperature: what logits are divided by.
        threshold: the score from which on the positive of two labels is predicted.
    """
    return decided(probabilities(logits, temperature).astype(np.float32), threshold)


def threshold_by(
    rule: str, logits: npt.NDArray[np.float32], labels: Labels, temperature: float = 1.0
) -> float:
    """Return the threshold that a recipe asks for.

    Args:
        rule: a number, or `f1`: the one with the highest macro F1 on these rows.
        logits: (R,) float32; NaN rows are left out. Of more than two labels none is asked for.
        labels: (R,) numbers of the true labels.
        temperature: what logits are divided by before they become scores.
    """
    if rule != BEST_F1:
        return float(rule)
    scored = has_values(logits)
    found = probabilities(logits[scored], temperature).astype(np.float32)
    return best_threshold(found, labels[scored])

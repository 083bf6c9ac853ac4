"""Logits of encoded texts, and what they are worth. Legend: R rows, B rows of a batch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from infer.base.console import progress
from infer.model.probability import probability
from infer.text.batching import Logits, run_in_batches
from infer.text.encoding import EncodedTexts
from trainer.network.figures import areas, best_threshold, class_figures, interval
from trainer.network.model import SentimentLSTM
from trainer.settings.recipe import BEST_F1

BATCH_TOKENS = 8_192


@torch.inference_mode()
def predict(
    model: SentimentLSTM,
    encoded: EncodedTexts,
    title: str = "evaluating",
    batch_tokens: int = BATCH_TOKENS,
) -> npt.NDArray[np.float32]:
    """Compute the logits of all texts, in their order; the model's mode is left as it was.

    Args:
        model: the network, on any device.
        encoded: R texts.
        title: what the bar says.
        batch_tokens: padded tokens in a batch.

    Returns:
        (R,) float32 logits of the positive label, NaN where a text has no token.
    """
    device = model.classifier.weight.device

    def run(input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> Logits:
        batch = (torch.from_numpy(array).to(device) for array in (input_ids, lengths))
        logits: Logits = model(*batch).float().cpu().numpy()
        return logits

    training = model.training
    model.eval()
    with progress(title, int(np.count_nonzero(encoded.lengths))) as advance:
        logits = run_in_batches(encoded, batch_tokens, run, done=lambda rows: advance(len(rows)))
    model.train(training)
    return logits


def measure(
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int8],
    temperature: float = 1.0,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compare logits with the truth.

    Args:
        logits: (R,) float32; NaN rows (texts without a token) are left out and counted.
        labels: (R,) int8, 1 positive and 0 negative.
        temperature: what logits are divided by before they become scores.
        threshold: the score from which on the positive label is predicted.

    Returns:
        `accuracy` (0 to 1) and its 95 % `interval`, `loss` (mean binary cross-entropy of the
        logits as they are, in nats), `reviews`, `without_text`, `confusion` (counts by truth and
        prediction), and what `class_figures` and `areas` find.
    """
    scored = ~np.isnan(logits)
    x = logits[scored].astype(np.float64)
    truth = labels[scored] == 1
    predicted = decide(logits[scored], temperature, threshold)
    loss = np.logaddexp(0.0, x) - x * truth
    right = int((predicted == truth).sum())
    return {
        "accuracy": right / len(x) if len(x) else float("nan"),
        "interval": interval(right, len(x)) if len(x) else None,
        "loss": float(loss.mean()) if len(x) else float("nan"),
        "reviews": len(x),
        "without_text": int((~scored).sum()),
        "confusion": {
            "true_positive": int((predicted & truth).sum()),
            "false_positive": int((predicted & ~truth).sum()),
            "false_negative": int((~predicted & truth).sum()),
            "true_negative": int((~predicted & ~truth).sum()),
        },
        **class_figures(predicted.astype(np.int8), truth.astype(np.int8), 2),
        **areas(x, truth.astype(np.int8)),
    }


def decide(
    logits: npt.NDArray[np.float32], temperature: float, threshold: float
) -> npt.NDArray[np.bool_]:
    """Tell where the positive label is predicted, (R,), as `sent-score` does; not where NaN is."""
    return probability(logits, temperature) >= threshold


def threshold_by(
    rule: str,
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int8],
    temperature: float = 1.0,
) -> float:
    """Return the threshold that a recipe asks for.

    Args:
        rule: a number, or `f1`: the one with the highest macro F1 on these rows.
        logits: (R,) float32; NaN rows are left out.
        labels: (R,) int8, 1 positive and 0 negative.
        temperature: what logits are divided by before they become scores.
    """
    if rule != BEST_F1:
        return float(rule)
    scored = ~np.isnan(logits)
    return best_threshold(probability(logits[scored], temperature), labels[scored])

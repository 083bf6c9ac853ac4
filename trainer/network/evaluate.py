"""Logits of encoded texts, and what they are worth. Legend: R rows, B rows of a batch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from infer.base.console import Console
from infer.text.batching import pad, plan_batches
from infer.text.encoding import EncodedTexts
from trainer.network.model import SentimentLSTM

BATCH_TOKENS = 8_192


@torch.inference_mode()
def predict(
    model: SentimentLSTM,
    encoded: EncodedTexts,
    console: Console,
    title: str = "evaluating",
    batch_tokens: int = BATCH_TOKENS,
) -> npt.NDArray[np.float32]:
    """Compute the logits of all texts, in their order; the model's mode is left as it was.

    Args:
        model: the network, on any device.
        encoded: R texts.
        console: where a progress bar is shown.
        title: what the bar says.
        batch_tokens: padded tokens in a batch.

    Returns:
        (R,) float32 logits of the positive label, NaN where a text has no token.
    """
    logits = np.full(len(encoded), np.nan, np.float32)
    device = model.classifier.weight.device
    training = model.training
    model.eval()
    with console.progress() as progress:
        task = progress.add_task(title, total=int(np.count_nonzero(encoded.lengths)))
        for rows in plan_batches(encoded.lengths, batch_tokens):
            input_ids, lengths = (torch.from_numpy(a).to(device) for a in pad(encoded, rows))
            logits[rows] = model(input_ids, lengths).float().cpu().numpy()
            progress.advance(task, len(rows))
    model.train(training)
    return logits


def measure(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]) -> dict[str, Any]:
    """Compare logits with the truth.

    Args:
        logits: (R,) float32; NaN rows (texts without a token) are left out and counted.
        labels: (R,) int8, 1 positive and 0 negative.

    Returns:
        `accuracy` (0 to 1), `loss` (mean binary cross-entropy in nats), `reviews`, `without_text`
        and `confusion` (counts by truth and prediction).
    """
    scored = ~np.isnan(logits)
    x = logits[scored].astype(np.float64)
    truth = labels[scored] == 1
    predicted = x > 0
    loss = np.logaddexp(0.0, x) - x * truth
    return {
        "accuracy": float((predicted == truth).mean()) if len(x) else float("nan"),
        "loss": float(loss.mean()) if len(x) else float("nan"),
        "reviews": len(x),
        "without_text": int((~scored).sum()),
        "confusion": {
            "true_positive": int((predicted & truth).sum()),
            "false_positive": int((predicted & ~truth).sum()),
            "false_negative": int((~predicted & truth).sum()),
            "true_negative": int((~predicted & ~truth).sum()),
        },
    }

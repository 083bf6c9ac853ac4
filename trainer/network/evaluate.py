"""Logits of encoded texts, and what they are worth. Legend: R rows, B rows of a batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from infer.base.console import progress
from infer.text.batching import Logits, run_in_batches
from infer.text.encoding import EncodedTexts

BATCH_TOKENS = 8_192


@torch.inference_mode()
def predict(
    model: nn.Module,
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
        compute: what of the model computes the logits of a batch, (B, T) and (B,) → (B,); None:
            the whole.

    Returns:
        (R,) float32 logits of the positive label, NaN where a text has no token.
    """
    device = next(iter(model.state_dict().values())).device

    def run(input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> Logits:
        batch = (torch.from_numpy(array).to(device) for array in (input_ids, lengths))
        logits: Logits = (compute or model)(*batch).float().cpu().numpy()
        return logits

    training = model.training
    model.eval()
    with progress(title, int(np.count_nonzero(encoded.lengths))) as advance:
        logits = run_in_batches(encoded, batch_tokens, run, done=lambda rows: advance(len(rows)))
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

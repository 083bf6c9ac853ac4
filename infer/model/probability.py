"""From logits to probabilities, the one way of the whole toolkit. Legend: R rows."""

from typing import Any

import numpy as np
import numpy.typing as npt


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Turn logits of any size into probabilities, without overflow: (R,) → (R,) float64.

    Example:
        >>> sigmoid(np.array([0.0, 1000.0])).tolist()
        [0.5, 1.0]
    """
    halves: npt.NDArray[np.float64] = np.tanh(logits.astype(np.float64) / 2)
    return 0.5 * (1 + halves)


def probability(
    logits: npt.NDArray[np.float32], temperature: float = 1.0
) -> npt.NDArray[np.float32]:
    """Return the probability of the positive label: (R,) float32 logits → (R,) float32.

    Args:
        logits: NaN stays NaN.
        temperature: what logits are divided by first, above 0 (Guo et al. 2017).
    """
    return sigmoid(logits.astype(np.float64) / temperature).astype(np.float32)

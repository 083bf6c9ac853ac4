"""From logits to labels and probabilities, the one way of the whole toolkit.

Two labels have one logit a text, that of the second, the positive one. More labels have one logit
each. So logits are (R,) or (R, K), and what is made of them has the same shape: probabilities of
the positive label, or of every label. No other module tells the two apart.

Legend: R rows, K labels.
"""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Precise = TypeVar("Precise", np.float32, np.float64)
# Numbers of labels: positions in the tuple of their names.
Labels = npt.NDArray[np.int16]


def row_shape(labels: int) -> tuple[int, ...]:
    """Return the shape of one text's logits: () for two labels, (K,) for more.

    Example:
        >>> row_shape(2), row_shape(5)
        ((), (5,))
    """
    return () if labels == 2 else (labels,)


def label_count(values: Floats) -> int:
    """Return how many labels logits or probabilities (R,) or (R, K) are of."""
    return 2 if values.ndim == 1 else values.shape[1]


def sigmoid(logits: Floats) -> npt.NDArray[np.float64]:
    """Turn logits of any size into probabilities, without overflow: (R,) → (R,) float64.

    Example:
        >>> sigmoid(np.array([0.0, 1000.0])).tolist()
        [0.5, 1.0]
    """
    halves: npt.NDArray[np.float64] = np.tanh(logits.astype(np.float64) / 2)
    return 0.5 * (1 + halves)


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Turn logits of any size into probabilities that add up to 1: (R, K) → (R, K) float64.

    Example:
        >>> softmax(np.array([[0.0, 0.0], [0.0, 1000.0]])).tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def probabilities(logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Return the probability of the positive label, or of each label, in the logits' shape.

    Args:
        logits: (R,) or (R, K); NaN stays NaN.
        temperature: what logits are divided by first, above 0 (Guo et al. 2017).
    """
    cooled = logits.astype(np.float64) / temperature
    return sigmoid(cooled) if logits.ndim == 1 else softmax(cooled)


def of_each_label(probabilities: npt.NDArray[Precise]) -> npt.NDArray[Precise]:
    """Return the probabilities of two labels too as a column for each: (R,) or (R, K) → (R, K)."""
    if probabilities.ndim == 1:
        return np.stack((1 - probabilities, probabilities), axis=1)
    return probabilities


def scores(probabilities: npt.NDArray[Precise]) -> npt.NDArray[Precise]:
    """Return the score of each row: (R,).

    That is the probability of the positive label, or the greatest one of more than two, which is
    the prediction's.
    """
    if probabilities.ndim == 1:
        return probabilities
    greatest: npt.NDArray[Precise] = probabilities.max(axis=1)
    return greatest


def predicted(values: Floats, middle: float = 0.0) -> Labels:
    """Return the number of the likeliest label: (R,) int16; of a row of NaN it means nothing.

    Args:
        values: (R,) or (R, K) logits, or probabilities with `middle` 0.5.
        middle: above it a value of (R,) speaks for the positive label.
    """
    found = np.greater(values, middle) if values.ndim == 1 else values.argmax(axis=1)
    numbers: Labels = found.astype(np.int16)
    return numbers


def certain(numbers: npt.NDArray[np.integer[Any]], labels: int) -> npt.NDArray[np.float32]:
    """Return the probabilities of labels that are known, 0 and 1: (R,) → (R,) or (R, K) float32.

    Args:
        numbers: (R,) of the true labels; any that is none gives zeros.
        labels: how many there are.
    """
    one_hot = numbers[:, None] == np.arange(labels)  # (R, K)
    known: npt.NDArray[np.float32] = one_hot.astype(np.float32)
    return known[:, 1] if row_shape(labels) == () else known


def losses(logits: Floats, numbers: Labels) -> npt.NDArray[np.float64]:
    """Return each row's cross-entropy, in nats: (R,) float64.

    Args:
        logits: (R,) or (R, K).
        numbers: (R,) of the true labels.
    """
    x = logits.astype(np.float64)
    found: npt.NDArray[np.float64]
    if x.ndim == 1:
        found = np.logaddexp(0.0, x) - x * (numbers == 1)
    else:
        own = np.take_along_axis(x, numbers[:, None].astype(np.int64), axis=1)[:, 0]
        found = np.logaddexp.reduce(x, axis=1) - own
    return found


def margins(logits: Floats) -> npt.NDArray[np.float64]:
    """Return by how much the predicted label is ahead of the next: (R,) or (R, K) → (R,)."""
    x = logits.astype(np.float64)
    if x.ndim == 1:
        return np.abs(x)
    highest = np.partition(x, -2, axis=1)[:, -2:]  # (R, 2)
    ahead: npt.NDArray[np.float64] = highest[:, 1] - highest[:, 0]
    return ahead


def decided(probabilities: Floats, threshold: float = 0.5) -> Labels:
    """Return the number of the label that is predicted: (R,) int16; of NaN it means nothing.

    Args:
        probabilities: (R,) or (R, K), as precise as they are shown.
        threshold: from it on a probability of (R,) is enough for the positive label.
    """
    if probabilities.ndim > 1:
        return predicted(probabilities)
    numbers: Labels = np.greater_equal(probabilities, threshold).astype(np.int16)
    return numbers


def has_values(values: Floats) -> npt.NDArray[np.bool_]:
    """Tell which rows of (R,) or (R, K) have values; a text without a token has NaN: (R,) bool."""
    known: npt.NDArray[np.bool_] = ~np.isnan(values)
    if values.ndim > 1:
        known = np.logical_and.reduce(known, axis=1)
    return known


def hits(values: Floats, labels: Labels) -> npt.NDArray[np.bool_]:
    """Tell in which rows a score is the probability of what is true: (R,) bool.

    So many in ten should be, where the score is that. For two labels it is where the label is the
    positive one, whatever was predicted; for more, where the prediction is right.

    Args:
        values: (R,) or (R, K) logits or probabilities.
        labels: (R,) numbers of the true labels.
    """
    said = np.ones_like(labels) if values.ndim == 1 else predicted(values)
    true: npt.NDArray[np.bool_] = said == labels
    return true

"""What scoring says of a text: score, prediction, status, and further figures where asked for.

Legend: R rows, K labels, F further columns.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from infer.model.card import ModelCard
from infer.model.labels import label_numbers
from infer.model.probability import Labels, decided, of_each_label, probabilities, scores

EXPECTED: Final = "expected"
PROBABILITY: Final = "probability"
CONFIDENT: Final = "confident"


@dataclass(frozen=True)
class Scores:
    """What is said of R consecutive rows.

    Attributes:
        score: (R,) float32 probability of the positive label, or of the predicted one where there
            are more than two; NaN where there is none.
        prediction: (R,) int16 number of the predicted label; without a score it means nothing.
        status: (R,) uint8, positions in `infer.text.statuses.STATUSES`.
        further: (R, F) float32, the columns that `further_columns` names.
    """

    score: npt.NDArray[np.float32]
    prediction: Labels
    status: npt.NDArray[np.uint8]
    further: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.score)

    def slice(self, start: int, end: int) -> "Scores":
        """Return the rows from `start` to before `end`."""
        rows = slice(start, end)
        return Scores(
            self.score[rows], self.prediction[rows], self.status[rows], self.further[rows]
        )


def further_columns(card: ModelCard, with_probabilities: bool) -> tuple[str, ...]:
    """Return the names of the columns of numbers behind score, prediction and status.

    Args:
        card: of the model; of ordered labels the expected value is told.
        with_probabilities: whether the probability of each label is asked for.
    """
    expected = [EXPECTED] if card.ordinal else []
    named = [f"{PROBABILITY}_{label}" for label in card.labels] if with_probabilities else []
    return (*expected, *named)


def make_scores(
    logits: npt.NDArray[np.float32],
    status: npt.NDArray[np.uint8],
    card: ModelCard,
    with_probabilities: bool,
) -> Scores:
    """Turn logits into what is said of their rows.

    Args:
        logits: (R,) or (R, K) float32, NaN for a row without a token.
        status: (R,) uint8.
        card: of the model: its temperature, threshold and labels.
        with_probabilities: see `further_columns`.
    """
    exact = probabilities(logits, card.temperature)
    further = [expected_values(exact, card.labels)[:, None]] if card.ordinal else []
    further += [of_each_label(exact)] if with_probabilities else []
    found = plain_scores(exact, status, card.threshold)
    return replace(
        found, further=np.concatenate((found.further, *further), axis=1).astype(np.float32)
    )


def plain_scores(
    probabilities: npt.NDArray[np.float64], status: npt.NDArray[np.uint8], threshold: float
) -> Scores:
    """Turn probabilities into what is said of their rows, without further columns.

    Args:
        probabilities: (R,) or (R, K), NaN for a row without a token.
        status: (R,) uint8.
        threshold: the score from which on the positive of two labels is predicted.
    """
    found = probabilities.astype(np.float32)
    none = np.zeros((len(found), 0), np.float32)
    return Scores(scores(found), decided(found, threshold), status, none)


def expected_values(
    probabilities: npt.NDArray[np.float64], labels: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Return the mean of the numbers that labels are called by, weighted by probability.

    Args:
        probabilities: (R, K).
        labels: K names that are numbers, such as stars.

    Returns:
        (R,) float64.
    """
    values: npt.NDArray[np.float64] = probabilities @ np.array(label_numbers(labels), np.float64)
    return values


def join_scores(parts: list[Scores]) -> Scores:
    """Lay the rows of several parts, one or more, one after the other."""
    return Scores(
        score=np.concatenate([part.score for part in parts]),
        prediction=np.concatenate([part.prediction for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        further=np.concatenate([part.further for part in parts]),
    )


def no_scores(further: int) -> Scores:
    """Return the scores of no rows, with so many further columns."""
    return Scores(
        score=np.zeros(0, np.float32),
        prediction=np.zeros(0, np.int16),
        status=np.zeros(0, np.uint8),
        further=np.zeros((0, further), np.float32),
    )

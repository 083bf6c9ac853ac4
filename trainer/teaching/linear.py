"""The linear model: logistic regression on n-grams weighted by naive Bayes.

After Wang and Manning, "Baselines and Bigrams" (2012), with logistic regression in place of their
support vector machine. It is fitted within a minute, stands beside every network
(`trainer.teaching.beside`), errs in other places than an LSTM, and its probabilities for unlabelled
texts are what an LSTM can be trained on (`trainer.teaching.self_training`).

Of more than two labels each has such a model of its own, against all others.

Legend: R rows, F n-grams, C columns: one of two labels, else one a label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.console import say
from infer.base.errors import InputError
from infer.model.probability import Labels, row_shape
from infer.text.chunks import HTML_BREAK, visible

NGRAMS: Final = (1, 3)
TOKEN: Final = r"\w+|[^\w\s]"  # words, and each punctuation mark: "!" and "?" tell
MIN_REVIEWS: Final = 2
# The regression's inverse penalty: fast.ai's choice for the same features of the same reviews.
STRENGTH: Final = 0.1
ROWS: Final = 1_000
# Of many labels only so many n-grams are kept, the most frequent ones, that the weights have room.
MOST_WEIGHTS: Final = 100_000_000


@dataclass(frozen=True)
class LinearTeacher:
    """A fitted linear model.

    Attributes:
        vectorizer: scikit-learn's, from texts to a sparse (R, F) matrix of 0 and 1.
        weights: (F, C) float64.
        bias: (C,) float64, added to every row's logits.
        labels: how many there are.
    """

    vectorizer: Any
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    labels: int

    def logits(
        self, texts: pa.Array, advance: Callable[[int], object] = lambda rows: None
    ) -> npt.NDArray[np.float32]:
        """Compute the logits, of the positive label or of each.

        Args:
            texts: (R,) strings.
            advance: called with the number of rows after each block of them.

        Returns:
            (R,) or (R, K) float32.
        """
        logits = np.empty((len(texts), len(self.bias)), np.float32)
        for start in range(0, len(texts), ROWS):
            block = plain(texts.slice(start, ROWS))
            logits[start : start + ROWS] = self.vectorizer.transform(block) @ self.weights
            advance(len(block))
        logits += self.bias.astype(np.float32)
        return logits.reshape(len(texts), *row_shape(self.labels))


def fit_teacher(texts: pa.Array, numbers: Labels, seed: int, labels: int = 2) -> LinearTeacher:
    """Fit the linear model.

    Args:
        texts: (R,) strings, the reviews that are trained on and no others.
        numbers: (R,) of their labels.
        seed: decides the order in which the regression visits the rows.
        labels: how many there are.

    Raises:
        InputError: there are too few reviews, or a label has none.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    say(f"fitting a linear model of n-grams on {len(texts):,} reviews")
    vectorizer = CountVectorizer(
        ngram_range=NGRAMS,
        token_pattern=TOKEN,
        min_df=MIN_REVIEWS,
        max_features=MOST_WEIGHTS // labels,
        binary=True,
    )
    try:
        found = vectorizer.fit_transform(plain(texts)).astype(np.float64)  # (R, F)
        told = range(labels) if labels > 2 else (1,)
        columns = [_fit(found, numbers == label, seed) for label in told]
    except ValueError as error:
        raise InputError(
            f"the linear model cannot be fitted on {len(texts):,} reviews ({error})"
        ) from error
    weights, bias = zip(*columns, strict=True)
    return LinearTeacher(vectorizer, np.stack(weights, axis=1), np.array(bias), labels)


def _fit(
    found: Any, positive: npt.NDArray[np.bool_], seed: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Tell positive reviews (R,) from all others: weights (F,) of the n-grams, and a bias."""
    ratios = log_ratios(found, positive)
    weights, bias = _regression(found.multiply(ratios).tocsr(), positive, seed)
    return weights * ratios, bias


def log_ratios(found: Any, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Say how much likelier each n-gram is in a positive review: (F,) float64, in nats.

    Args:
        found: sparse (R, F) matrix of 0 and 1.
        positive: (R,) bool.
    """
    shares = [
        (np.asarray(found[rows].sum(axis=0)).ravel() + 1) / (np.count_nonzero(rows) + 1)
        for rows in (positive, ~positive)
    ]
    ratios: npt.NDArray[np.float64] = np.log(shares[0] / shares[1])
    return ratios


def _regression(
    features: Any, positive: npt.NDArray[np.bool_], seed: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Fit logistic regression: weights (F,) and bias."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=STRENGTH, solver="liblinear", dual=True, max_iter=1_000, random_state=seed
    )
    model.fit(features, positive)
    return model.coef_[0], float(model.intercept_[0])


def plain(texts: pa.Array) -> list[str]:
    """Return texts without HTML breaks and characters that nobody sees."""
    found: list[str] = pc.replace_substring_regex(visible(texts), HTML_BREAK, " ").to_pylist()
    return found

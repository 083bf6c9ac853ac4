"""The linear model: logistic regression on n-grams weighted by naive Bayes.

After Wang and Manning, "Baselines and Bigrams" (2012), with logistic regression in place of their
support vector machine. It is fitted within a minute, stands beside every network
(`trainer.teaching.beside`), errs in other places than an LSTM, and its probabilities for unlabelled
texts are what an LSTM can be trained on (`trainer.teaching.self_training`).

Legend: R rows, F n-grams.
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
from infer.text.chunks import HTML_BREAK, visible

NGRAMS: Final = (1, 3)
TOKEN: Final = r"\w+|[^\w\s]"  # words, and each punctuation mark: "!" and "?" tell
MIN_REVIEWS: Final = 2
# The regression's inverse penalty: fast.ai's choice for the same features of the same reviews.
STRENGTH: Final = 0.1
ROWS: Final = 1_000


@dataclass(frozen=True)
class LinearTeacher:
    """A fitted linear model.

    Attributes:
        vectorizer: scikit-learn's, from texts to a sparse (R, F) matrix of 0 and 1.
        weights: (F,) float64.
        bias: added to every logit.
    """

    vectorizer: Any
    weights: npt.NDArray[np.float64]
    bias: float

    def logits(
        self, texts: pa.Array, advance: Callable[[int], object] = lambda rows: None
    ) -> npt.NDArray[np.float32]:
        """Compute the logits of the positive label.

        Args:
            texts: (R,) strings.
            advance: called with the number of rows after each block of them.

        Returns:
            (R,) float32.
        """
        logits = np.empty(len(texts), np.float32)
        for start in range(0, len(texts), ROWS):
            block = plain(texts.slice(start, ROWS))
            logits[start : start + ROWS] = self.vectorizer.transform(block) @ self.weights
            advance(len(block))
        return logits + np.float32(self.bias)


def fit_teacher(texts: pa.Array, labels: npt.NDArray[np.int8], seed: int) -> LinearTeacher:
    """Fit the linear model.

    Args:
        texts: (R,) strings, the reviews that are trained on and no others.
        labels: (R,) int8, 1 positive and 0 negative.
        seed: decides the order in which the regression visits the rows.

    Raises:
        InputError: there are too few reviews, or all are of one label.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    say(f"fitting a linear model of n-grams on {len(texts):,} reviews")
    vectorizer = CountVectorizer(
        ngram_range=NGRAMS, token_pattern=TOKEN, min_df=MIN_REVIEWS, binary=True
    )
    try:
        found = vectorizer.fit_transform(plain(texts)).astype(np.float64)  # (R, F)
        ratios = log_ratios(found, labels)
        weights, bias = _regression(found.multiply(ratios).tocsr(), labels, seed)
    except ValueError as error:
        raise InputError(
            f"the linear model cannot be fitted on {len(texts):,} reviews ({error})"
        ) from error
    return LinearTeacher(vectorizer, weights * ratios, bias)


def log_ratios(found: Any, labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Say how much likelier each n-gram is in a positive review: (F,) float64, in nats.

    Args:
        found: sparse (R, F) matrix of 0 and 1.
        labels: (R,) int8.
    """
    positive = labels == 1
    shares = [
        (np.asarray(found[rows].sum(axis=0)).ravel() + 1) / (np.count_nonzero(rows) + 1)
        for rows in (positive, ~positive)
    ]
    ratios: npt.NDArray[np.float64] = np.log(shares[0] / shares[1])
    return ratios


def _regression(
    features: Any, labels: npt.NDArray[np.int8], seed: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Fit logistic regression: weights (F,) and bias."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=STRENGTH, solver="liblinear", dual=True, max_iter=1_000, random_state=seed
    )
    model.fit(features, labels)
    return model.coef_[0], float(model.intercept_[0])


def plain(texts: pa.Array) -> list[str]:
    """Return texts without HTML breaks and characters that nobody sees."""
    found: list[str] = pc.replace_substring_regex(visible(texts), HTML_BREAK, " ").to_pylist()
    return found

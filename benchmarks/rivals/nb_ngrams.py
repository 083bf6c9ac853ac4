"""Naive-Bayes-weighted n-grams of words and logistic regression by scikit-learn.

Wang and Manning, "Baselines and Bigrams" (2012), with logistic regression in place of their support
vector machine: of the linear models the most accurate one on these reviews. Every n-gram has a
weight of its own, and texts are read whole. The trainer's linear model (`trainer.teaching.linear`)
is its cheaper sister: hashed, and over the network's tokens.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainer.teaching.self_training import plain

TOKEN = r"\w+|[^\w\s]"  # words, and each punctuation mark: "!" and "?" tell


def fit_and_score(train: pa.Table, test: pa.Array, seed: int) -> npt.NDArray[np.float64]:
    """Fit on labelled reviews (`text`, `label`) and return the logits of others: (R,) float64."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    labels = train["label"].to_numpy()
    vectorizer = CountVectorizer(ngram_range=(1, 3), token_pattern=TOKEN, min_df=2, binary=True)
    found = vectorizer.fit_transform(plain(train["text"].combine_chunks())).astype(np.float64)
    shares = [
        (np.asarray(found[labels == label].sum(axis=0)).ravel() + 1) / (np.sum(labels == label) + 1)
        for label in (1, 0)
    ]
    ratios = np.log(shares[0] / shares[1])
    # The inverse penalty is fast.ai's choice for the same features of the same reviews.
    model = LogisticRegression(
        C=0.1, solver="liblinear", dual=True, max_iter=1_000, random_state=seed
    )
    model.fit(found.multiply(ratios).tocsr(), labels)
    features = vectorizer.transform(plain(test)).multiply(ratios).tocsr()
    logits: npt.NDArray[np.float64] = model.decision_function(features)
    return logits

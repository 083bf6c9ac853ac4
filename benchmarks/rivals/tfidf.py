"""TF-IDF and logistic regression by scikit-learn."""

from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.rivals.command import run


def score(texts: list[str], model: Path) -> npt.NDArray[np.float64]:
    """Load the fitted pipeline and score."""
    scores: npt.NDArray[np.float64] = joblib.load(model).predict_proba(texts)[:, 1]
    return scores


def fit(reviews: pa.Table, path: Path, words: int) -> None:
    """Fit on labelled reviews and keep the pipeline.

    Args:
        reviews: `text` and `label`.
        path: where the pipeline goes (a pickle of this run, in its work folder).
        words: longest run of words that is counted.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, words), min_df=2, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=200),
    )
    pipeline.fit(reviews["text"].to_pylist(), reviews["label"].to_numpy())
    joblib.dump(pipeline, path)


if __name__ == "__main__":
    run(score, __doc__ or "")

"""fastText with word pairs: pip install fasttext-numpy2-wheel (CPython 3.11, NumPy 2)."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.rivals.command import run

_WORDS = re.compile(r"\w+|[^\w\s]")


def score(texts: list[str], model: Path) -> npt.NDArray[np.float32]:
    """Load the model and score; one thread, as the library has no more for this."""
    import fasttext

    labels, probabilities = fasttext.load_model(str(model)).predict([line(t) for t in texts])
    positive = np.array([label[0] == "__label__1" for label in labels])
    best = np.array([probability[0] for probability in probabilities], np.float32)
    return np.where(positive, best, 1 - best).astype(np.float32)


def line(text: str) -> str:
    """Lower the text and part words from marks, on one line."""
    return " ".join(_WORDS.findall(text.replace("<br />", " ").lower()))


def fit(reviews: pa.Table, path: Path) -> None:
    """Train on labelled reviews."""
    import fasttext

    examples = path.with_suffix(".txt")
    with examples.open("w", encoding="utf-8") as file:
        for review in reviews.to_pylist():
            file.write(f"__label__{review['label']} {line(review['text'])}\n")
    model = fasttext.train_supervised(
        str(examples), epoch=5, lr=0.5, wordNgrams=2, dim=50, minCount=2, verbose=0, thread=1
    )
    model.save_model(str(path))


if __name__ == "__main__":
    run(score, __doc__ or "")

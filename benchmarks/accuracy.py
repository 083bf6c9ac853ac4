"""Test accuracy of the linear models, and of model files: `python -m benchmarks.accuracy`.

The linear models are fitted on all training reviews. Nothing is chosen here: the test reviews are
read once, for the figures that are printed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import SEED
from benchmarks.harness.contract import Settings
from benchmarks.harness.formats import markdown
from benchmarks.harness.machine import machine, versions
from benchmarks.harness.processes import run_process, score_command
from benchmarks.harness.reviews import data_name, find_data, reviews
from benchmarks.rivals import nb_ngrams, tfidf
from infer.model.probability import sigmoid
from infer.model.shipped import SHIPPED, find_model
from trainer.network.calibration import calibration_error

# Training and test reviews, a folder to work in → (R,) probability of the positive label.
Scorer = Callable[[pa.Table, pa.Table, Path], npt.NDArray[np.floating[Any]]]
COLUMNS = ("model", "accuracy %", "calibration error %", "seconds, fitting included")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, score, print a table."""
    given = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="sent-accuracy-") as work:
        settings = Settings(mode="full", work=Path(work), data=find_data(given.data))
        train, test = (reviews(settings, part, given.rows) for part in ("train", "test"))
        rows = list(measure(scorers(given.model), train, test, settings.work))
    facts = machine()
    print(markdown(COLUMNS, rows))
    print(
        f"\n{data_name(settings)}: {train.num_rows:,} training reviews, {test.num_rows:,} test "
        f"reviews; seed {SEED}; {facts['cpu']}, {facts['cores']} cores; scikit-learn "
        f"{versions()['scikit-learn']}"
    )
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with train.parquet and test.parquet (default: $SENT_IMDB, "
        "../shared/data/imdb, or generated reviews)",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        default=list(SHIPPED),
        help="model files, or names of shipped ones (default: all that are shipped)",
    )
    parser.add_argument("--rows", type=int, default=25_000, help="at most so many of each part")
    return parser.parse_args(arguments)


def scorers(models: Sequence[str]) -> dict[str, Scorer]:
    """Return what is compared, by name."""
    return {
        "logistic regression, TF-IDF of words": partial(by_tfidf, 1),
        "logistic regression, TF-IDF of 1-2-grams": partial(by_tfidf, 2),
        "logistic regression, NB-weighted 1-3-grams": by_nb_ngrams,
        **{model: partial(by_model_file, find_model(model)[0]) for model in models},
    }


def measure(
    models: dict[str, Scorer], train: pa.Table, test: pa.Table, work: Path
) -> Iterator[tuple[Any, ...]]:
    """Yield a row of the table for each model."""
    labels = test["label"].to_numpy()
    for name, scorer in models.items():
        began = time.perf_counter()
        scores = scorer(train, test, work).astype(np.float64)
        seconds = time.perf_counter() - began
        accuracy = float(np.mean((scores >= 0.5) == (labels == 1)))
        yield name, 100 * accuracy, 100 * calibration_error(scores, labels), seconds


def by_tfidf(
    words: int, train: pa.Table, test: pa.Table, work: Path
) -> npt.NDArray[np.floating[Any]]:
    """Fit TF-IDF of runs of up to so many words, and score."""
    path = work / f"tfidf-{words}.joblib"
    tfidf.fit(train, path, words)
    return tfidf.score(test["text"].to_pylist(), path)


def by_nb_ngrams(train: pa.Table, test: pa.Table, work: Path) -> npt.NDArray[np.floating[Any]]:
    """Fit n-grams weighted by naive Bayes, and score."""
    return sigmoid(nb_ngrams.fit_and_score(train, test["text"].combine_chunks(), SEED))


def by_model_file(
    model: Path, train: pa.Table, test: pa.Table, work: Path
) -> npt.NDArray[np.floating[Any]]:
    """Score with `sent-score`."""
    source, output = work / "test.parquet", work / "scores.parquet"
    pq.write_table(test, source)
    run_process(score_command(source, output, model.resolve()))
    scores: npt.NDArray[np.float32] = pq.read_table(output)["score"].to_numpy()
    return scores


if __name__ == "__main__":
    sys.exit(main())

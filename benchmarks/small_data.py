"""Default networks beside linear models, on small tables: `python -m benchmarks.small_data`.

Each table is trained on with each seed by `trainer.train`; the linear models of words are fitted on
the same rows, validation among them. A figure that is there already (`--results`) is not made anew.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import trainer
from benchmarks.harness import RESULTS, ROOT, SEED
from benchmarks.harness.contract import Settings
from benchmarks.harness.formats import markdown
from benchmarks.harness.machine import machine
from benchmarks.harness.reviews import find_data, reviews
from benchmarks.rivals import nb_ngrams, tfidf

TEST_ROWS: Final = 2_500
LOPSIDED: Final = 20  # one review in so many is positive
SENTENCE: Final = re.compile(r"[^.!?]+[.!?]*")
COLUMNS: Final = (
    "table", "seeds", "network %", "±", "linear model beside it %", "TF-IDF of words %",
    "NB-weighted 1-3-grams %", "most frequent label %", "network against the best linear",
)  # fmt: skip
Parts = tuple[pa.Table, pa.Table]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is not there yet, and print the table."""
    given = parse(arguments)
    settings = Settings(mode="full", work=Path(), data=find_data(given.data))
    found = read(given.results)
    for name in given.table:
        train, test = TABLES[name](settings)
        for seed in range(SEED, SEED + given.seeds):
            key = f"{name} {given.recipe} {seed}"
            if key not in found:
                found[key] = measure(train, test.slice(0, given.test_rows), seed, given)
                write(given.results, found)
                print(key, json.dumps(found[key]), file=sys.stderr)
    print(markdown(COLUMNS, list(rows_of(found, given.recipe))))
    print(f"\nRecipe {given.recipe}; {machine()['cpu']}; {given.threads} thread(s)")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_data", description=__doc__)
    parser.add_argument("--data", type=Path, help="IMDB's folder (default: as benchmarks.accuracy)")
    parser.add_argument("--table", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="small", choices=list(trainer.RECIPES))
    parser.add_argument("--test-rows", type=int, help="fewer of them, for a quick look")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS / "small_data.json")
    return parser.parse_args(arguments)


def first_reviews(rows: int, test_rows: int = TEST_ROWS) -> Callable[[Settings], Parts]:
    """Return what takes so many training reviews, drawn from all, and test reviews."""
    return lambda settings: (reviews(settings, "train", rows), reviews(settings, "test", test_rows))


def sentences(settings: Settings) -> Parts:
    """Return 5,000 reviews cut to their last sentence, which mostly sums up."""
    return tuple(map(_last_sentence, first_reviews(5_000)(settings)))  # type: ignore[return-value]


def _last_sentence(table: pa.Table) -> pa.Table:
    texts = [
        (SENTENCE.findall(text.replace("<br />", " ").strip()) or [text])[-1].strip() or text
        for text in table["text"].to_pylist()
    ]
    return table.set_column(0, "text", pa.array(texts, pa.string()))


def lopsided(settings: Settings) -> Parts:
    """Return 4,000 training reviews, and test reviews, of which 5 % are positive."""
    return tuple(  # type: ignore[return-value]
        _thinned(reviews(settings, part, 25_000), rows)
        for part, rows in (("train", 4_000), ("test", TEST_ROWS))
    )


def _thinned(table: pa.Table, rows: int) -> pa.Table:
    labels = table["label"].to_numpy()
    positive, negative = (np.flatnonzero(labels == label) for label in (1, 0))
    few = min(rows // LOPSIDED, len(positive))
    kept = np.concatenate((positive[:few], negative[: rows - few]))
    return table.take(np.random.default_rng(SEED).permutation(kept)).combine_chunks()


def sample(settings: Settings) -> Parts:
    """Return the embedded sample."""
    parts = (pq.read_table(ROOT / "data" / f"{part}.parquet") for part in ("train", "test"))
    return tuple(part.select(["text", "label"]) for part in parts)  # type: ignore[return-value]


TABLES: Final[Mapping[str, Callable[[Settings], Parts]]] = {
    "500 reviews": first_reviews(500),
    "2,000 reviews": first_reviews(2_000),
    "5,000 reviews": first_reviews(5_000),
    "25,000 reviews": first_reviews(
        25_000, 25_000
    ),  # their scoring takes little beside the training
    "5,000 sentences": sentences,
    "4,000 reviews, 5 % positive": lopsided,
    "sample": sample,
}


def measure(
    train: pa.Table, test: pa.Table, seed: int, given: argparse.Namespace
) -> dict[str, Any]:
    """Train one network, fit the linear models of words, and return what each has right."""
    with tempfile.TemporaryDirectory(prefix="sent-small-") as work:
        folder = Path(work)
        for part, table in (("train", train), ("test", test)):
            pq.write_table(table, folder / f"{part}.parquet")
        began = time.perf_counter()
        trained = trainer.train(
            folder,
            output=folder / "checkpoint",
            recipe=given.recipe,
            seed=seed,
            device="cpu",
            threads=given.threads,
        )
        seconds = time.perf_counter() - began
        figures, beside = trained.metrics["test"], trained.metrics["test"]["beside"]
        linear = beside["linear"] or {"accuracy": None, "macro_f1": None}
        return {
            "network": figures["accuracy"],
            "network macro F1": figures["macro_f1"],
            "beside": linear["accuracy"],
            "beside macro F1": linear["macro_f1"],
            "tfidf": tfidf_accuracy(train, test, folder),
            "nb": nb_accuracy(train, test),
            "majority": beside["majority"]["accuracy"],
            "epoch": trained.metrics["epoch"],
            "seconds": round(seconds, 1),
        }


def tfidf_accuracy(train: pa.Table, test: pa.Table, folder: Path) -> float:
    """Fit TF-IDF of words with logistic regression, and test."""
    path = folder / "tfidf.joblib"
    tfidf.fit(train, path, words=1)
    scores = tfidf.score(test["text"].to_pylist(), path)
    return float(((scores >= 0.5) == (test["label"].to_numpy() == 1)).mean())


def nb_accuracy(train: pa.Table, test: pa.Table) -> float:
    """Fit n-grams weighted by naive Bayes, and test."""
    logits = nb_ngrams.fit_and_score(train, test["text"].combine_chunks(), SEED)
    return float(((logits > 0) == (test["label"].to_numpy() == 1)).mean())


def rows_of(found: Mapping[str, Any], recipe: str) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each table: means over its seeds."""
    for name in TABLES:
        runs = [run for key, run in found.items() if key.rpartition(" ")[0] == f"{name} {recipe}"]
        if not runs:
            continue
        network = [100 * run["network"] for run in runs]
        spread = stdev(network) if len(runs) > 1 else None
        linear = {kind: 100 * mean(run[kind] for run in runs) for kind in ("beside", "tfidf", "nb")}
        majority = 100 * mean(run["majority"] for run in runs)
        apart = mean(network) - max(linear.values())
        yield name, len(runs), mean(network), spread, *linear.values(), majority, f"{apart:+.2f}"


def read(path: Path) -> dict[str, Any]:
    """Return the figures that are there."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Keep the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""Reviews to measure with: real ones where they are given, else made on the spot."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import ROOT, SEED
from benchmarks.harness.contract import Settings

IMDB: Final = "SENT_IMDB"
# Generated reviews get IMDB's lengths: a median of some 10 sample reviews, at most 100.
GENERATED_PIECES: Final = (2.2, 0.7, 100)


def find_data(folder: Path | None) -> Path | None:
    """Return the folder with the reviews: given, named by SENT_IMDB, beside the repository.

    SENT_IMDB=none asks for generated reviews, as None does.

    Raises:
        FileNotFoundError: a folder was given or named that has no test.parquet.
    """
    named = os.environ.get(IMDB, "")
    if folder is None and named == "none":
        return None
    given = folder or (Path(named) if named else None)
    if given is not None:
        if not (given / "test.parquet").is_file():
            raise FileNotFoundError(f"{given}: no test.parquet in it; expected IMDB's folder")
        return given.resolve()
    beside = ROOT.parent / "shared" / "data" / "imdb"
    return beside.resolve() if (beside / "test.parquet").is_file() else None


def data_name(settings: Settings) -> str:
    """Say what was scored."""
    if settings.data is None:
        return "reviews generated from data/grammar.py, at IMDB's lengths"
    return "IMDB (Maas et al. 2011)"


def reviews(settings: Settings, part: str, rows: int) -> pa.Table:
    """Return reviews in an order drawn from the seed, so that any first rows are a sample.

    Args:
        settings: where the data lies.
        part: `train` or `test`.
        rows: how many; fewer where there are no more.

    Returns:
        `text` (string) and `label` (int8, 1 positive and 0 negative).
    """
    if settings.data is None:
        return generated(part, rows)
    file = settings.data / f"{part}.parquet"
    table = pq.read_table(file if file.is_file() else settings.data / "test.parquet")
    order = np.random.default_rng(SEED).permutation(table.num_rows)[:rows]
    return table.select(["text", "label"]).take(order).combine_chunks()


def generated(part: str, rows: int) -> pa.Table:
    """Join sample reviews of one label to texts of IMDB's lengths."""
    pool = {label: np.array(_sample_texts(label), dtype=object) for label in (0, 1)}
    draw = np.random.default_rng([SEED, len(part)])
    mean, spread, most = GENERATED_PIECES
    counts = np.clip(draw.lognormal(mean, spread, rows), 1, most).astype(int)
    labels = draw.integers(0, 2, rows)
    texts = [
        " ".join(draw.choice(pool[label], count))
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True)
    ]
    return pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.int8())})


def short_reviews(rows: int) -> pa.Table:
    """Return generated reviews of one sentence or a few, every tenth with a number of its own."""
    pool = np.array(_sample_texts(0) + _sample_texts(1), dtype=object)
    texts = pool[np.random.default_rng([SEED, 10]).integers(0, len(pool), rows)]
    for row in range(0, rows, 10):
        texts[row] = f"{texts[row]} Order {row:09d}."
    return pa.table({"text": pa.array(texts, pa.string())})


def distinct_reviews(rows: int) -> pa.Table:
    """Return short reviews of which no two have the same tokens: pairs of generated ones."""
    pool = np.array(sorted({*_sample_texts(0), *_sample_texts(1)}), dtype=object)
    places = np.random.default_rng([SEED, 11]).choice(len(pool) ** 2, rows, replace=False)
    texts = pool[places // len(pool)] + " " + pool[places % len(pool)]
    return pa.table({"text": pa.array(texts, pa.string())})


def repeated_reviews(rows: int, distinct: int) -> pa.Table:
    """Return so many different short reviews over and over, in an order that is drawn."""
    texts = {*_sample_texts(0, distinct), *_sample_texts(1, distinct)}
    pool = np.array(sorted(texts)[:distinct], dtype=object)
    places = np.random.default_rng([SEED, 12]).integers(0, len(pool), rows)
    return pa.table({"text": pa.array(pool[places], pa.string())})


@cache
def _sample_texts(label: int, count: int = 1_000) -> list[str]:
    """Write short reviews of one label with the embedded sample's generator."""
    with _on_path(ROOT / "data"):
        import generate
    draw = random.Random(SEED + label)
    return [generate.write_review(draw, label).text for _ in range(count)]


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def write_reviews(settings: Settings, part: str, rows: int) -> Path:
    """Write reviews as a Parquet file in the work folder, once."""
    path = settings.work / f"{part}-{rows}.parquet"
    if not path.exists():
        pq.write_table(reviews(settings, part, rows), path)
    return path

"""Against what people would use instead: whole commands, Parquet in and Parquet out."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.harness.contract import Goal, Result, Settings, Table, ratio_goal
from benchmarks.harness.models import model_path, untrained
from benchmarks.harness.processes import run_process, score_command
from benchmarks.harness.reviews import reviews, write_reviews
from benchmarks.harness.timing import interleave

TITLE = "Against what people would use instead"
EXPLANATION = (
    "Each as a whole command, from start to exit, Parquet in and Parquet out, on the same machine "
    "in one run, in turn. Rows are the first ones of one order drawn from the seed; slow ones "
    "score fewer, and rates are compared. The linear models are fitted beforehand on the training "
    "reviews; the networks have random weights unless trained ones were given, which changes "
    "nothing about speed."
)
OURS = ("article fp32", "article int8", "small fp32", "small int8")
ARTICLE = "the article's way (PyTorch, padded batches of 30)"
BY_LENGTH = "the article's way, batches of like length"
DISTILBERT = "DistilBERT's architecture, ONNX Runtime"
UNIGRAMS, BIGRAMS = "TF-IDF unigrams, scikit-learn", "TF-IDF bigrams, scikit-learn"
FASTTEXT = "fastText bigrams"
LINEAR = (UNIGRAMS, BIGRAMS, FASTTEXT)


@dataclass(frozen=True)
class Sizes:
    """How much each does.

    Attributes:
        article, distilbert, fp32, int8: rows that these score.
        many: rows that the small model and the linear models score.
        fitted: rows that the linear models are fitted on.
        repeats: rounds.
        ours: take so many of our models.
        unigrams: 0 leaves the linear model of single words out.
    """

    article: int
    distilbert: int
    fp32: int
    int8: int
    many: int
    fitted: int
    repeats: int
    ours: int = 4
    unigrams: int = 1


SIZES = {
    "tiny": Sizes(6, 4, 20, 20, 20, 60, 1, ours=1, unigrams=0),
    "quick": Sizes(200, 32, 500, 1_000, 4_000, 2_000, 1),
    "full": Sizes(600, 128, 3_000, 6_000, 25_000, 25_000, 3),
}


@dataclass(frozen=True)
class Contestant:
    """A command for INPUT and OUTPUT, and the rows that it scores."""

    rows: int
    command: Callable[[Path, Path], list[str]]


def measure(settings: Settings) -> Result:
    """Prepare all of them, run them in turn, compare."""
    sizes = settings.sizes("peers", SIZES)
    field, absent = prepare(settings, sizes)
    tasks = {name: partial(rate, settings, name, one) for name, one in field.items()}
    rates = interleave(tasks, sizes.repeats)
    accuracies = {name: accuracy(settings, name) for name in LINEAR if name in field}
    table = table_of(field, rates, accuracies, absent)
    return Result(TITLE, EXPLANATION, goals(rates, absent), (table,), {"reviews_per_second": rates})


def prepare(settings: Settings, sizes: Sizes) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Return who runs, and who is left out for what reason."""
    field = {name: ours(settings, name, sizes) for name in OURS[: sizes.ours]}
    makers: dict[str, Callable[[], Contestant]] = {
        ARTICLE: lambda: article(settings, sizes.article, "article"),
        BY_LENGTH: lambda: article(settings, sizes.article, "article_by_length"),
        DISTILBERT: lambda: distilbert(settings, sizes.distilbert),
        UNIGRAMS: lambda: tfidf(settings, sizes, 1),
        BIGRAMS: lambda: tfidf(settings, sizes, 2),
        FASTTEXT: lambda: fasttext(settings, sizes),
    }
    if not sizes.unigrams:
        del makers[UNIGRAMS]
    absent: dict[str, str] = {}
    for name, make in makers.items():
        try:
            field[name] = make()
        except ModuleNotFoundError as error:
            absent[name] = str(error)
    return field, absent


def ours(settings: Settings, name: str, sizes: Sizes) -> Contestant:
    """Return `sent-score` with one of our models."""
    size, precision = name.split()
    rows = sizes.many if size == "small" else getattr(sizes, precision)
    model = model_path(settings, name)
    return Contestant(
        rows, lambda source, output: score_command(source, output, model, "--device", "cpu")
    )


def rival(module: str, rows: int, model: Path) -> Contestant:
    """Return a rival's command."""
    command = [sys.executable, "-m", f"benchmarks.rivals.{module}"]
    return Contestant(
        rows, lambda source, output: [*command, str(source), str(output), "--model", str(model)]
    )


def article(settings: Settings, rows: int, module: str) -> Contestant:
    """Save a network of the article's size with random weights."""
    from safetensors.torch import save_file

    from benchmarks.rivals.article import ArticleLSTM

    subject = untrained(settings, "article")
    config = subject.model.config
    network = ArticleLSTM(config.vocabulary_size, config.embedding, config.hidden, config.layers)
    folder = settings.work / "article"
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "weights.safetensors")
    (folder / "vocabulary.txt").write_text(subject.vocabulary.to_text(), encoding="utf-8")
    return rival(module, rows, folder)


def distilbert(settings: Settings, rows: int) -> Contestant:
    """Export DistilBERT's graph with random weights."""
    from benchmarks.rivals.distilbert import export

    path = settings.work / "distilbert.onnx"
    small = {"layers": 2, "width": 64, "vocabulary": 500} if settings.mode == "tiny" else {}
    export(path, **small)
    return rival("distilbert", rows, path)


def tfidf(settings: Settings, sizes: Sizes, words: int) -> Contestant:
    """Fit TF-IDF and logistic regression."""
    from benchmarks.rivals.tfidf import fit

    path = settings.work / f"tfidf-{words}.joblib"
    fit(reviews(settings, "train", sizes.fitted), path, words)
    return rival("tfidf", sizes.many, path)


def fasttext(settings: Settings, sizes: Sizes) -> Contestant:
    """Train fastText, where it is installed."""
    if importlib.util.find_spec("fasttext") is None:
        raise ModuleNotFoundError(
            "not installed: pip install fasttext-numpy2-wheel (a wheel for CPython 3.11; "
            "fasttext itself comes as source only)"
        )
    from benchmarks.rivals.fasttext_bigrams import fit

    path = settings.work / "fasttext.bin"
    fit(reviews(settings, "train", sizes.fitted), path)
    return rival("fasttext_bigrams", sizes.many, path)


def rate(settings: Settings, name: str, one: Contestant) -> float:
    """Return reviews a second of the whole command."""
    source = write_reviews(settings, "test", one.rows)
    done = run_process(one.command(source, output_of(settings, name)))
    return float(pq.read_metadata(source).num_rows / done.seconds)


def output_of(settings: Settings, name: str) -> Path:
    """Return where a contestant writes."""
    return settings.work / f"{''.join(c if c.isalnum() else '-' for c in name)}-scores.parquet"


def accuracy(settings: Settings, name: str) -> float:
    """Return the percentage of right labels in what was written."""
    table = pq.read_table(output_of(settings, name))
    return 100 * float(np.mean((table["score"].to_numpy() >= 0.5) == table["label"].to_numpy()))


def goals(rates: dict[str, list[float]], absent: dict[str, str]) -> tuple[Goal, ...]:
    """Return the goals against each rival that ran."""
    wanted = [
        ("article fp32", ARTICLE, 3.0),
        ("article int8", ARTICLE, 6.0),
        ("article fp32", BY_LENGTH, 3.0),
        ("article int8", BY_LENGTH, 6.0),
        ("article fp32", DISTILBERT, 20.0),
        ("article int8", DISTILBERT, 45.0),
        ("small int8", BIGRAMS, 1.0),
    ]
    found = []
    for mine, theirs, goal in wanted:
        name = f"{mine} against {theirs}"
        if theirs in absent:
            found.append(Goal(name, goal, None, note=absent[theirs]))
        elif mine in rates:
            found.append(ratio_goal(name, goal, rates[mine], rates[theirs]))
    return tuple(found)


def table_of(
    field: dict[str, Contestant],
    rates: dict[str, list[float]],
    accuracies: dict[str, float],
    absent: dict[str, str],
) -> Table:
    """Show all, fastest first, against each of ours."""
    mine = [name for name in OURS if name in rates]
    medians = {name: median(values) for name, values in rates.items()}
    body: list[tuple[Any, ...]] = [
        (name, field[name].rows, medians[name], *(medians[own] / medians[name] for own in mine),
         accuracies.get(name))
        for name in sorted(medians, key=lambda name: -medians[name])
    ]  # fmt: skip
    body += [
        (f"{name}: left out, {why}", *[None] * (3 + len(mine))) for name, why in absent.items()
    ]
    columns = ("command", "rows", "reviews/s", *(f"{own} is … times" for own in mine), "accuracy %")
    note = "Below 1 in a column of ours: we lose. Accuracy only of what was fitted in this run."
    return Table("Whole commands", columns, tuple(body), note)

"""A finished run's figures as one HTML page that needs nothing else: no script, no network.

The page is a pure function of what it is given. Every string from the data goes through the
template, which escapes it; only the drawings, which hold no such string, go in as they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from trainer.checkpoint.folder import Checkpoint
from trainer.data.overlap import WORDS
from trainer.report.charts import accuracy_chart, length_chart, loss_chart, reliability_chart, span
from trainer.settings.recipe import RECIPES

SELECTED: Final = {
    "loss": "lowest validation loss at its temperature",
    "accuracy": "highest validation accuracy",
    "f1": "highest validation macro F1",
}
TEMPLATE: Final = "page.html.j2"
EXCERPT: Final = 200
# A table of more labels nobody reads: the pairs that are confused most are shown in its place.
MOST_LABELS: Final = 20
MOST_PAIRS: Final = 30
Confusion = Mapping[str, Any]


def render_report(
    checkpoint: Checkpoint, history: Sequence[Mapping[str, Any]], texts: Sequence[str]
) -> str:
    """Write the page of a finished run.

    Args:
        checkpoint: with test figures.
        history: what training noted of each epoch.
        texts: of the most confident mistakes, in the order of `metrics["test"]["mistakes"]`.

    Returns:
        HTML, the same for the same input.
    """
    test = checkpoint.metrics["test"]
    return _template().render(
        record=checkpoint.record,
        metrics=checkpoint.metrics,
        test=test,
        labels=checkpoint.labels,
        temperature=checkpoint.temperature,
        threshold=checkpoint.threshold,
        beside=beside_rows(checkpoint.metrics),
        overlap=overlap_words(checkpoint.metrics["data"]["overlap"]),
        selected=SELECTED[checkpoint.record.recipe["select"]],
        recipe=recipe_words(checkpoint.record.recipe),
        confusion=confusion_rows(test["confusion"], checkpoint.labels),
        confused=confused_pairs(test["confusion"], checkpoint.labels),
        mistakes=mistake_rows(test["mistakes"], texts),
        charts=_charts(checkpoint.metrics, history, len(checkpoint.labels)),
    )


def beside_rows(
    metrics: Mapping[str, Any],
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Return the network and the cheapest models: name, validation figures, test figures."""
    parts = (metrics["validation"], metrics["test"])
    linear, always = ([part["beside"][name] for part in parts] for name in ("linear", "majority"))
    none = {"accuracy": None, "macro_f1": None, "roc_auc": None, "pr_auc": None}
    return [
        ("network", *parts),
        *([("linear model", *linear)] if None not in linear else []),
        ("most frequent label", *(none | each for each in always)),
    ]


def overlap_words(overlap: Mapping[str, int]) -> list[str]:
    """Return what is said of texts that stand in two parts, a line each."""
    return [f"{number:,} {WORDS[name]}" for name, number in overlap.items()]


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "decimal": decimal, "count": count, "span": span}
    source = files("trainer.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source)


def _charts(
    metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]], labels: int
) -> dict[str, Markup]:
    """Draw what there is to draw; without a scored review there are only the curves."""
    test, best = metrics["test"], metrics["epoch"]
    charts = {"loss": loss_chart(history, best), "accuracy": accuracy_chart(history, best)}
    if test["by_length"]:
        calibration = test["calibration"]
        words = ("positive", "the positive label") if labels == 2 else ("right", "the prediction")
        charts["reliability"] = reliability_chart(
            calibration["before"], calibration["after"], *words
        )
        charts["length"] = length_chart(test["by_length"], test["accuracy"])
    return {name: Markup(svg) for name, svg in charts.items()}


def recipe_words(settings: Mapping[str, Any]) -> str:
    """Return the recipe that the settings are nearest to, and where they differ from it."""
    differences = {
        name: {key: value for key, value in settings.items() if asdict(recipe).get(key) != value}
        for name, recipe in RECIPES.items()
    }
    name = min(differences, key=lambda name: len(differences[name]))
    changes = ", ".join(f"{key} {value}" for key, value in differences[name].items())
    return f"{name}, with {changes}" if changes else name


def confusion_rows(
    confusion: Confusion, labels: tuple[str, ...]
) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return, for each true label, its name and of each prediction the count and the row's share.

    Of too many labels there are no rows; `confused_pairs` has what matters.

    Args:
        confusion: as `evaluate.named_confusion` has it.
        labels: names of the classes.
    """
    if len(labels) > MOST_LABELS:
        return []
    return [
        (label, [(n, n / sum(row) if sum(row) else math.nan) for n in row])
        for label, row in zip(labels, _counts(confusion, labels), strict=True)
    ]


def confused_pairs(confusion: Confusion, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return of many labels the pairs that are confused most, the most frequent ones first.

    Args:
        confusion: as `evaluate.named_confusion` has it.
        labels: names of the classes.

    Returns:
        `truth`, `predicted`, `count` and `share` (of the reviews of this truth), up to 30; none
        where `confusion_rows` shows all.
    """
    if len(labels) <= MOST_LABELS:
        return []
    pairs: list[dict[str, Any]] = [
        {"truth": labels[i], "predicted": labels[j], "count": count, "share": count / sum(row)}
        for i, row in enumerate(_counts(confusion, labels))
        for j, count in enumerate(row)
        if count and i != j
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:MOST_PAIRS]


def _counts(confusion: Confusion, labels: tuple[str, ...]) -> Sequence[Sequence[int]]:
    """Return the counts by truth and prediction, two labels' as those of more."""
    if len(labels) > 2:
        return [[confusion[truth].get(label, 0) for label in labels] for truth in labels]
    return (
        (confusion["true_negative"], confusion["false_positive"]),
        (confusion["false_negative"], confusion["true_positive"]),
    )


def mistake_rows(
    mistakes: Sequence[Mapping[str, Any]], texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Put the text's `excerpt` to each mistake.

    Args:
        mistakes: `id`, `truth` and `predicted` (names of labels), `score` and `tokens` of each.
        texts: theirs, in the same order.
    """
    return [
        {**mistake, "excerpt": excerpt(text)} for mistake, text in zip(mistakes, texts, strict=True)
    ]


def excerpt(text: str) -> str:
    """Return the first 200 characters of a text."""
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rstrip()}…"


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share from 0 to 1 in per cent, or a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{share:.{digits}%}"


def decimal(value: float | None, digits: int = 4) -> str:
    """Return a number with so many decimal places, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def count(number: int) -> str:
    """Return a whole number with commas."""
    return f"{number:,}"

"""A finished run's figures as one page, a pure function of what it is given."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from infer.base.interval import interval
from reporter.frame.confusion import confused_pairs, confusion_rows
from reporter.frame.drawing import Reliability, length_chart, reliability_chart
from reporter.frame.page import excerpt, load_template
from trainer.checkpoint.folder import Checkpoint
from trainer.data.overlap import WORDS
from trainer.report.charts import accuracy_chart, loss_chart, threshold_chart
from trainer.report.command import command, nearest_recipe

SELECTED: Final = {
    "loss": "lowest validation loss at its temperature",
    "accuracy": "highest validation accuracy",
    "f1": "highest validation macro F1",
}
TEMPLATE: Final = "page.html.j2"


def render_report(
    checkpoint: Checkpoint,
    history: Sequence[Mapping[str, Any]],
    texts: Sequence[str],
    ended: datetime,
) -> str:
    """Write the page of a finished run.

    Args:
        checkpoint: with test figures.
        history: what training noted of each epoch.
        texts: of the most confident mistakes, in the order of `metrics["test"]["mistakes"]`.
        ended: when the run came to its end.

    Returns:
        HTML, the same for the same input.
    """
    test = checkpoint.metrics["test"]
    counts = confusion_counts(test["confusion"], checkpoint.labels)
    return load_template("trainer.report", TEMPLATE).render(
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
        ended=f"{ended:%Y-%m-%d %H:%M} UTC",
        duration=duration(sum(row.get("seconds", 0.0) for row in history)),
        epochs=len(history),
        command=command(checkpoint.record),
        confusion=confusion_rows(counts, checkpoint.labels),
        confused=confused_pairs(counts, checkpoint.labels),
        reliability=_reliability(test),
        mistakes=mistake_rows(test["mistakes"], texts),
        charts=_charts(checkpoint.metrics, history, len(checkpoint.labels), checkpoint.threshold),
    )


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Example:
        >>> duration(4_000)
        '1 h 7 min'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def beside_rows(
    metrics: Mapping[str, Any],
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Return the network and the cheapest models: name, validation figures, test figures.

    Test figures have the accuracy's 95 % `interval`; None of no rows.
    """
    rows = metrics["test"]["reviews"]
    return [
        (name, validation, found | {"interval": _interval(found["accuracy"], rows)})
        for name, validation, found in _beside(metrics)
    ]


def _interval(accuracy: float | None, rows: int) -> tuple[float, float] | None:
    return None if accuracy is None or not rows else interval(round(accuracy * rows), rows)


def _beside(
    metrics: Mapping[str, Any],
) -> list[tuple[str, Mapping[str, Any], dict[str, Any]]]:
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


def _charts(
    metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]], labels: int, threshold: float
) -> dict[str, Markup]:
    """Draw what there is to draw; without a scored review there are only the curves."""
    test, best = metrics["test"], metrics["epoch"]
    charts = {"loss": loss_chart(history, best), "accuracy": accuracy_chart(history, best)}
    if test["by_length"]:
        words = ("positive", "the positive label") if labels == 2 else ("right", "the prediction")
        charts["reliability"] = reliability_chart(_reliability(test), *words, "reviews")
        if labels == 2:
            charts["threshold"] = threshold_chart(test["by_threshold"], threshold)
        charts["length"] = length_chart(test["by_length"], test["accuracy"], "tokens", "reviews")
    return {name: Markup(svg) for name, svg in charts.items()}


def _reliability(test: Mapping[str, Any]) -> list[Reliability]:
    """Return the bins before and after the temperature."""
    return [Reliability(name, bins) for name, bins in test["calibration"].items()]


def recipe_words(settings: Mapping[str, Any]) -> str:
    """Return the recipe that the settings are nearest to, and where they differ from it."""
    name, differences = nearest_recipe(settings)
    changes = ", ".join(f"{key} {value}" for key, value in differences.items())
    return f"{name}, with {changes}" if changes else name


def confusion_counts(
    confusion: Mapping[str, Any], labels: tuple[str, ...]
) -> Sequence[Sequence[int]]:
    """Return the counts by truth and prediction, two labels' as those of more.

    Args:
        confusion: as `evaluate.named_confusion` has it.
        labels: names of the classes.
    """
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

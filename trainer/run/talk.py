"""What is said of an epoch and of the test: no accuracy without what it has to be compared with."""

from collections.abc import Iterable, Mapping
from typing import Any

from infer.base.words import counted
from trainer.network.calibration import describe_temperature
from trainer.teaching.beside import in_words


def epoch_line(row: Mapping[str, Any], epochs: int, is_best: bool, to_beat: str) -> str:
    """Return what is said of a finished epoch."""
    return (
        f"epoch {row['epoch']}/{epochs}: training loss {row['training_loss']:.4f}, "
        f"validation loss {row['validation_loss']:.4f}{_calibrated(row)}, "
        f"accuracy {row['validation_accuracy']:.2%} ({to_beat}), "
        f"macro F1 {row['validation_f1']:.2%}; {row['seconds']:,.1f} s, "
        f"{row['tokens_per_second']:,.0f} tokens/s, {row['padding_share']:.1%} padding"
        f"{' (best so far)' if is_best else ''}"
    )


def _calibrated(row: Mapping[str, Any]) -> str:
    """Return the loss by which the best epoch is chosen, where a temperature makes it another."""
    if row["temperature"] == 1.0:
        return ""
    return f" ({row['calibrated_loss']:.4f} at temperature {row['temperature']:.2f})"


def test_lines(test: Mapping[str, Any], best: Mapping[str, Any]) -> Iterable[str]:
    """Return what is said of the test.

    Args:
        test: its figures.
        best: the history's row of the epoch whose weights were tested.
    """
    errors, threshold = test["calibration_error"], best.get("threshold", 0.5)
    at = "" if threshold == 0.5 else f", positive from a score of {threshold:.4g} on"
    yield (
        f"test: accuracy {test['accuracy']:.2%}{_interval(test)} ({in_words(test['beside'])}), "
        f"loss {test['loss']:.4f} on {counted(test['reviews'], 'review')}, with the weights of "
        f"epoch {best['epoch']}{at}; calibration error {errors['before']:.2%}, "
        f"{errors['after']:.2%} at {describe_temperature(best['temperature'])}"
    )
    if test["macro_f1"] is not None:
        yield f"test: macro F1 {test['macro_f1']:.2%}{_areas(test)}; {_classes(test['classes'])}"
    if "mean_absolute_error" in test:
        yield f"test: the expected value is off by {test['mean_absolute_error']:.3f} in the mean"


def _interval(test: Mapping[str, Any]) -> str:
    if test["interval"] is None:
        return ""
    low, high = test["interval"]
    return f", 95 % interval {low:.2%} to {high:.2%}"


def _areas(test: Mapping[str, Any]) -> str:
    if test["roc_auc"] is None:
        return ""
    return (
        f", area under ROC {test['roc_auc']:.3f}, under precision and recall {test['pr_auc']:.3f}"
    )


def _classes(classes: list[Mapping[str, Any]]) -> str:
    """Return the figures of the first classes, of which some have hundreds."""
    shown = [
        f"{c['label']!r} precision {c['precision']:.2%}, recall {c['recall']:.2%}, F1 {c['f1']:.2%}"
        f" of {c['reviews']:,}"
        for c in classes[:5]
    ]
    more = [f"{len(classes) - 5} more classes in metrics.json"] if len(classes) > 5 else []
    return "; ".join(shown + more)

"""The cheapest models beside every network: the most frequent label, and a linear model of n-grams.

Whoever has a network that is no better than these has spent its time for nothing, and should know.
Legend: R rows, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import say
from infer.base.errors import InputError
from infer.model.probability import Labels
from trainer.checkpoint.folder import Checkpoint
from trainer.data.prepared import Prepared, labels_of, texts_of
from trainer.network.evaluate import measure, threshold_by
from trainer.network.figures import majority
from trainer.settings.request import Request
from trainer.teaching.linear import LinearTeacher, fit_teacher

# What is said of the linear model, of its figures on one part.
KEPT: Final = ("accuracy", "interval", "macro_f1", "roc_auc", "pr_auc")
REMEDIES: Final = (
    "More labelled reviews help most; then unlabelled ones (--unlabelled FILE with "
    "--self-training), word vectors of your language (--vectors FILE), more steps (--steps). Until "
    "then a linear model serves you as well, for less"
)


@dataclass(frozen=True)
class Beside:
    """What the two give for the reviews that judge.

    Attributes:
        majority: number of the most frequent class of the reviews that are trained on.
        name: what that class is called.
        validation: the linear model's logits of the validation reviews; None without a model.
        test: the same of the test reviews.
        threshold: the linear model's, by the run's rule.
    """

    majority: int
    name: str
    validation: npt.NDArray[np.float32] | None
    test: npt.NDArray[np.float32] | None
    threshold: float

    def figures(self, part: str, labels: Labels) -> dict[str, Any]:
        """Return what the two have right of a part, JSON-ready.

        Args:
            part: `validation` or `test`.
            labels: (R,) numbers of its reviews' labels.

        Returns:
            `majority`: its `label` and `accuracy`; `linear`: its figures, None without a model.
        """
        logits = getattr(self, part)
        linear = None
        if logits is not None:
            found = measure(logits, labels, threshold=self.threshold)
            linear = {name: found[name] for name in KEPT}
        share = float((labels == self.majority).mean())
        return {"majority": {"label": self.name, "accuracy": share}, "linear": linear}


def fit_linear(request: Request, prepared: Prepared) -> LinearTeacher | None:
    """Fit the linear model on the labelled reviews that are trained on; None where that fails."""
    fitting = prepared.fitting.filter(prepared.fitting["label"].is_valid())
    try:
        labels = len(prepared.dataset.labels)
        return fit_teacher(texts_of(fitting), labels_of(fitting), request.seed, labels)
    except InputError as error:
        say(f"no linear model beside the network: {error}")
        return None


def beside(request: Request, prepared: Prepared, linear: LinearTeacher | None) -> Beside:
    """Take down what the two give; the test's figures are not looked at before the end."""
    known = prepared.fitting["label"].drop_null().to_numpy()
    number = majority(known)
    parts = (prepared.validation, prepared.dataset.test)
    validation, test = (_logits(linear, texts_of(part), prepared) for part in parts)
    threshold = 0.5
    if validation is not None:
        threshold = threshold_by(request.recipe.threshold, validation, labels_of(parts[0]))
    found = Beside(number, prepared.dataset.labels[number], validation, test, threshold)
    figures = found.figures("validation", labels_of(prepared.validation))
    say(f"to beat on validation: {in_words(figures)}")
    return found


def _logits(
    linear: LinearTeacher | None, texts: pa.Array, prepared: Prepared
) -> npt.NDArray[np.float32] | None:
    """Return the linear model's logits, as if classes that count alike were as frequent."""
    if linear is None:
        return None
    shift = np.log(prepared.class_weights)  # (K,)
    own = shift if linear.labels > 2 else shift[1] - shift[0]
    return linear.logits(texts) + own.astype(np.float32)


def in_words(figures: Mapping[str, Any]) -> str:
    """Return what is said of the two beside an accuracy."""
    always, linear = figures["majority"], figures["linear"]
    words = f"always {always['label']!r} {always['accuracy']:.2%}"
    return words if linear is None else f"linear model {linear['accuracy']:.2%}, {words}"


def advice(checkpoint: Checkpoint) -> str | None:
    """Return what to tell whose network is no better than the linear model, on validation.

    By macro F1 where the epoch was chosen by it, else by accuracy.

    Returns:
        None where the network is the better one, or there is nothing to compare.
    """
    validation = checkpoint.metrics["validation"]
    linear = validation.get("beside", {}).get("linear")
    by_f1 = checkpoint.record.recipe.get("select") == "f1"
    name, words = ("macro_f1", "macro F1") if by_f1 else ("accuracy", "accuracy")
    own = validation.get(name)
    if own is None or linear is None or own > linear[name]:
        return None
    return (
        f"The network is no better than the linear model of n-grams: {words} {own:.2%} against "
        f"{linear[name]:.2%} on validation. {REMEDIES}"
    )

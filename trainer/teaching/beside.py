"""The cheapest models beside every network: the most frequent label, and a linear model of n-grams.

Whoever has a network that is no better than these has spent its time for nothing, and should know.
Legend: R rows, K labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from infer.base.console import say
from infer.base.errors import InputError
from infer.model.probability import Labels, row_shape
from infer.text.encoding import EncodedTexts
from trainer.checkpoint.folder import Checkpoint
from trainer.data.prepared import Prepared, labels_of, truth_of
from trainer.network.evaluate import measure, threshold_by
from trainer.network.figures import majority
from trainer.network.ngrams import NGrams
from trainer.settings.request import Request
from trainer.teaching.linear import fit_ngrams, predict_linear

# What is said of the linear model, of its figures on one part.
KEPT: Final = ("accuracy", "interval", "macro_f1", "roc_auc", "pr_auc")
ITS_NGRAMS: Final = "Put its n-grams beside the network (--ngrams 3, or --recipe small). "
MOST_NAMED: Final = 5
REMEDIES: Final = (
    "More labelled reviews help most; then unlabelled ones (--unlabelled FILE with "
    "--self-training), word vectors of your language (--vectors FILE), more steps (--steps). Until "
    "then a linear model serves as well, for less"
)


@dataclass(frozen=True)
class Beside:
    """What the two give for the reviews that judge.

    Attributes:
        majority: number of the most frequent class of the reviews that are trained on.
        name: what that class is called.
        linear: the linear model, where one could be fitted.
        shift: (O,) added to its logits, as if classes that count alike were as frequent.
        threshold: the linear model's, by the run's rule.
    """

    majority: int
    name: str
    linear: NGrams | None
    shift: npt.NDArray[np.float32]
    threshold: float

    def logits(self, texts: EncodedTexts) -> npt.NDArray[np.float32] | None:
        """Return the linear model's logits of R texts, where there is one."""
        return None if self.linear is None else predict_linear(self.linear, texts) + self.shift

    def figures(self, texts: EncodedTexts, labels: Labels) -> dict[str, Any]:
        """Return what the two have right of some reviews, JSON-ready.

        Args:
            texts: R reviews.
            labels: (R,) numbers of their labels.

        Returns:
            `majority`: its `label` and `accuracy`; `linear`: its figures, None without a model.
        """
        logits = self.logits(texts)
        linear = None
        if logits is not None:
            found = measure(logits, labels, threshold=self.threshold)
            linear = {name: found[name] for name in KEPT}
        share = float((labels == self.majority).mean())
        return {"majority": {"label": self.name, "accuracy": share}, "linear": linear}


def fit_linear(request: Request, prepared: Prepared) -> NGrams | None:
    """Fit the linear model on labels; where a row has none, on its score; None if it fails."""
    try:
        truth = truth_of(prepared.fitting)
        return fit_ngrams(request.recipe, request.seed, prepared.fitting_texts, truth)
    except InputError as error:
        say(f"no linear model beside the network: {error}")
        return None


def beside(request: Request, prepared: Prepared, linear: NGrams | None) -> Beside:
    """Take down what the two give; the test's figures are not looked at before the end."""
    known = prepared.fitting["label"].drop_null().to_numpy()
    number = majority(known)
    found = Beside(number, prepared.dataset.labels[number], linear, class_shift(prepared), 0.5)
    labels, logits = labels_of(prepared.validation), found.logits(prepared.validation_texts)
    if logits is not None:
        threshold = threshold_by(request.recipe.threshold, logits, labels)
        found = replace(found, threshold=threshold)
    figures = found.figures(prepared.validation_texts, labels)
    say(f"to beat on validation: {in_words(figures)}")
    return found


def class_shift(prepared: Prepared) -> npt.NDArray[np.float32]:
    """Return what classes count as differences of logits: () of two labels, else (K,) float32.

    A model that was fitted on rows that count alike, with this added to its logits, says what one
    says that was trained with the classes' weights.
    """
    counted = np.log(prepared.class_weights)  # (K,)
    own = counted if row_shape(len(counted)) else counted[1] - counted[0]
    return np.asarray(own, np.float32)


def in_words(figures: Mapping[str, Any]) -> str:
    """Return what is said of the two beside an accuracy."""
    always, linear = figures["majority"], figures["linear"]
    words = f"always {always['label']!r} {always['accuracy']:.2%}"
    return words if linear is None else f"linear model {linear['accuracy']:.2%}, {words}"


def advice(checkpoint: Checkpoint) -> str | None:
    """Return what to tell whose network finds none of a label, or is no better than the cheapest.

    Returns:
        Sentences on the validation reviews; None where there is nothing to tell.
    """
    validation, recipe = checkpoint.metrics["validation"], checkpoint.record.recipe
    told = (_never_found(validation, recipe), _no_better(validation, recipe))
    return ". ".join(filter(None, told)) or None


def _never_found(validation: Mapping[str, Any], recipe: Mapping[str, Any]) -> str | None:
    """Name the labels that no review was rightly given: accuracy hides that of rare ones."""
    missed = [
        each for each in validation.get("classes", ()) if each["reviews"] and not each["recall"]
    ]
    if not missed:
        return None
    words = ", ".join(f"{each['reviews']:,} of {each['label']!r}" for each in missed[:MOST_NAMED])
    more = len(missed) - MOST_NAMED
    remedies = [
        *(["--class-weight balanced"] if recipe.get("class_weight") != "balanced" else []),
        *(["--threshold f1"] if len(validation["classes"]) == 2 else []),
        "more reviews of that kind",
    ]
    return (
        f"Of the validation reviews the network finds none of these: {words}"
        f"{f' and {more} labels more' if more > 0 else ''}. What helps: {', or '.join(remedies)}"
    )


def _no_better(validation: Mapping[str, Any], recipe: Mapping[str, Any]) -> str | None:
    """Compare with the linear model and the most frequent label.

    By macro F1 where that chose the epoch, else by accuracy; by that not with the most frequent
    label where labels were to count alike.
    """
    by_f1 = recipe.get("select") == "f1"
    name, words = ("macro_f1", "macro F1") if by_f1 else ("accuracy", "accuracy")
    rivals = _rivals(validation.get("beside", {}), name, recipe.get("class_weight") == "balanced")
    own, best = validation.get(name), max(rivals, key=lambda rival: rivals[rival], default="")
    if own is None or not best or own > rivals[best]:
        return None
    return (
        f"The network is no better than {best}: {words} {own:.2%} against {rivals[best]:.2%} on "
        f"{validation['reviews']:,} validation reviews. "
        f"{'' if recipe.get('ngrams') else ITS_NGRAMS}{REMEDIES}"
    )


def _rivals(figures: Mapping[str, Any], name: str, is_balanced: bool) -> dict[str, float]:
    """Return what has to be beaten, in words, and its figure."""
    rivals = {}
    if linear := figures.get("linear"):
        rivals["the linear model of n-grams"] = linear[name]
    if figures and name == "accuracy" and not is_balanced:
        always = figures["majority"]
        rivals[f"always {always['label']!r}"] = always["accuracy"]
    return rivals

"""The checkpoint's side of the model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from exporter.parity.source import Source
from infer import __version__
from infer.base.console import say
from infer.base.errors import ModelFileError
from infer.base.words import counted
from infer.model.card import ModelCard
from infer.model.file import ModelFile
from infer.model.scorer import Scorer
from infer.model.session import Session
from infer.model.validated import Validated
from trainer.checkpoint.folder import Checkpoint

# Of the metrics of validation, what the card has a place of its own for.
COUNTED: Final = ("profile", "risk_coverage")


def make_card(checkpoint: Source, precision: str) -> ModelCard:
    """Return the checkpoint's side of the model card, without a certificate yet."""
    return ModelCard(
        text=checkpoint.text,
        vocabulary=checkpoint.vocabulary,
        labels=checkpoint.labels,
        precision=precision,
        metrics=public_metrics(checkpoint.metrics),
        parity={},
        toolkit_version=__version__,
        temperature=checkpoint.temperature,
        threshold=checkpoint.threshold,
        text_column=checkpoint.text_column,
        ordinal=checkpoint.ordinal,
        validated=noted(checkpoint),
    )


def noted(checkpoint: Source) -> Validated | None:
    """Return what training noted of its validation reviews; None where it did not.

    Raises:
        ModelFileError: it is damaged.
    """
    validation = _validation(checkpoint)
    if not validation.keys() & set(COUNTED):
        return None
    try:
        return Validated.from_json(validation, checkpoint.labels)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"the checkpoint's metrics: validation is damaged ({type(error).__name__}: {error})"
        ) from error


def measured(draft: ModelFile, checkpoint: Source) -> Validated | None:
    """Count the validation reviews of a checkpoint that did not; None where it has not all of them.

    Those that it keeps are the first, in which one label may be more frequent than among all.
    """
    if not isinstance(checkpoint, Checkpoint):
        return None
    kept, all_rows = checkpoint.validation, _validation(checkpoint).get("reviews", 0)
    if kept.num_rows < all_rows:
        say(
            f"The model file will not say what it learned from: its checkpoint, of an older "
            f"version, keeps {kept.num_rows:,} of {counted(all_rows, 'validation review')}."
        )
        return None
    scorer = Scorer(draft, Session(draft.data, "cpu", 1, draft.card.precision))
    encoded = scorer.encode(kept["text"].combine_chunks())
    truth = kept["label"].to_numpy().astype(np.int16)
    return Validated.of(encoded, scorer.score(encoded), truth, draft.card.labels)


def public_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics without what is nobody's business where a model file goes.

    What the card has a place of its own for is left out. The ids of test rows may be addresses, and
    a path may name people; they stay in the checkpoint.
    """
    public = dict(metrics)
    if isinstance(validation := metrics.get("validation"), dict):
        public["validation"] = {k: v for k, v in validation.items() if k not in COUNTED}
    if isinstance(data := metrics.get("data"), dict):
        public["data"] = data | {"name": Path(str(data.get("name", ""))).name}
    if isinstance(test := metrics.get("test"), dict) and "mistakes" in test:
        mistakes = [{k: v for k, v in each.items() if k != "id"} for each in test["mistakes"]]
        public["test"] = test | {"mistakes": mistakes}
    return public


def _validation(checkpoint: Source) -> dict[str, Any]:
    found = checkpoint.metrics.get("validation")
    return found if isinstance(found, dict) else {}

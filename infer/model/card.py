"""What rides in a model file beside the graph: text settings, labels, figures, certificate."""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from infer.base.errors import ModelFileError
from infer.model.interface import in_words, interface
from infer.model.known_answers import KnownAnswer
from infer.model.labels import label_names, label_numbers
from infer.model.risk import RiskPoint, point_for
from infer.model.validated import Validated
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary

PRECISIONS: Final = ("fp32", "fp16", "w8", "int8")


@dataclass(frozen=True)
class ModelCard:
    """What rides in the file beside the graph.

    Attributes:
        text: how text becomes tokens.
        vocabulary: which token has which id; its size is the embedding's.
        labels: their names, in the order of the logits; of two, the negative and the positive one.
        precision: `fp32`, `fp16` or `w8` (weights stored in half or in 8 bits) or `int8`.
        metrics: the trainer's metrics, with the hash of the data.
        parity: the exporter's certificate.
        toolkit_version: version that exported the file.
        temperature: what logits are divided by before the sigmoid, or the softmax of more than two
            labels (1 = uncalibrated).
        text_column: the column that the texts it was trained on stood in; None where that is not
            known.
        threshold: the score from which on the positive of two labels is predicted.
        ordinal: whether the labels are numbers in an order, so that an expected value has a sense.
        answers: texts of which ids and logits are known; files of before have none.
        validated: what the validation reviews were like, and how often their labels were right;
            files of before have none.
    """

    text: TextSettings
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    precision: str
    metrics: dict[str, Any]
    parity: dict[str, Any]
    toolkit_version: str
    temperature: float = 1.0
    text_column: str | None = None
    ordinal: bool = False
    threshold: float = 0.5
    answers: tuple[KnownAnswer, ...] = ()
    validated: Validated | None = None

    def __post_init__(self) -> None:
        """Refuse what scoring could not use."""
        if self.precision not in PRECISIONS:
            raise ModelFileError(
                f"model card: precision {self.precision!r}, expected one of {PRECISIONS}"
            )
        try:
            label_names(self.labels)
        except ValueError as error:
            raise ModelFileError(f"model card: {error}") from error
        if self.ordinal and (len(self.labels) == 2 or label_numbers(self.labels) is None):
            raise ModelFileError(
                f"model card: ordinal labels {self.labels[:10]}, expected numbers, three or more"
            )
        if not 0 < self.temperature < math.inf:
            raise ModelFileError(f"model card: temperature {self.temperature}, expected > 0")
        if not 0 < self.threshold < 1 or (self.threshold != 0.5 and len(self.labels) != 2):
            raise ModelFileError(
                f"model card: threshold {self.threshold} of {len(self.labels)} labels, expected a "
                "number between 0 and 1, and 0.5 of more than two"
            )

    @property
    def middle(self) -> float:
        """The logit above which the positive of two labels is predicted."""
        return self.temperature * math.log(self.threshold / (1 - self.threshold))

    def point(self, abstain_below: float | None) -> RiskPoint | None:
        """Return how sure a label has to be so that it is right so often; None: any.

        Raises:
            UsageError: the model was not right so often in validation, or does not say.
        """
        curve = None if self.validated is None else self.validated.risk
        return None if abstain_below is None else point_for(curve, abstain_below)

    def in_words(self) -> str:
        """Return what the model is and how it is used, for the `doc_string` of its file."""
        return in_words(self.labels, self.temperature, self.threshold, self.text)

    def to_json(self) -> str:
        """Return all but the vocabulary as JSON."""
        values = {
            "interface": interface(len(self.labels)),
            "text": self.text.to_json(),
            "labels": list(self.labels),
            "precision": self.precision,
            "metrics": self.metrics,
            "parity": self.parity,
            "toolkit_version": self.toolkit_version,
            "temperature": self.temperature,
        }
        if self.text_column is not None:  # files of before have none, and come out as they did
            values["text_column"] = self.text_column
        if self.ordinal:
            values["ordinal"] = True
        if self.threshold != 0.5:
            values["threshold"] = self.threshold
        if self.answers:
            values["test_vectors"] = [answer.to_json() for answer in self.answers]
        if self.validated is not None:
            values["validation"] = self.validated.to_json()
        return json.dumps(values, sort_keys=True)


def read_card(vocabulary: str, card: str) -> ModelCard:
    """Read what `ModelCard.to_json` wrote, and the vocabulary's text.

    Raises:
        ModelFileError: either is damaged, or says what scoring could not use.
    """
    try:
        values = json.loads(card)
        labels, validated = label_names(values["labels"]), values.get("validation")
        return ModelCard(
            text=TextSettings.from_json(values["text"]),
            vocabulary=Vocabulary.from_text(vocabulary),
            labels=labels,
            precision=str(values["precision"]),
            metrics=dict(values["metrics"]),
            parity=dict(values["parity"]),
            toolkit_version=str(values["toolkit_version"]),
            temperature=float(values["temperature"]),
            text_column=_name(values.get("text_column")),
            ordinal=values.get("ordinal", False) is True,
            threshold=float(values.get("threshold", 0.5)),
            answers=tuple(map(KnownAnswer.from_json, values.get("test_vectors", []))),
            validated=None if validated is None else Validated.from_json(validated, labels),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFileError(
            f"the model card is damaged ({type(error).__name__}: {error}). Export it again"
        ) from error


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"text_column is {value!r}, expected a name")
    value.encode()  # JSON can hold half a surrogate pair, which no output can
    return value

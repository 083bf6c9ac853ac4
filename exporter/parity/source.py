"""What is exported: a network with everything that its model file says. A checkpoint is one."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from exporter.graph.foreign import Foreign
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.network.model import SentimentLSTM


class Source(Protocol):
    """A network and what goes with it; `trainer.checkpoint.folder.Checkpoint` names the parts."""

    @property
    def model(self) -> SentimentLSTM | Foreign:
        """The network, in evaluation mode, on the CPU, float32."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Token ↔ id."""
        ...

    @property
    def text(self) -> TextSettings:
        """How text becomes tokens."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the logits."""
        ...

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities."""
        ...

    @property
    def threshold(self) -> float:
        """The score from which on the positive label is predicted, of two labels."""
        ...

    @property
    def ordinal(self) -> bool:
        """Whether the labels are numbers in an order."""
        ...

    @property
    def metrics(self) -> dict[str, Any]:
        """What training measured."""
        ...

    @property
    def text_column(self) -> str | None:
        """The column that the texts of training stood in, where that is known."""
        ...


@dataclass(frozen=True)
class Brought:
    """A network of somebody's own as a source; its parts are `Source`'s."""

    model: Foreign
    vocabulary: Vocabulary
    text: TextSettings
    labels: tuple[str, ...]
    temperature: float
    threshold: float
    ordinal: bool
    metrics: dict[str, Any] = field(default_factory=dict)
    text_column: str | None = None

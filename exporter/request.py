"""What the exporter is asked for, and what comes back. Nothing heavy is imported."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infer.base.errors import ParityError, UsageError
from infer.text.settings import TextSettings

if TYPE_CHECKING:
    from torch import nn

    from exporter.parity.report import ParityReport
    from infer.model.file import ModelFile

PRECISIONS: Final = ("fp32", "fp16", "w8", "int8")
OLDEST_OPSET: Final = 17
NEWEST_OPSET: Final = 23
# What is done to the weights of a network that is not known from within.
FOREIGN_PRECISIONS: Final = ("fp32", "fp16")


class ParityFailedError(ParityError):
    """The exported graph was not good enough; `report` says all that is known, JSON-ready."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        """Keep the report."""
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the report, so that a worker process can hand it back."""
        return type(self), (str(self), self.report)


@dataclass(frozen=True)
class Network:
    """A network of your own, with what its model file has to say.

    Attributes:
        model: a module of `(input_ids, lengths)` → logits: (batch, sequence) int64, padded behind
            each row, and (batch,) int32 → (batch,) float32 of two labels, else (batch, K). One
            embedding is indexed by `input_ids`, with a row for each token of the vocabulary.
        vocabulary: tokens in the order of their ids; `<pad>` is the first, `<unk>` the second.
        labels: names, in the order of the logits; of two, the negative and the positive one.
        texts: to compare on.
        text: how text becomes tokens.
        temperature: what logits are divided by before they become probabilities.
        threshold: the score from which on the positive of two labels is predicted.
        ordinal: whether the labels are numbers in an order.
    """

    model: "nn.Module"
    vocabulary: Sequence[str]
    labels: Sequence[str]
    texts: Sequence[str]
    text: TextSettings = field(default_factory=TextSettings)
    temperature: float = 1.0
    threshold: float = 0.5
    ordinal: bool = False

    def __str__(self) -> str:
        """Return the name of the module's class."""
        return type(self.model).__name__


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and where to.

    Attributes:
        checkpoint: the folder that `sent-train` left, or a network of somebody's own.
        output: the model file.
        opset: version of ONNX's operators, 17 to 23.
        precision: `fp32`, `fp16`, `w8` or `int8`.
        parity_data: file of real texts; None for the checkpoint's own.
        device: `auto`, `cpu` or `cuda[:N]`: which providers are compared besides the CPU.
        atol: replaces the tolerance on logits.
        threads: CPU threads of PyTorch and of ONNX Runtime, 0 = one for each core.
    """

    checkpoint: Path | Network
    output: Path
    opset: int = OLDEST_OPSET
    precision: str = "fp32"
    parity_data: Path | None = None
    device: str = "auto"
    atol: float | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse an opset, a precision, a tolerance or a number of threads that cannot be."""
        if not OLDEST_OPSET <= self.opset <= NEWEST_OPSET:
            raise UsageError(
                f"opset is {self.opset}, expected from {OLDEST_OPSET} to {NEWEST_OPSET}"
            )
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise UsageError(f"precision is {self.precision!r}, expected one of {known}")
        if isinstance(self.checkpoint, Network):
            self._check_network(self.checkpoint)
        if self.atol is not None and not 0 < self.atol < math.inf:
            raise UsageError(f"atol is {self.atol}, expected a finite number above 0")
        if self.threads < 0:
            raise UsageError(f"threads is {self.threads}, expected at least 0")

    def _check_network(self, network: Network) -> None:
        """Refuse what can be had of a checkpoint alone."""
        if self.precision not in FOREIGN_PRECISIONS:
            raise UsageError(
                f"precision is {self.precision!r}, which knows the layers of sent-train's networks "
                f"alone, not those of {network}. Use fp32 or fp16"
            )
        if self.parity_data is not None:
            raise UsageError(
                f"parity_data is {self.parity_data} beside the texts of {network} itself. Leave it "
                "out"
            )


@dataclass(frozen=True)
class Exported:
    """A model file that agrees with its checkpoint.

    Attributes:
        model_file: `path`, `sha256`, and the `card` that rides in the file.
        report: the comparison that it passed.
        pytorch_bytes: size of the fp32 weights in PyTorch.
    """

    model_file: "ModelFile"
    report: "ParityReport"
    pytorch_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return what `sent-export --json` prints."""
        return {
            "model": str(self.model_file.path),
            "sha256": self.model_file.sha256,
            "bytes": len(self.model_file.data),
            "pytorch_bytes": self.pytorch_bytes,
            "parity": self.report.to_json(),
        }

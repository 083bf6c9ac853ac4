"""What a parity check found: as objects, as JSON, as a certificate, and in words."""

import importlib.metadata
import math
import platform
from dataclasses import asdict, dataclass
from typing import Any, Final

from exporter.parity.difference import Difference
from exporter.parity.localise import Stage
from exporter.parity.tolerance import Tolerance
from infer import __version__

LIBRARIES: Final = ("torch", "onnx", "onnxscript", "numpy", "spacy")


@dataclass(frozen=True)
class Comparison:
    """One set of rows, computed in two ways.

    Attributes:
        provider: the session's label: ONNX Runtime's name of the provider, and `, TF32` with it.
        check: `grid` and `texts` (against PyTorch), `batch-mates` (each row alone against among
            others) or `repeated` (the same batch twice).
        shape: (B, T) of the batch, or of the largest one.
        tolerance: the bounds that held.
        difference: what was found; None when the graph did not run.
        problems: the bounds that were broken, in words.
    """

    provider: str
    check: str
    shape: tuple[int, ...]
    tolerance: Tolerance
    difference: Difference | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """Labelled reviews and how many of them each side has right."""

    provider: str
    reviews: int
    right_before: int
    right_after: int

    @property
    def before(self) -> float:
        """Accuracy of fp32 PyTorch, 0 to 1."""
        return self.right_before / self.reviews

    @property
    def after(self) -> float:
        """Accuracy of the exported graph, 0 to 1."""
        return self.right_after / self.reviews


@dataclass(frozen=True)
class ParityReport:
    """The whole comparison.

    Attributes:
        date: when, UTC, ISO 8601.
        precision: of the exported graph.
        opset: of the exported graph.
        operators: how many nodes of each operator it has.
        reviews: the real texts: `source`, `sha256`, `rows`, `compared`, `labelled`.
        comparisons: all of them, on each provider.
        accuracies: on each provider, where reviews are labelled.
        findings: what contradicts the checkpoint before anything is run.
        stages: the stages of the first batch that differs, where there is one.
        first_stage: the first of them that differs.
        atol: the override, where one was given.
    """

    date: str
    precision: str
    opset: int
    operators: dict[str, int]
    reviews: dict[str, Any]
    comparisons: tuple[Comparison, ...]
    accuracies: tuple[Accuracy, ...]
    findings: tuple[str, ...]
    stages: tuple[Stage, ...]
    first_stage: str | None
    atol: float | None

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong, in words."""
        return [
            *self.findings,
            *(
                f"{c.provider}, {c.check} {c.shape[0]} x {c.shape[1]}: {problem}"
                for c in self.comparisons
                for problem in c.problems
            ),
        ]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def providers(self) -> list[str]:
        """The providers that were compared."""
        return list(dict.fromkeys(c.provider for c in self.comparisons))

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready; numbers that are not finite become strings."""
        report = {"passed": self.passed, "problems": self.problems, **asdict(self)}
        report |= {"toolkit": __version__, "versions": versions(), "machine": platform.machine()}
        ready: dict[str, Any] = json_ready(report)
        return ready

    def worst(self) -> Difference:
        """Return the difference from PyTorch with the largest gap between logits."""
        found = [c.difference for c in self._against_pytorch() if c.difference is not None]
        return max(found, key=lambda d: d.logit_absolute.maximum)

    def certificate(self) -> dict[str, Any]:
        """Return the summary that rides in the model file; it holds no path of this machine."""
        grid = [c for c in self.comparisons if c.check == "grid"]
        worst = self.worst()
        return {
            "passed": self.passed,
            "date": self.date,
            "toolkit": __version__,
            "versions": versions(),
            "machine": platform.machine(),
            "providers": self.providers,
            "precision": self.precision,
            "opset": self.opset,
            "operators": self.operators,
            "shapes": [list(shape) for shape in dict.fromkeys(c.shape for c in grid)],
            "comparisons": len(self.comparisons),
            "rows": sum(c.difference.rows for c in self.comparisons if c.difference),
            "reviews": self.reviews,
            "max_logit_difference": worst.logit_absolute.maximum,
            "max_probability_difference": worst.probability_absolute.maximum,
            "flipped_labels": {c.provider: c.difference.flips for c in self._texts(self.comparisons)
                               if c.difference},
            "batch_mates": self._largest("batch-mates"),
            "repeated": self._largest("repeated"),
            "accuracy": {a.provider: {"before": a.before, "after": a.after}
                         for a in self.accuracies},
            "tolerance": {c.provider: asdict(c.tolerance) for c in self.comparisons},
            "atol_override": self.atol,
        }  # fmt: skip

    def _against_pytorch(self) -> list[Comparison]:
        return [c for c in self.comparisons if c.check in ("grid", "texts")]

    @staticmethod
    def _texts(comparisons: tuple[Comparison, ...]) -> list[Comparison]:
        return [c for c in comparisons if c.check == "texts"]

    def _largest(self, check: str) -> float:
        """Return the largest difference of logits that a check found on any provider."""
        found = [c.difference for c in self.comparisons if c.check == check and c.difference]
        return max((d.logit_absolute.maximum for d in found), default=0.0)


def versions() -> dict[str, str]:
    """Return the versions of what computes on either side."""
    import onnxruntime

    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, **found}


def json_ready(value: Any) -> Any:
    """Copy nested mappings and sequences, with floats that JSON does not know as strings."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value

"""The parity check: PyTorch against the exported graph, on each provider that scoring may use.

The graph is run by `infer.model.session.Session`, so at the optimisation level, and from the bytes,
that scoring uses; real texts go through the model file's own vocabulary and text settings.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import onnx

from exporter.graph.foreign import Foreign
from exporter.parity.comparisons import compare_session
from exporter.parity.localise import Stage, compare_stages, first_difference
from exporter.parity.reference import Batch, Material, make_material
from exporter.parity.report import Accuracy, Comparison, ParityReport
from exporter.parity.reviews import Reviews
from exporter.parity.source import Source
from exporter.parity.tolerance import for_foreign, tolerance_for
from infer.model.file import ModelFile
from infer.model.graph_rules import graph_summary
from infer.model.session import CPU, Session
from infer.text.batching import pad
from trainer.network.model import SentimentLSTM


@dataclass(frozen=True)
class Conditions:
    """How the comparison is made.

    Attributes:
        device: `cpu`, `auto` (also CUDA where it works here) or `cuda[:N]` (also that GPU).
        atol: replaces the tolerance's absolute bound on logits.
        threads: CPU cores that ONNX Runtime uses, 0 = all.
    """

    device: str = "auto"
    atol: float | None = None
    threads: int = 0


def check_parity(
    model_file: ModelFile,
    checkpoint: Source,
    reviews: Reviews,
    conditions: Conditions,
) -> ParityReport:
    """Compare a model file with the checkpoint that it was made from.

    Args:
        model_file: the exported graph and its card.
        checkpoint: what it has to agree with.
        reviews: the real texts.
        conditions: where, within which bounds.

    Raises:
        DeviceError: the device cannot be had.
        ModelFileError: ONNX Runtime refuses the graph.
    """
    sessions = open_sessions(model_file, conditions)
    material = make_material(model_file, checkpoint, reviews)
    comparisons: list[Comparison] = []
    accuracies: list[Accuracy] = []
    stages: list[Stage] = []
    for session in sessions:
        tolerance = tolerance_for(
            model_file.card.precision,
            session.provider,
            session.tf32,
            conditions.atol,
            len(checkpoint.labels),
        )
        if isinstance(checkpoint.model, Foreign):
            tolerance = for_foreign(tolerance)
        compared, measured = compare_session(session, tolerance, material)
        comparisons += compared
        accuracies += measured
        stages = stages or locate(session, model_file.data, checkpoint.model, material, compared)
    findings = contradictions(model_file, checkpoint)
    graph = onnx.ModelProto.FromString(model_file.data)
    return ParityReport(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        precision=model_file.card.precision,
        opset=next(entry.version for entry in graph.opset_import if not entry.domain),
        operators=graph_summary(graph),
        reviews=material.describe_reviews(),
        comparisons=tuple(comparisons),
        accuracies=tuple(accuracies),
        findings=tuple(findings),
        stages=tuple(stages),
        first_stage="text settings and vocabulary" if findings else first_difference(stages),
        atol=conditions.atol,
    )


def open_sessions(model_file: ModelFile, conditions: Conditions) -> list[Session]:
    """Return a session on the CPU; where CUDA is asked for or found, two there: TF32 and not."""
    data, device = model_file.data, conditions.device
    precision, threads = model_file.card.precision, conditions.threads
    sessions = [Session(data, "cpu", threads, precision)]
    if device != "cpu":
        further = [Session(data, device, threads, precision, tf32) for tf32 in (True, False)]
        sessions += [session for session in further if session.provider != CPU]
    return sessions


def contradictions(model_file: ModelFile, checkpoint: Source) -> list[str]:
    """Say what the model card has differently from the checkpoint."""
    card = model_file.card
    pairs = {
        "vocabulary": (card.vocabulary.sha256(), checkpoint.vocabulary.sha256()),
        "text settings": (card.text, checkpoint.text),
        "labels": (card.labels, checkpoint.labels),
        "temperature": (card.temperature, checkpoint.temperature),
        "order of labels": (card.ordinal, checkpoint.ordinal),
        "threshold": (card.threshold, checkpoint.threshold),
    }
    return [
        f"the model file's {name} is not the checkpoint's: {found}, expected {expected}"
        for name, (found, expected) in pairs.items()
        if found != expected
    ]


def locate(
    session: Session,
    data: bytes,
    model: SentimentLSTM | Foreign,
    material: Material,
    comparisons: list[Comparison],
) -> list[Stage]:
    """Compare the stages on the first batch whose logits differ from PyTorch's, if there is one.

    A network that somebody brought has no stages that are known.

    Args:
        session: what was compared.
        data: its model file.
        model: PyTorch's.
        material: what was compared on.
        comparisons: the session's: the grid's in its order, then the texts'.
    """
    if isinstance(model, Foreign):
        return []
    grid = len(material.grid)
    batches = [*material.grid, _worst_text(material, comparisons[grid])]
    for comparison, batch in zip(comparisons[: grid + 1], batches, strict=True):
        if comparison.problems and comparison.difference is not None and batch is not None:
            bound = comparison.tolerance.stage
            return compare_stages(model, data, session.providers, batch, bound)
    return []


def _worst_text(material: Material, comparison: Comparison) -> Batch | None:
    """Return the review that differs most as a batch, None when it has no token to run."""
    if comparison.difference is None:
        return None
    row = comparison.difference.worst.row
    return pad(material.found, np.array([row])) if material.found.lengths[row] else None

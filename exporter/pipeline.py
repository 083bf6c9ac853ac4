"""The exporter's main path: checkpoint → graph → parity → model file, or nothing at all."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from torch import nn

from exporter.card import make_card, measured
from exporter.graph.build import build_graph
from exporter.graph.foreign import Foreign
from exporter.graph.precision import apply_precision
from exporter.parity.check import Conditions, check_parity
from exporter.parity.known_answers import known_answers
from exporter.parity.report import ParityReport
from exporter.parity.reviews import Reviews, read_reviews, reviews_of
from exporter.parity.source import Brought, Source
from exporter.request import Exported, ExportRequest, Network, ParityFailedError
from infer.base.commit import atomic_file, check_output, writable
from infer.base.console import say
from infer.base.device import Device
from infer.base.errors import DeviceError, ModelFileError, OutputError, SentError, UsageError
from infer.model.card import ModelCard
from infer.model.cuda import cuda_problem
from infer.model.file import ModelFile, read_model_file, stamp
from infer.text.languages import cutter_of
from infer.text.tokenizer import spacy_version
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.folder import load_checkpoint
from trainer.network.device import set_threads

REPORT_SUFFIX: Final = ".parity-failure.json"
# The CUDA kernel of LSTM is registered for the schema of opset 14; 22 brought a new one, and before
# ONNX Runtime 1.31 kernels are refused for schemas newer than their own (onnxruntime#26065).
LAST_CUDA_OPSET: Final = 21


def export_model(request: ExportRequest) -> Exported:
    """Export a checkpoint; the model file exists only if it agrees with PyTorch.

    Raises:
        UsageError: the request cannot be carried out; nothing was touched.
        ModelFileError: the checkpoint is damaged; nothing was touched.
        ParityFailedError: the graph breaks the contract or differs from PyTorch. Nothing new is
            left at the destination, and the report stands beside it. An older model file stays as
            it was, unless it is of the same checkpoint and the new one differs from PyTorch: then
            it is as doubtful, and goes.
    """
    check_destination(request)
    if request.opset > LAST_CUDA_OPSET:
        say(
            f"Warning: opset {request.opset} is above {LAST_CUDA_OPSET}: ONNX Runtime before 1.31 "
            "runs its LSTMs on the CPU only."
        )
    checkpoint, reviews = read_source(request)
    card = make_card(checkpoint, request.precision)
    with reporting_failure(request.output, card):
        say(f"Exporting {request.checkpoint} ({request.precision}, opset {request.opset})")
        graph = apply_precision(build_graph(checkpoint.model, request.opset), request.precision)
        draft = as_model_file(request.output, stamp(graph, card), card)
        report = compare(request, draft, checkpoint, reviews)
        certified = replace(
            card,
            parity=report.certificate(),
            answers=known_answers(draft),
            validated=card.validated or measured(draft, checkpoint),
        )
        write_model_file(request.output, stamp(graph, certified))
    return Exported(read_model_file(request.output), report, pytorch_bytes(checkpoint))


def check_model_file(request: ExportRequest) -> Exported:
    """Compare the existing model file `request.output` with a checkpoint anew; it is only read.

    Raises:
        UsageError: the request cannot be carried out.
        ModelFileError: the model file or the checkpoint is damaged.
        ParityFailedError: the two differ.
    """
    model_file = read_model_file(request.output)
    check_device(request.device, model_file.card.precision)
    checkpoint, reviews = read_source(request)
    say(f"Checking {request.output} ({model_file.card.precision})")
    report = compare(request, model_file, checkpoint, reviews)
    return Exported(model_file, report, pytorch_bytes(checkpoint))


def read_source(request: ExportRequest) -> tuple[Source, Reviews]:
    """Return what is exported, and the texts that it is compared on.

    Raises:
        UsageError, InputError, ModelFileError: it cannot be.
    """
    given = request.checkpoint
    if isinstance(given, Network):
        return bring(given), reviews_of(given.texts)
    checkpoint = load_checkpoint(given)
    return checkpoint, read_reviews(request.parity_data, checkpoint)


def bring(network: Network) -> Brought:
    """Return somebody's own network as it is exported: a copy, tried once.

    Raises:
        UsageError: a part of it is none, or the module does not run.
    """
    if not isinstance(network.model, nn.Module):
        raise UsageError(f"model is of type {type(network.model).__name__}, expected a Module")
    if isinstance(network.texts, str):
        raise UsageError("texts is one string, expected several in a list")
    cutter_of(network.text.language)
    return Brought(
        model=Foreign(network.model, len(network.labels)),
        vocabulary=Vocabulary(tuple(network.vocabulary)),
        text=replace(network.text, spacy_version=network.text.spacy_version or spacy_version()),
        labels=tuple(network.labels),
        temperature=network.temperature,
        threshold=network.threshold,
        ordinal=network.ordinal,
    )


def compare(
    request: ExportRequest,
    model_file: ModelFile,
    checkpoint: Source,
    reviews: Reviews,
) -> ParityReport:
    """Run the parity check that is asked for.

    Raises:
        ParityFailedError: the model file differs from the checkpoint.
    """
    set_threads(request.threads or None)
    conditions = Conditions(request.device, request.atol, request.threads)
    report = check_parity(model_file, checkpoint, reviews, conditions)
    refuse_failed(report)
    return report


def check_destination(request: ExportRequest) -> None:
    """Refuse, before any work, what could not be carried out, and make the output's folder.

    Raises:
        OutputError: the output is a folder, a link, or a file that is no model file of ours.
        DeviceError: the device cannot be had.
    """
    check_device(request.device, request.precision)
    with writable(request.output):
        check_output(request.output, overwrite=True)
        request.output.parent.mkdir(parents=True, exist_ok=True)
    if request.output.exists():
        try:
            read_model_file(request.output)
        except ModelFileError as error:
            raise OutputError(
                f"{request.output}: exists and is not a model file that may be replaced ({error}). "
                "Delete it, or name another --output"
            ) from error


def check_device(device: str, precision: str) -> None:
    """Refuse a device that was asked for by name and cannot run the precision.

    Raises:
        DeviceError: with the reason.
        UsageError: it is no device's name.
    """
    wanted = Device.parse(device)
    if wanted.kind != "cuda":
        return
    if precision == "int8":
        raise DeviceError(
            f"--device {wanted}: int8 models have no CUDA kernels. Use --precision fp16"
        )
    if (problem := cuda_problem(wanted.index)) is not None:
        raise DeviceError(f"--device {wanted}: {problem}")


def as_model_file(path: Path, data: bytes, card: ModelCard) -> ModelFile:
    """Return stamped bytes as the model file that they will be."""
    return ModelFile(path, data, hashlib.sha256(data).hexdigest(), card)


def write_model_file(path: Path, data: bytes) -> None:
    """Write the file beside its place, read it back as scoring will, and rename it."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)
        read_model_file(temporary)


def pytorch_bytes(checkpoint: Source) -> int:
    """Return the size of the fp32 weights."""
    return sum(t.numel() * t.element_size() for t in checkpoint.model.state_dict().values())


def refuse_failed(report: ParityReport) -> None:
    """Raise `ParityFailedError` unless the report has passed."""
    if report.passed:
        return
    first, *others = report.problems
    more = f" (and {len(others)} more problems)" if others else ""
    stage = f". First stage that differs: {report.first_stage}" if report.first_stage else ""
    raise ParityFailedError(f"parity failed: {first}{more}{stage}", report.to_json())


@contextmanager
def reporting_failure(output: Path, card: ModelCard) -> Iterator[None]:
    """Write a report when the block fails, and let no older model file pass for the new one.

    A report of an earlier failure goes when the block ends well.

    Args:
        output: the destination.
        card: of the model that is to be written there.

    Raises:
        ParityFailedError: in place of the toolkit's own errors, saying what became of the files.
    """
    report_path = output.with_name(output.name + REPORT_SUFFIX)
    try:
        yield
    except Exception as error:
        report = getattr(error, "report", {"passed": False, "problems": [str(error)]})
        told = f"{settle_older(output, card, error)} {write_report(report_path, report)}"
        if isinstance(error, SentError):
            raise ParityFailedError(f"{error}. {told}", report) from error
        error.add_note(told)
        raise
    report_path.unlink(missing_ok=True)


def settle_older(output: Path, card: ModelCard, error: Exception) -> str:
    """Leave the model file that stands there, unless the failure is its own too, and say so."""
    if not output.exists():
        return f"No model file was written to {output}."
    if isinstance(error, ParityFailedError) and is_same_model(read_model_file(output).card, card):
        output.unlink()
        return (
            f"No model file was written; the older {output}, of the same checkpoint, was removed."
        )
    return f"No model file was written; the older {output} stays as it was."


def is_same_model(one: ModelCard, other: ModelCard) -> bool:
    """Tell whether two cards are of one checkpoint, in whatever precision."""
    names = ("text", "vocabulary", "labels", "metrics", "temperature", "threshold")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def write_report(path: Path, report: dict[str, Any]) -> str:
    """Write the full report and say where it is, or why it could not be written."""
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        return f"The report could not be written ({error})"
    return f"Full report: {path}"

"""Exporting from Python: what `sent-export` goes through too.

Nothing heavy is imported before a function is called, and nothing is printed: what there is to say
goes to the logger `sent_toolkit`.
"""

from pathlib import Path
from typing import Final

from exporter.request import Exported, ExportRequest, Network
from infer.base.console import require_packages

DEFAULT_CHECKPOINT: Final = Path("artifacts/checkpoint")
DEFAULT_OUTPUT: Final = Path("artifacts/model.onnx")
NEEDED: Final = ("torch", "safetensors", "onnxscript")


def export(
    checkpoint: str | Path | Network = DEFAULT_CHECKPOINT,
    output: str | Path = DEFAULT_OUTPUT,
    *,
    opset: int = 17,
    precision: str = "fp32",
    parity_data: str | Path | None = None,
    device: str = "auto",
    atol: float | None = None,
    threads: int = 0,
) -> Exported:
    """Turn a checkpoint into one model file that agrees with PyTorch, or into nothing.

    Example:
        >>> exported = exporter.export("artifacts/checkpoint", "small.onnx", precision="fp16")
        >>> print(exported.model_file.path, exported.report.worst().logit_absolute.maximum)

    Args:
        checkpoint: folder that training left, or a `Network` of your own.
        output: model file to write; an older model file there is replaced.
        opset: version of ONNX's operators, 17 to 23.
        precision: `fp32`; `fp16` stores the weights in half; `int8` computes in integers.
        parity_data: file of real texts, with labels or without, to compare on; None: the
            checkpoint's validation reviews.
        device: compare on the CPU and, with `auto` where it works here, on CUDA; else `cpu`,
            `cuda` or `cuda:N`.
        atol: largest difference of a logit, recorded as an override; None: by precision.
        threads: CPU threads of PyTorch and ONNX Runtime, 0 = one for each core.

    Returns:
        The model file, the comparison that it passed, and PyTorch's size.

    Raises:
        ParityFailedError: the graph differs from PyTorch. There is no model file, and the report
            stands beside its place; it is the error's `report` too.
        infer.base.errors.SentError: `UsageError` for wrong arguments or files, `ModelFileError`
            for a damaged checkpoint, `DeviceError`.
    """
    request = ExportRequest(
        _source(checkpoint),
        Path(output),
        opset,
        precision,
        _path(parity_data),
        device,
        atol,
        threads,
    )
    require_packages(NEEDED)
    from exporter.pipeline import export_model

    return export_model(request)


def check(
    model: str | Path,
    checkpoint: str | Path | Network = DEFAULT_CHECKPOINT,
    *,
    parity_data: str | Path | None = None,
    device: str = "auto",
    atol: float | None = None,
    threads: int = 0,
) -> Exported:
    """Compare an existing model file with a checkpoint anew; nothing is written.

    Example:
        >>> exporter.check("small.onnx", "artifacts/checkpoint").report.passed
        True

    Args:
        model: the model file.
        checkpoint: what it has to agree with.
        parity_data: as in `export`, like the arguments that follow.
        device: see `export`.
        atol: see `export`.
        threads: see `export`.

    Raises:
        ParityFailedError: the two differ; the error's `report` says where.
        infer.base.errors.SentError: as in `export`.
    """
    request = ExportRequest(
        _source(checkpoint),
        Path(model),
        parity_data=_path(parity_data),
        device=device,
        atol=atol,
        threads=threads,
    )
    require_packages(NEEDED)
    from exporter.pipeline import check_model_file

    return check_model_file(request)


def _source(value: str | Path | Network) -> Path | Network:
    return value if isinstance(value, Network) else Path(value)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)

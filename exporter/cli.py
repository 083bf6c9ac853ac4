"""`sent-export`: options in, one library call, the comparison out."""

import json
import math
from pathlib import Path
from typing import Any

import click

import exporter
from exporter.api import DEFAULT_CHECKPOINT, DEFAULT_OUTPUT
from exporter.request import NEWEST_OPSET, OLDEST_OPSET, PRECISIONS, Exported
from infer import __version__
from infer.base.console import given_options, run_command, say, say_table, talking
from infer.base.errors import UsageError
from infer.base.words import counted

# What says how to export.
EXPORTING = {"output", "opset", "precision"}
EXAMPLES = """\b
Examples:
  sent-export --opset 17
  sent-export --precision int8 -o artifacts/model-int8.onnx --parity-data reviews.parquet
  sent-export --check artifacts/model.onnx --checkpoint artifacts/checkpoint
"""


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity, within which every difference would lie."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


@click.command(epilog=EXAMPLES, context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    default=DEFAULT_CHECKPOINT,
    help="Folder that sent-train left.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUTPUT,
    help="Model file to write; an older model file there is replaced.",
)
@click.option(
    "--opset",
    type=click.IntRange(OLDEST_OPSET, NEWEST_OPSET),
    default=OLDEST_OPSET,
    help="Version of ONNX's operators; above 21 CUDA needs ONNX Runtime 1.31.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    help="fp16 stores the weights in half, w8 in 8 bits; int8 computes in integers, on the CPU.",
)
@click.option(
    "--parity-data",
    type=click.Path(path_type=Path),
    default=None,
    help="File of real texts, with labels or without, to compare on.  "
    "[default: the checkpoint's validation reviews]",
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=None,
    help="Largest difference of a logit, recorded as an override.  "
    "[default: by precision and provider]",
)
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:N]",
    help="Compare on the CPU and, with auto where it works here, on CUDA.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    help="CPU threads of PyTorch and ONNX Runtime; 0 is one for each core.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    default=None,
    metavar="MODEL.ONNX",
    help="Export nothing: compare this model file with the checkpoint anew.  [default: none]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.version_option(__version__, prog_name="sent-export")
def main(**options: Any) -> None:
    """Turn a checkpoint into one model file that agrees with PyTorch, or into nothing.

    The exported graph is compared with PyTorch over many shapes and real texts. Where it differs,
    no model file is written, the full report stands beside it, and the exit code is 1.
    """
    given = given_options(click.get_current_context())
    run_command(lambda: run(given, **options))


def run(given: set[str], check: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Export or check, and tell."""
    refuse_together(given, check)
    with talking(quiet):
        try:
            if check is None:
                exported = exporter.export(**options)
            else:
                useful = {name: options[name] for name in options.keys() - EXPORTING}
                exported = exporter.check(check, **useful)
        except exporter.ParityFailedError as failure:
            if as_json:
                click.echo(json.dumps({"model": None, "parity": failure.report}))
            raise
        if as_json:
            click.echo(json.dumps(exported.to_json()))
        tell(exported)


def refuse_together(given: set[str], check: Path | None) -> None:
    """Refuse options that say how to export beside `--check`, which exports nothing.

    Raises:
        UsageError: naming them.
    """
    useless = sorted(given & EXPORTING)
    if check is not None and useless:
        names = ", ".join(f"--{name}" for name in useless)
        raise UsageError(f"--check exports nothing, so {names} has no meaning. Leave it out")


def tell(exported: Exported) -> None:
    """Say how the model file compares with fp32 PyTorch, and what to run next."""
    model_file, report = exported.model_file, exported.report
    for provider in report.providers:
        say_table(
            f"{model_file.path} against fp32 PyTorch, on {provider}",
            table_rows(exported, provider),
            ("", "PyTorch fp32", f"{report.precision}"),
        )
    if report.atol is not None:
        say(f"Tolerance: --atol {report.atol:g}, an override that the file records")
    say(f"Agrees: {len(report.comparisons)} comparisons, opset {report.opset}, "
                f"{sum(report.operators.values())} nodes")  # fmt: skip
    say(f"Model file: {model_file.path}")
    say(f"Next: {next_command(model_file.path)}")


def table_rows(exported: Exported, provider: str) -> list[tuple[str, ...]]:
    """Return the lines of the table for one provider."""
    size, before = len(exported.model_file.data), exported.pytorch_bytes
    report = exported.report
    texts = next(
        c.difference
        for c in report.comparisons
        if c.provider == provider and c.check == "texts" and c.difference is not None
    )
    agree = texts.rows - texts.flips
    rows: list[tuple[str, ...]] = [
        (f"accuracy on {counted(a.reviews, 'review')}", f"{a.before:.4f}", f"{a.after:.4f}")
        for a in report.accuracies
        if a.provider == provider
    ]
    return [
        *rows,
        (f"same labels, of {texts.rows:,}", "", f"{agree:,} ({agree / texts.rows:.2%})"),
        ("largest difference of a logit", "", f"{texts.logit_absolute.maximum:.2g}"),
        ("largest difference of a score", "", f"{texts.probability_absolute.maximum:.2g}"),
        ("largest change of a logit with its batch-mates", "", mates_words(exported, provider)),
        ("size, MB", f"{before / 1e6:.2f}", f"{size / 1e6:.2f} ({size / before:.0%})"),
    ]


def mates_words(exported: Exported, provider: str) -> str:
    """Say by how much a text's logit hangs on the texts beside it."""
    (found,) = (
        c.difference.logit_absolute.maximum
        for c in exported.report.comparisons
        if c.provider == provider and c.check == "batch-mates" and c.difference is not None
    )
    return f"{found:.2g}" if found else "none, to the bit"


def next_command(model: Path) -> str:
    """Return the command that scores with this model file."""
    named = "" if model == DEFAULT_OUTPUT else f" --model {model}"
    return f"sent-score reviews.parquet -o scores.parquet{named}"


if __name__ == "__main__":
    main()

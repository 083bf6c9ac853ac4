"""The command `sent-score`."""

import json
from typing import TYPE_CHECKING, Any

import click

from infer import __version__
from infer.base.console import Console, default_signals, run_command
from infer.base.device import Device
from infer.base.errors import SentError
from infer.base.lean_import import lean_spacy

if TYPE_CHECKING:
    from infer.job.plan import Plan, ScoreOptions
    from infer.job.summary import Summary
    from infer.model.file import ModelFile
    from infer.model.session import Session

CERTIFICATE = ("passed", "date", "providers", "max_logit_difference", "flipped_labels", "accuracy")
EXAMPLES = """\b
Examples:
  sent-score reviews.parquet -o scores.parquet
  sent-score reviews.parquet -o scores.parquet --model imdb-small
  sent-score 's3://bucket/reviews/*.parquet' -o scored/ --text-column body
  sent-score day.parquet -o day-scores.parquet --device cuda --json > summary.json
"""


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=str),  # not a path yet: what ends with / names a folder
    required=True,
    help="File for the scores of one file; folder for those of several.",
)
@click.option(
    "--model",
    default=None,
    metavar="NAME|PATH",
    help="imdb or imdb-small, which come with the package, or a model file.  "
    "[default: artifacts/model.onnx where it is there, else imdb]",
)
@click.option(
    "--text-column",
    default=None,
    help="Column to score.  [default: text, else review, else the only string column]",
)
@click.option(
    "--columns",
    default=None,
    metavar="A,B,…",
    help="Columns to carry over; put a name with a comma in double quotes.  "
    "[default: all but the text]",
)
@click.option(
    "--prefix",
    default="",
    show_default=False,
    metavar="TEXT",
    help="Put before the names score, prediction and status.  [default: none]",
)
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:N]",
    help="Where the model runs; cuda is honoured or an error.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    default=None,
    help="Padded tokens in a batch.  [default: 2048 on the CPU, 131072 on CUDA]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    help="CPU cores that the model runs on, a batch on each; 0 is all that it may use.",
)
@click.option("--tf32/--no-tf32", default=True, help="On CUDA, round matrix inputs to TF32.")
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    default=16_384,
    help="Rows between two saved parts: the most that a kill can cost.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@click.option("--no-resume", is_flag=True, help="Start over instead of going on from saved parts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.version_option(__version__)
def main(**options: Any) -> None:
    """Score Parquet files of reviews with a model file.

    INPUT is a file, several files, a folder, a glob, or a URI such as s3://bucket/key. The output
    has the input's rows in their order: the carried columns untouched, then score (probability of
    the positive label), prediction (a label's name) and status (ok, truncated, null, empty or
    invalid). A job that was stopped goes on where it was when the same command is run again.
    """
    run_command(lambda: score(**options))


def score(
    inputs: tuple[str, ...],
    output: str,
    model: str | None,
    as_json: bool,
    quiet: bool,
    **rest: Any,
) -> None:
    """Plan, load, score, tell."""
    console = Console(quiet)
    from infer.job.plan import make_plan
    from infer.model.shipped import find_model

    Device.parse(rest["device"])
    path, remark = find_model(model)
    with default_signals():
        plan = make_plan(inputs, output, score_options(rest), path)
    for line in (*plan.remarks, remark):
        if line:
            console.say(line)
    from infer.model.file import read_model_file

    model_file = read_model_file(path)
    # Only now what takes a second to import: the inputs and the model file are in order.
    session = open_session(model_file, rest, console)
    summary = score_with_progress(plan, model_file, session, console)
    if as_json:
        print_json(summary.to_json() | provenance(model_file, session))
    tell(console, summary)


def print_json(values: dict[str, Any]) -> None:
    """Print one object on stdout.

    Raises:
        SentError: stdout cannot be written.
    """
    try:
        click.echo(json.dumps(values))
    except OSError as error:
        raise SentError(
            f"stdout cannot be written ({error.strerror}); the scores are complete"
        ) from error


def score_options(given: dict[str, Any]) -> "ScoreOptions":
    """Return what the options ask of a scoring job."""
    from infer.job.plan import ScoreOptions
    from infer.table.columns import split_names

    columns = given["columns"]
    return ScoreOptions(
        text_column=given["text_column"],
        columns=None if columns is None else split_names(columns),
        prefix=given["prefix"],
        batch_tokens=given["batch_tokens"],
        part_rows=given["part_rows"],
        overwrite=given["overwrite"],
        resume=not given["no_resume"],
    )


def open_session(model: "ModelFile", given: dict[str, Any], console: Console) -> "Session":
    """Load the model onto the device, and say which."""
    from infer.model.session import Session, wheel_conflict

    if conflict := wheel_conflict():
        console.say(f"Warning: {conflict}")
    precision = model.card.precision
    session = Session(model.data, given["device"], given["threads"], precision, given["tf32"])
    console.say(f"Model: {model.path} ({precision})")
    console.say(f"Device: {session.provider} ({session.reason})")
    return session


def score_with_progress(
    plan: "Plan", model: "ModelFile", session: "Session", console: Console
) -> "Summary":
    """Score, with a progress bar."""
    with lean_spacy():
        from infer.job.scoring import Listener, score_files

    with console.progress("{task.fields[rate]}") as progress:
        bar = progress.add_task("Scoring", total=plan.rows, rate="")

        def advance(rows: int) -> None:
            task = progress.tasks[0]
            progress.update(bar, advance=rows, rate=f"{task.speed or 0:,.0f} reviews/s")

        return score_files(plan, model, session, Listener(console.say, advance))


def provenance(model: "ModelFile", session: "Session") -> dict[str, Any]:
    """Return where the scores come from, for `--json`, with the certificate's key figures."""
    parity = model.card.parity
    return {
        "provider": session.provider,
        "provider_reason": session.reason,
        "model": {
            "path": str(model.path),
            "sha256": model.sha256,
            "precision": model.card.precision,
            "parity": {key: value for key, value in parity.items() if key in CERTIFICATE},
        },
        "version": __version__,
    }


def tell(console: Console, summary: "Summary") -> None:
    """Say what was done, for people."""
    resumed = (
        f", {summary.resumed_rows:,} of them by an earlier run" if summary.resumed_rows else ""
    )
    console.say(
        f"Scored {summary.rows:,} rows{resumed} in {summary.seconds.total:.1f} s "
        f"({summary.reviews_per_second:,.0f} a second, padding {summary.padding:.1%})"
    )
    counts = {**summary.predictions, **{f"status {k}": v for k, v in summary.statuses.items()}}
    console.say("  " + ", ".join(f"{name} {rows:,}" for name, rows in counts.items() if rows))
    for file in summary.files:
        console.say(f"  {file['input']} → {file['output']}")

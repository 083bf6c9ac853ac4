"""The command `sent-score`."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from infer import __version__
from infer.base.console import one_list, run_command, say, talking
from infer.base.errors import IncompleteError, SentError
from infer.base.words import counted

if TYPE_CHECKING:
    from infer.job.complete import Completeness
    from infer.job.summary import Summary

MOST_LABELS = 20
MOST_PROBLEMS = 20

EXAMPLES = """\b
Examples:
  sent-score reviews.parquet -o scores.parquet
  sent-score reviews.parquet -o scores.parquet --model imdb-small
  sent-score 's3://bucket/reviews/*.parquet' -o scored/ --text-column body
  sent-score tickets.csv -o scores.csv --text-column body
  zcat reviews.jsonl.gz | sent-score - -o scores.jsonl
  sent-score day.parquet -o day-scores.parquet --device cuda --json > summary.json
"""


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=str),  # not a path yet: what ends with / names a folder
    required=True,
    help="File for the scores of one file, in the format that its name ends with (.parquet, .csv, "
    ".tsv, .jsonl); folder for those of several. A path, or a URI such as s3://bucket/key.",
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
    help="Column to score.  [default: the one that the model was trained on, else text, else "
    "review, else the only string column]",
)
@click.option(
    "--columns",
    multiple=True,
    default=None,
    callback=one_list,
    show_default=False,
    metavar="A,B,…",
    help="Columns to carry over; a name with a comma in double quotes. May be given several "
    "times.  [default: all but the text]",
)
@click.option(
    "--prefix",
    default="",
    show_default=False,
    metavar="TEXT",
    help="Put before the names of the new columns (score, prediction, status, …).  [default: none]",
)
@click.option(
    "--delimiter",
    default=None,
    show_default=False,
    metavar="MARK",
    help="What parts the fields of CSV files that are read: ';', '|', tab, ….  [default: by a "
    "file's name and looks]",
)
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:N,…]",
    help="Where the model runs; cuda is honoured or an error. Several GPUs: cuda:0,1.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    default=None,
    help="Padded tokens in a batch.  [default: 2048 on the CPU; on CUDA what its memory holds, at "
    "most 262144]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    help="CPU cores that the model runs on, a batch on each; 0 is all that it may use.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=0),
    default=0,
    help="Processes that score side by side; 0 is what fills the machine: one for each GPU or for "
    "every four cores and GB of memory, and for every 50,000 rows.",
)
@click.option("--tf32/--no-tf32", default=True, help="On CUDA, round matrix inputs to TF32.")
@click.option(
    "--part-rows",
    type=click.IntRange(min=1),
    default=None,
    help="Rows between two saved parts; a kill costs at most those under way: three, or with "
    "several processes two for each and two more.  [default: 16384 on the CPU, 65536 on CUDA]",
)
@click.option(
    "--shard",
    default=None,
    metavar="I/N|auto",
    help="Score one of N shares of the rows, I from 1 to N, into a folder that all shards share; "
    "auto asks Slurm's or Kubernetes' environment.  [default: all rows]",
)
@click.option(
    "--check-complete",
    is_flag=True,
    help="Score nothing; say whether all rows of all inputs are in the output, once each, and what "
    "is missing. Takes the options that the job had, of all its shards at once.",
)
@click.option(
    "--piece-rows",
    type=click.IntRange(min=1),
    default=None,
    help="Rows of a file that go into one output at most; the output is a folder.  "
    "[default: all rows; with --shard 1048576]",
)
@click.option(
    "--probabilities",
    is_flag=True,
    help="Write the probability of each label too, as probability_LABEL.",
)
@click.option(
    "--abstain-below",
    type=click.FloatRange(0.5, 1),
    default=None,
    metavar="ACCURACY",
    help="Mark in a column 'confident' the labels that are so sure that in validation they were "
    "right at least so often, such as 0.95.",
)
@click.option(
    "--explain",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Tell of the first N rows with a score which words moved it, by leaving each out.",
)
@click.option(
    "--parts",
    default=None,
    metavar="FOLDER",
    help="Folder for the saved parts, on this machine.  [default: beside or within the output; "
    "where that is a URI, in the user's cache]",
)
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@click.option("--no-resume", is_flag=True, help="Start over instead of going on from saved parts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.version_option(__version__)
def main(**options: Any) -> None:
    """Score files of reviews with a model file.

    INPUT is a file (Parquet, CSV, TSV or JSON Lines), several files, a folder, a glob, a URI such
    as s3://bucket/key, or - for stdin. The output has the input's rows in their order: the carried
    columns untouched, then score (probability of the positive label; of more than two, of the
    predicted one), prediction (a label's name) and status (ok, truncated, null, empty or invalid).
    A job that was stopped goes on where it was when the same command is run again.
    """
    run_command(lambda: score(**options))


def score(
    as_json: bool,
    quiet: bool,
    columns: str | None,
    no_resume: bool,
    check_complete: bool,
    **options: Any,
) -> None:
    """Score, and tell what was done; or tell whether all is done."""
    import infer
    from infer.table.columns import split_names

    asked = {
        "columns": None if columns is None else split_names(columns),
        "resume": not no_resume,
        **options,
    }
    with talking(quiet):
        if check_complete:
            tell_complete(infer.check_complete(**asked), asked["output"], as_json, quiet)
            return
        summary = infer.score_files(**asked)
        if as_json:
            print_json(summary.to_json())
        tell(summary)


def tell_complete(found: "Completeness", output: str, as_json: bool, quiet: bool) -> None:
    """Say what is wrong, or that nothing is.

    Raises:
        IncompleteError: something is.
    """
    if as_json:
        print_json(found.to_json())
    for problem in found.problems[:MOST_PROBLEMS]:
        say(f"  {problem.message}")
    if len(found.problems) > MOST_PROBLEMS:
        say(f"  and {len(found.problems) - MOST_PROBLEMS:,} more")
    if found.problems:
        kinds = Counter(problem.kind for problem in found.problems)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        remedy = (
            "Run what is missing again"
            if kinds.keys() == {"missing"}
            else "If the options are the job's, remove the files that are named, and run it again"
        )
        # They are listed above, unless nothing is said.
        first = f"; first: {found.problems[0].message}" if quiet else ""
        raise IncompleteError(
            f"{output}: is not complete ({counts}{first}). {remedy}: what is done is not done again"
        )
    where = f", as {found.manifest} says" if found.manifest else ""
    rows, inputs = counted(found.rows, "row"), counted(len(found.inputs), "input")
    say(f"Complete: {rows} of {inputs} in {counted(found.files, 'file')}{where}")


def _most(predictions: dict[str, int]) -> dict[str, int]:
    """Return the counts, of many labels those of the most frequent ones and of all others."""
    if len(predictions) <= MOST_LABELS:
        return predictions
    first = dict(sorted(predictions.items(), key=lambda entry: -entry[1])[:MOST_LABELS])
    return {**first, "other labels": sum(predictions.values()) - sum(first.values())}


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


def tell(summary: "Summary") -> None:
    """Say what was done, for people."""
    resumed = (
        f", {summary.resumed_rows:,} of them by an earlier run" if summary.resumed_rows else ""
    )
    say(
        f"Scored {counted(summary.rows, 'row')}{resumed} in {summary.seconds.total:.1f} s "
        f"({summary.reviews_per_second:,.0f} a second, padding {summary.padding:.1%})"
    )
    counts = {
        **_most(summary.predictions),
        **{f"status {k}": v for k, v in summary.statuses.items()},
    }
    if some := [f"{name} {rows:,}" for name, rows in counts.items() if rows]:
        say("  " + ", ".join(some))
    for row in summary.explained:
        say(f"  {row.in_words()}")
    if summary.abstained:
        say(f"  {summary.abstained.in_words()}")
    if summary.warning:
        say(f"  {summary.warning}")
    for file in summary.files:
        say(f"  {file['input']} → {file['output']}")

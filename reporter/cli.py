"""The command `sent-report`."""

import json
from typing import Any

import click

import reporter
from infer import __version__
from infer.base.console import given_options, one_list, run_command, say, talking
from infer.base.errors import UsageError
from infer.base.words import counted
from reporter.api import EVERY, EXAMPLES, MOST_EXAMPLES, MOST_SAMPLED, SEED

# Options that a sample has no use for, and those that it has.
REPORT_ALONE = {"over", "every", "examples", "explain", "no_texts", "as_json"}
SAMPLES_TOO = (
    *("inputs", "by", "label_column", "text_column", "seed", "model", "prefix", "delimiter"),
    "overwrite",
)

EPILOG = """\b
Examples:
  sent-report scores.parquet -o report.html
  sent-report scores.parquet -o report.html --by product --over date --every week
  sent-report 'scored/*.parquet' -o report.html --label-column label
  sent-report scores.parquet --json > figures.json
  sent-report scores.parquet --sample 200 -o label.csv
"""


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=str),
    default=None,
    show_default=False,
    help="HTML file to write; with --sample a table (.csv, .tsv, .jsonl, .parquet).  [default: "
    "none, where --json is given]",
)
@click.option(
    "--by",
    default=None,
    show_default=False,
    metavar="COLUMN",
    help="Column whose values part the rows, such as a product.  [default: none]",
)
@click.option(
    "--over",
    default=None,
    show_default=False,
    metavar="COLUMN",
    help="Column of dates or times.  [default: none]",
)
@click.option(
    "--every", type=click.Choice(EVERY), default="month", help="How long a period of --over is."
)
@click.option(
    "--label-column",
    default=None,
    show_default=False,
    metavar="COLUMN",
    help="Column of true labels: accuracy, confusion, calibration.  [default: none]",
)
@click.option(
    "--text-column",
    default=None,
    show_default=False,
    metavar="COLUMN",
    help="Column of the texts, where they were carried over: lengths and examples.  [default: "
    "text, else review, where there is one]",
)
@click.option(
    "--examples",
    type=click.IntRange(0, MOST_EXAMPLES),
    default=EXAMPLES,
    help="Rows of a kind to show at most: surest of each label, least sure, at random.",
)
@click.option(
    "--explain", is_flag=True, help="Mark in the examples the words that moved their scores."
)
@click.option("--no-texts", is_flag=True, help="Show no text of any row.")
@click.option("--seed", type=int, default=SEED, help="Seed of what is drawn.")
@click.option(
    "--model",
    default=None,
    show_default=False,
    metavar="NAME|PATH",
    help="The model that scored: imdb, imdb-small or a model file.  [default: whichever of these "
    "and artifacts/model.onnx the files name]",
)
@click.option(
    "--prefix",
    default="",
    show_default=False,
    metavar="TEXT",
    help="What stands before the names of the columns that sent-score wrote.  [default: none]",
)
@click.option(
    "--delimiter",
    default=None,
    show_default=False,
    metavar="MARK",
    help="What parts the fields of CSV files: ';', '|', tab, ….  [default: by a file's name and "
    "looks]",
)
@click.option(
    "--sample",
    type=click.IntRange(1, MOST_SAMPLED),
    default=None,
    show_default=False,
    metavar="ROWS",
    help="Write a table of so many rows to label in place of a report: half of them unsure, half "
    "from everywhere.  [default: a report]",
)
@click.option(
    "--columns",
    multiple=True,
    default=None,
    callback=one_list,
    show_default=False,
    metavar="A,B,…",
    help="With --sample: columns to carry over; a name with a comma in double quotes. May be "
    "given several times.  [default: the id, and that of --by]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.version_option(__version__, prog_name="sent-report")
def main(**options: Any) -> None:
    """Show what came out of scoring, on one page that needs nothing else.

    INPUT is a file that sent-score has written, several files, a folder, a glob, or a URI such as
    s3://bucket/key. The page has rows and statuses, the distribution of scores, and as far as
    columns for it are named the shares of the labels over time and by group, how right they are,
    and examples.

    With --sample it draws rows for a person to label; sent-train takes that file as it is.
    """
    given = given_options(click.get_current_context())
    if options["sample"] is None:
        run_command(lambda: make_report(**options, given=given))
    run_command(lambda: draw_rows(**options, given=given))


def draw_rows(
    output: str | None, sample: int, columns: str | None, given: set[str], **options: Any
) -> None:
    """Draw rows to label, and say what was done."""
    from infer.table.columns import split_names
    from infer.table.formats import has_known_ending

    if unused := given & REPORT_ALONE:
        raise UsageError(f"--sample and {_flags(unused)} are both given, expected one of them")
    if output is None or not has_known_ending(output):
        raise UsageError(
            f"--sample: output {output or 'missing'}, expected a table. Name one with -o, such as "
            "label.csv"
        )
    with talking(options["quiet"]):
        asked = {name: value for name, value in options.items() if name in SAMPLES_TOO}
        names = () if columns is None else split_names(columns)
        rows = reporter.sample(output=output, number=sample, columns=names, **asked)
        say(f"{counted(rows, 'row')} to label: {output}")
        say(f"Next: fill in its column 'label', then sent-train --data {output}")


def make_report(
    output: str | None,
    as_json: bool,
    quiet: bool,
    no_texts: bool,
    sample: None,
    columns: str | None,
    given: set[str],
    **options: Any,
) -> None:
    """Make the report, and say what was done."""
    from infer.table.formats import has_known_ending

    if columns is not None:
        raise UsageError("--columns goes with --sample, which writes a table")
    if output is None and not as_json:
        raise UsageError("no output. Name a file with -o report.html, or print the figures: --json")
    if output is not None and has_known_ending(output):
        raise UsageError(
            f"{output}: is a table's name, expected an HTML file such as report.html. Rows to "
            "label are drawn with --sample"
        )
    with talking(quiet):
        figures = reporter.report(output=output, texts=not no_texts, **options)
        if as_json:
            click.echo(json.dumps(figures, ensure_ascii=False))
        for note in figures["notes"]:
            say(f"Note: {note}")
        shares = ", ".join(
            f"{share['label']} {share['share']:.1%}"
            for share in figures["shares"][:5]
            if share["rows"]
        )
        shares = f": {shares}" if shares else ""
        say(f"{counted(figures['rows'], 'row')}, {figures['scored']:,} scored{shares}")
        if output is not None:
            say(f"report: {output}")


def _flags(names: set[str]) -> str:
    called = {"as_json": "json"}
    return ", ".join(sorted(f"--{called.get(name, name).replace('_', '-')}" for name in names))


if __name__ == "__main__":
    main()

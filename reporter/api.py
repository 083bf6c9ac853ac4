"""Reports from Python: what `sent-report` goes through too.

Nothing heavy is imported before a function is called, and nothing is printed: what there is to say
goes to the logger `sent_toolkit`.
"""

import os
from collections import Counter
from collections.abc import Sequence
from os import PathLike, stat_result
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infer.base.commit import file_keys, writable
from infer.base.console import require_packages
from infer.base.errors import InputError, OutputError, UsageError
from infer.table.delimiters import read_delimiter

if TYPE_CHECKING:
    from infer.table.outputs import Target
    from reporter.rows.reading import Rows

Source = str | PathLike[str]
EVERY: Final = ("day", "week", "month", "quarter", "year")
EXTRA: Final = "report"
NEEDED: Final = ("duckdb", "jinja2", "matplotlib")
EXAMPLES: Final = 5
MOST_EXAMPLES: Final = 1_000
MOST_SAMPLED: Final = 100_000
_MOST_SEED: Final = 2**32 - 1
SEED: Final = 123


def report(
    inputs: Source | Sequence[Source],
    output: Source | None = None,
    *,
    by: str | None = None,
    over: str | None = None,
    every: str = "month",
    label_column: str | None = None,
    text_column: str | None = None,
    texts: bool = True,
    examples: int = EXAMPLES,
    explain: bool = False,
    seed: int = SEED,
    model: Source | None = None,
    prefix: str = "",
    delimiter: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a page of what came out of scoring.

    Args:
        inputs: files that `sent-score` has written, folders, globs or URIs: one or several.
        output: the HTML file to write, a path or a URI; None: only the figures are wanted.
        by: column whose values part the rows, such as a product.
        over: column of dates.
        every: `day`, `week`, `month`, `quarter` or `year`.
        label_column: column of true labels.
        text_column: column of the texts, where they were carried over; None: `text`, else `review`,
            where there is one.
        texts: whether examples of rows are shown; where not, `by` and `label_column` may not name a
            column of texts.
        examples: how many of a kind at most.
        explain: whether the words that moved their scores are marked, which takes the model.
        seed: of what is drawn.
        model: the model that scored, a shipped one's name or a path; None: whichever is here and
            has the hash that the files name.
        prefix: what stands before the names of the columns that scoring wrote.
        delimiter: what parts the fields of CSV files; None: what their names and looks say.
        overwrite: replace an existing output.

    Returns:
        The figures, JSON-ready and without the examples' texts.

    Raises:
        infer.base.errors.SentError: as `sent-report` ends with an error: `InputError`,
            `OutputError`, `MissingExtraError`, `ModelFileError`.

    Example:
        >>> import reporter
        >>> figures = reporter.report("scores.parquet", "report.html")  # doctest: +SKIP
        >>> figures["rows"], figures["statuses"]["ok"]  # doctest: +SKIP
        (1000, 998)
    """
    require_packages(NEEDED, EXTRA)
    _check_report(every, seed, examples, texts, explain)
    from infer.table.outputs import open_output
    from reporter.figures.database import open_database
    from reporter.figures.figures import Settings, make_figures, without_texts
    from reporter.rows.columns import Asked

    asked = Asked(prefix, by, over, label_column, text_column)
    target = None if output is None else open_output(os.fspath(output)).whole()
    rows = _open(inputs, target, asked, texts or text_column is not None, delimiter, overwrite)
    _check_texts(rows, shown=texts, needed=explain)
    shown = examples if texts else 0
    settings = Settings(every, shown, seed, None if model is None else str(model), explain)
    with open_database() as database:
        figures = make_figures(database, rows, settings)
    if target is not None:
        _write_page(figures, rows, target, overwrite)
    return without_texts(figures)


def sample(
    inputs: Source | Sequence[Source],
    output: Source,
    number: int,
    *,
    by: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    columns: Sequence[str] = (),
    seed: int = SEED,
    model: Source | None = None,
    prefix: str = "",
    delimiter: str | None = None,
    overwrite: bool = False,
) -> int:
    """Draw rows for a person to label, half of them unsure, half from everywhere.

    Args:
        inputs: files that `sent-score` has written, with the texts carried over.
        output: the file to write: CSV, TSV, JSON Lines or Parquet by its name's end. It has the
            columns that are carried over, `text`, and an empty `label`; `trainer.train` takes it as
            it is, once labels are in it.
        number: how many rows are wanted.
        by: column whose values part the rows: rows of each are drawn.
        label_column: column of true labels: rows that have one are not drawn.
        text_column: column of the texts; None: `text`, else `review`.
        columns: columns to carry over; none: the id, and the columns that are named otherwise.
        seed: of what is drawn.
        model: as in `report`.
        prefix: as in `report`.
        delimiter: as in `report`.
        overwrite: replace an existing output.

    Returns:
        How many rows there are: fewer where there are no more.

    Raises:
        infer.base.errors.SentError: as in `report`.

    Example:
        >>> import reporter
        >>> reporter.sample("scores.parquet", "label.csv", 200)  # doctest: +SKIP
        200
    """
    require_packages(NEEDED[:1], EXTRA)
    _check_number("seed", seed, 0, _MOST_SEED)
    _check_number("sample", number, 1, MOST_SAMPLED)
    from infer.table.outputs import open_output
    from reporter.figures.database import open_database
    from reporter.labelling.write import draw_sample, write_table
    from reporter.rows.columns import Asked

    target = open_output(os.fspath(output)).whole()
    asked = Asked(prefix, by, None, label_column, text_column, tuple(columns))
    rows = _open(inputs, target, asked, True, delimiter, overwrite)
    _check_texts(rows, shown=True, needed=True)
    with open_database() as database:
        table = draw_sample(
            database, rows, None if model is None else str(model), number, seed, target.name
        )
    with writable(target), target.create(overwrite, _strictest(rows)) as temporary:
        write_table(table, target.name, temporary)
    return int(table.num_rows)


def _open(
    inputs: Source | Sequence[Source],
    output: "Target | None",
    asked: Any,
    texts: bool,
    delimiter: str | None,
    overwrite: bool,
) -> "Rows":
    """Look at the inputs and the output before any work."""
    from infer.table.inputs import find_inputs
    from reporter.rows.reading import open_rows

    sources = [str(one) for one in ([inputs] if isinstance(inputs, str | PathLike) else inputs)]
    if not sources:
        raise InputError("inputs: an empty list, expected at least one file, folder, glob or URI")
    found = find_inputs(sources)
    names = Counter(file.name for file in found.files)
    if twice := [name for name in names if names[name] > 1]:
        raise InputError(f"{twice[0]}: is among the inputs twice, expected once. Leave one out")
    if output is not None:
        local = [Path(file.path) for file in found.files if file.is_local]
        with writable(output):
            output.check(overwrite, file_keys(local))
        if str(output) in {file.name for file in found.files}:  # elsewhere, where no key tells
            raise OutputError(f"{output}: is an input. Name another output")
    folder = Path() if output is None else output.scratch
    return open_rows(found, asked, folder, read_delimiter(delimiter), texts)


def _check_report(every: str, seed: int, examples: int, texts: bool, explain: bool) -> None:
    """Refuse at once what no report can have.

    Raises:
        UsageError: naming it.
    """
    if every not in EVERY:
        raise UsageError(f"every: {every!r}, expected one of {', '.join(EVERY)}")
    _check_number("seed", seed, 0, _MOST_SEED)
    _check_number("examples", examples, 0, MOST_EXAMPLES)
    if explain and not (texts and examples):
        raise UsageError(
            "--explain marks words in the examples, expected some: neither --no-texts nor "
            "--examples 0 beside it"
        )


def _check_texts(rows: "Rows", shown: bool, needed: bool) -> None:
    """Refuse files without the texts that are needed, and to show texts that are not to be shown.

    Raises:
        UsageError: naming the file and the column.
    """
    from reporter.rows.reading import needs_texts, refuse_texts

    if not shown:
        refuse_texts(rows)
    if needed:
        needs_texts(rows)


def _write_page(figures: dict[str, Any], rows: "Rows", target: "Target", overwrite: bool) -> None:
    """Write the page, which nobody may read who may not read the files that it is of."""
    from reporter.page.page import render_page

    page = render_page(figures)
    with writable(target), target.create(overwrite, _strictest(rows)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _strictest(rows: "Rows") -> stat_result | None:
    """Return what the system says of the local file that the fewest may read, if any."""
    found = [s for file in rows.files if (s := file.source.status()) is not None]
    return min(found, key=lambda status: status.st_mode & 0o077, default=None)


def _check_number(name: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise UsageError(f"{name}: {number}, expected a number from {least} to {most}")

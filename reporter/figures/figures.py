"""All figures of a report, as the page shows them and as programs read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infer import __version__
from infer.base.errors import InputError
from infer.base.words import counted
from infer.model.results import CONFIDENT
from reporter.figures.confident import confident_figures
from reporter.figures.counts import Counts, count_rows
from reporter.figures.database import Database
from reporter.figures.examples import MOST_LABELS, find_examples
from reporter.figures.explained import explain_examples
from reporter.figures.labels import find_labels, read_truth
from reporter.figures.learned import against_training
from reporter.figures.model import find_model_file, model_hashes
from reporter.figures.overall import by_length, overall
from reporter.figures.shares import Truth, by_group, over_time
from reporter.figures.truth import truth_figures
from reporter.rows.reading import Rows

if TYPE_CHECKING:
    from infer.model.file import ModelFile

# Of an example, what holds its text or words of it.
TEXTS: Final = ("text", "explained")


@dataclass(frozen=True)
class Settings:
    """What a report is asked for, beside columns.

    Attributes:
        every: one of `counts.EVERY`, how long a period is.
        examples: how many of a kind at most; 0 for none.
        seed: of what is drawn.
        model: a shipped model's name or a path; None for the one whose hash the files name.
        explain: whether it is told which words moved the examples' scores.
    """

    every: str = "month"
    examples: int = 5
    seed: int = 123
    model: str | None = None
    explain: bool = False


def make_figures(database: Database, rows: Rows, settings: Settings) -> dict[str, Any]:
    """Compute the figures of a report.

    Args:
        database: to count in.
        rows: the files.
        settings: what is asked for.

    Returns:
        `files`, `model`, `labels`, `notes`, what `overall` has, as far as it is asked for `over`,
        `by`, `truth`, `lengths` and `examples`, and as far as the files have it `learned` and
        `confident`. JSON-ready.

    Raises:
        InputError: the files cannot be used.
    """
    asked, name = rows.asked, files_in_words(rows)
    file = find_model_file(rows, settings.model)
    counts = count_rows(database, rows, settings.every)
    labels = find_labels(counts.ranges(), *known_labels(rows, file))
    truth: Truth | None = None
    if asked.truth is not None:
        written = [(each.values[0], each.rows) for each in counts.by("truth")]
        truth, labels = read_truth(written, labels, f"{name}: column {asked.truth!r}")
    figures = {
        "version": __version__,
        "files": [{"name": file.source.name, "rows": file.rows} for file in rows.files],
        "model": _model(rows, file),
        "labels": list(labels.names),
        "positive": labels.positive,
        **overall(counts, labels),
    }
    if asked.date is not None:
        figures["over"] = over_time(counts, labels, truth, asked.date, settings.every)
    if asked.group is not None:
        has_dates = asked.date is not None and figures["over"]["count"] > 1
        figures["by"] = by_group(counts, labels, truth, asked.group, has_dates)
    if asked.truth is not None and truth is not None:
        figures["truth"] = truth_figures(counts, labels, truth, asked.truth)
    if (found := against_training(rows, file)) is not None:
        figures["learned"] = found
    if CONFIDENT in rows.names:
        figures[CONFIDENT] = confident_figures(counts, labels, truth, file)
    if asked.text is not None:
        figures["lengths"] = by_length(counts, labels, truth, asked.text)
        if settings.examples:
            shares = sorted(figures["shares"], key=lambda share: -share["rows"])
            frequent = [share["label"] for share in shares if share["rows"]][:MOST_LABELS]
            shown = [label for label in labels.names if label in frequent]
            figures["examples"] = find_examples(
                database, rows, labels, shown, truth, settings.examples, settings.seed
            )
    if settings.explain and "examples" in figures:
        figures["examples"] = explain_examples(figures["examples"], file, name)
    figures["notes"] = _notes(rows, counts, figures)
    return figures


def without_texts(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without the examples' texts, as programs read them."""
    if "examples" not in figures:
        return figures

    def bare(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: row[name] for name in row if name not in TEXTS} for row in rows]

    found = figures["examples"]
    sure = {label: bare(rows) for label, rows in found["sure"].items()}
    rest = {kind: bare(rows) for kind, rows in found.items() if kind != "sure"}
    return figures | {"examples": {"sure": sure, **rest}}


def files_in_words(rows: Rows) -> str:
    """Return what the files are called in a message."""
    more = f" and {counted(len(rows.files) - 1, 'other')}" if len(rows.files) > 1 else ""
    return rows.files[0].source.name + more


def known_labels(rows: Rows, file: "ModelFile | None") -> tuple[Sequence[str], str, str]:
    """Return the labels that there can be, by the model or the columns of probabilities.

    Returns:
        The labels, () where nothing tells; what the files are called, and what the source of the
        labels is, for messages.
    """
    name = files_in_words(rows)
    if file is not None:
        return file.card.labels, name, f"the model {file.path}"
    columns = {found.columns.labels for found in rows.files}
    if len(columns) > 1:
        raise InputError(
            f"{name}: the files have different columns of probabilities. Make a report of those of "
            "each model"
        )
    (labels,) = columns
    return (labels if len(labels) > 1 else ()), name, "the columns of probabilities"


def _model(rows: Rows, file: "ModelFile | None") -> dict[str, Any]:
    first: dict[str, str] = rows.files[0].metadata
    found: dict[str, Any] = {
        "sha256": sorted(model_hashes(rows)),
        "scored_by_version": first.get("sent.version"),
        "provider": first.get("sent.provider"),
    }
    named: dict[str, Any] = {"file": None, "threshold": None}
    if file is not None:
        named = {"file": file.path.name, "threshold": file.card.threshold}
    return found | named


def _notes(rows: Rows, counts: Counts, figures: dict[str, Any]) -> list[str]:
    """Say what makes figures doubtful, a sentence each."""
    notes = list(rows.remarks)
    if len(hashes := model_hashes(rows)) > 1:
        notes.append(
            f"{len(hashes):,} different models scored these files: their scores are not of one "
            "kind. Make a report of each."
        )
    learned = figures.get("learned")
    if learned is not None and learned["differences"]:
        cost = f" {learned['cost']}" if learned["cost"] else ""
        notes.append(
            "These texts are not like those that the model learned from: "
            f"{'; '.join(learned['differences'])}. It may be right less often.{cost}"
        )
    if nan := counts.total("nan"):
        notes.append(f"{counted(nan, 'score')} not a number (NaN), taken for not scored.")
    if undated := counts.total("undated"):
        notes.append(
            f"{counted(undated, 'date')} that cannot be read. Expected is 2024-01-31, with or "
            "without a time."
        )
    truth = figures.get("truth")
    if truth is not None and truth["rows"] < figures["scored"]:
        notes.append(
            f"{truth['rows']:,} of {counted(figures['scored'], 'scored row')} with a true label; "
            "accuracy, confusion and calibration are of these."
        )
    return notes

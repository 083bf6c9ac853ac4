"""The file in which a person labels rows: id, what is carried over, text, and an empty label."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError, UsageError
from infer.job.writers import check_types, open_writer
from reporter.figures.counts import EVERY, count_rows
from reporter.figures.database import Database
from reporter.figures.figures import known_labels
from reporter.figures.labels import find_labels
from reporter.figures.model import find_model_file
from reporter.labelling.draw import choose, draw
from reporter.rows.columns import Asked
from reporter.rows.reading import CARRY, Rows

# What `sent-train` takes for the text and the label unless others are named.
TEXT: Final = "text"
LABEL: Final = "label"
# The column that sent-train takes for a teacher's probabilities.
SCORE: Final = "score"


def draw_sample(
    database: Database, rows: Rows, model: str | None, number: int, seed: int, output: str
) -> pa.Table:
    """Draw rows to label.

    Args:
        database: to look in.
        rows: the files; one of the columns that were asked for is the text.
        model: what scored them, as in `Settings`.
        number: how many rows are wanted.
        seed: of what is drawn.
        output: what the file will be called, whose format has to hold the columns.

    Returns:
        (N,) rows in the order of the files: what is carried over, `text`, and `label`, which is
        null.

    Raises:
        InputError: no row can be labelled, or a column cannot be carried over.
    """
    counts = count_rows(database, replace(rows, asked=Asked(rows.asked.prefix)), EVERY[0])
    labels = find_labels(counts.ranges(), *known_labels(rows, find_model_file(rows, model)))
    unsure, everywhere = draw(database, rows, labels, number, seed)
    wanted = {*unsure, *everywhere}
    if not wanted:
        raise InputError(
            f"{rows.files[0].source.name}: no row with a score and a text, and without a true label"
        )
    carried = [CARRY + name for name in _carried(rows)]
    found = rows.take(wanted, ["position", "text", *carried])
    texts = dict(zip(found["position"].to_pylist(), found["text"].to_pylist(), strict=True))
    chosen = choose(unsure, everywhere, texts, number)
    picked = found.filter(pc.is_in(found["position"], value_set=pa.array(chosen)))
    table = pa.table(
        [*(picked[name] for name in carried), picked["text"], pa.nulls(len(picked), pa.string())],
        [*(name.removeprefix(CARRY) for name in carried), TEXT, LABEL],
    )
    check_types(table.schema, tuple(table.column_names), output, rows.files[0].source.name)
    return table


def _carried(rows: Rows) -> list[str]:
    """Return the columns to carry over: those asked for, else id, group and date.

    Raises:
        UsageError: one of them would teach.
    """
    asked = rows.asked
    names = list(asked.carry)
    if SCORE in names:
        raise UsageError(
            f"columns: {SCORE!r} would be learned from as a teacher's where sent-train takes the "
            "file. Leave it out"
        )
    if not names:
        ids = {file.columns.names.get("id") for file in rows.files}
        names = [name for name in (*ids, asked.group, asked.date) if name is not None]
    taken = (TEXT, LABEL, asked.text)
    return [name for name in dict.fromkeys(names) if name not in taken]


def write_table(table: pa.Table, output: str, temporary: Path) -> None:
    """Write a table in the format that the output's name ends with."""
    with open_writer(temporary, output, table.schema) as writer:
        writer.write_table(table)

"""Counts of all rows by everything that a report shows, in one pass over the files.

DuckDB counts rows by several sets of columns at once (GROUPING SETS). What comes out is small, and
every figure is made of it.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from infer.model.results import CONFIDENT
from reporter.figures.database import Database
from reporter.rows.reading import Rows

# Of scores: a multiple of the bins by which calibration is told.
BINS: Final = 60
# In characters: where bins of lengths begin; the last one has no end.
LENGTHS: Final = (0, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400)
_YEARS: Final = "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59'"
EVERY: Final = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class Counted:
    """Rows that have the same values of some columns.

    Attributes:
        values: of the columns that were asked for, in their order.
        rows: how many there are.
        total: the sum of their scores.
    """

    values: tuple[Any, ...]
    rows: int
    total: float


@dataclass(frozen=True)
class Range:
    """The scores of the rows of one prediction: how many there are, the least and the greatest."""

    scores: int
    least: float
    most: float


class Counts:
    """Counts of all rows; made by `count_rows`."""

    def __init__(self, database: Database, sets: Sequence[frozenset[str]]) -> None:
        """Keep the database that holds them, and by which sets of columns they are."""
        self._database, self._sets = database, sets

    def by(self, *columns: str, where: str = "true") -> list[Counted]:
        """Return how many rows have the same values of some columns, sorted by these.

        Args:
            columns: of one of the sets by which rows were counted; over others it is added up.
            where: SQL for which rows.
        """
        names = ", ".join(columns)
        found = self._database.ask(
            f"SELECT {names}, sum(rows)::BIGINT, sum(total) FROM counts "
            f"WHERE kind = {self._kind(columns)} AND ({where}) GROUP BY ALL "
            f"ORDER BY {', '.join(f'{name} NULLS LAST' for name in columns)}"
        )
        return [Counted(tuple(row[:-2]), row[-2], row[-1] or 0.0) for row in found]

    def most(self, column: str, number: int) -> tuple[int, str]:
        """Return how many values a column has, and SQL for rows of those with the most rows.

        Args:
            column: of one of the sets.
            number: how many values are wanted.
        """
        kind = self._kind([column])
        values = f"SELECT DISTINCT {column} FROM counts WHERE kind = {kind}"
        ((count,),) = self._database.ask(f"SELECT count(*) FROM ({values})")
        if count <= number:
            return count, "true"
        self._database.ask(
            f"CREATE OR REPLACE TEMP TABLE most_{column} AS SELECT {column} AS value FROM counts "
            f"WHERE kind = {kind} GROUP BY ALL ORDER BY sum(rows) DESC, value LIMIT {number}"
        )
        return count, (
            f"EXISTS (SELECT 1 FROM most_{column} WHERE value IS NOT DISTINCT FROM counts.{column})"
        )

    def ranges(self) -> dict[str | None, Range]:
        """Return the range of the scores of each prediction; of None, of rows without one."""
        return {name: found for (name,), found in self.spread("prediction").items()}

    def spread(self, *columns: str) -> dict[tuple[Any, ...], Range]:
        """Return the range of the scores of rows that have the same values of some columns."""
        found = self._database.ask(
            f"SELECT {', '.join(columns)}, sum(scores)::BIGINT, min(least), max(most) FROM counts "
            f"WHERE kind = {self._kind(columns)} GROUP BY ALL ORDER BY ALL"
        )
        return {tuple(row[:-3]): Range(*row[-3:]) for row in found}

    def total(self, column: str) -> int:
        """Return the sum over all rows of `nan` (scores that are no number), or of `undated`."""
        ((total,),) = self._database.ask(f"SELECT sum({column})::BIGINT FROM counts WHERE kind = 0")
        return int(total or 0)

    def _kind(self, columns: Sequence[str]) -> int:
        return next(n for n, each in enumerate(self._sets) if each >= set(columns))


def count_rows(database: Database, rows: Rows, every: str) -> Counts:
    """Read all rows once, and count them.

    Args:
        database: to count in.
        rows: the files.
        every: one of `EVERY`, how long a period is.

    Raises:
        InputError: a file is damaged, or has a value that cannot be used.
    """
    asked = rows.asked
    options = {"group": asked.group, "date": asked.date, "truth": asked.truth, "text": asked.text}
    there = {name for name, called in options.items() if called is not None}
    there |= {CONFIDENT} & rows.names
    sets = _sets(there)
    grouping = ", ".join(f"({', '.join(sorted(each))})" for each in sets)
    database.ask(
        f"""
        CREATE OR REPLACE TEMP TABLE counts AS
        SELECT CASE {_kinds(sets)} END AS kind, {", ".join(_used(sets))},
          count(*) AS rows, count(score) AS scores, sum(score) AS total,
          min(score) AS least, max(score) AS most,
          count(*) FILTER (is_nan) AS nan, count(*) FILTER (dated AND period IS NULL) AS undated
        FROM (
          SELECT {_expressions(there, every, rows)}
          FROM (SELECT * REPLACE (CASE WHEN NOT isnan(score) THEN score::DOUBLE END AS score),
                isnan(score) AS is_nan FROM stream)
        )
        GROUP BY GROUPING SETS ({grouping})
        """,
        rows,
        ["score", "prediction", "status", *sorted(there)],
    )
    return Counts(database, sets)


def _sets(there: Set[str]) -> list[frozenset[str]]:
    """Return by which columns rows are counted."""
    truth = {"truth"} & there
    sets = [{"status", "prediction"}, {"bin", "prediction"} | truth]
    if "date" in there:
        sets.append({"period", "prediction"} | truth)
    if "group" in there:
        sets.append({"grp", "prediction"} | truth)
    if "date" in there and "group" in there:
        sets.append({"grp", "period", "prediction"})
    if "text" in there:
        sets.append({"len", "status", "prediction"} | truth)
    if "confident" in there:
        sets.append({"confident", "prediction"} | truth)
    return [frozenset(each) for each in sets]


def _used(sets: Sequence[frozenset[str]]) -> list[str]:
    return sorted(frozenset().union(*sets))


def _kinds(sets: Sequence[frozenset[str]]) -> str:
    """Return SQL that numbers the sets: `grouping_id` has a bit for each column that is not in."""
    used, lines = _used(sets), []
    for number, each in enumerate(sets):
        bits = "".join("0" if name in each else "1" for name in used)
        lines.append(f"WHEN grouping_id({', '.join(used)}) = {int(bits, 2)} THEN {number}")
    return " ".join(lines)


def _expressions(there: Set[str], every: str, rows: Rows) -> str:
    """Return SQL for what rows are counted by."""
    has_date = "date" in there
    is_written = has_date and rows.date_type == pa.large_string()
    date = "try_cast(trim(date) AS TIMESTAMP)" if is_written else "date"
    written = "trim(date) <> ''" if is_written else "date IS NOT NULL"
    period = f"CASE WHEN {date} {_YEARS} THEN date_trunc('{every}', {date})::DATE END"
    edges = " ".join(
        f"WHEN length(text) >= {edge} THEN {number}"
        for number, edge in reversed(list(enumerate(LENGTHS)))
    )
    last = BINS - 1  # which has a score of 1, too
    found = {
        "score": "score",
        "is_nan": "is_nan",
        "status": "status",
        "prediction": "CASE WHEN score IS NOT NULL THEN prediction END",
        "truth": "truth" if "truth" in there else "NULL",
        "bin": f"CASE WHEN score < 1 THEN floor(score * {BINS}) WHEN score >= 1 THEN {last} END",
        "period": period if has_date else "NULL",
        "grp": '"group"' if "group" in there else "NULL",
        "confident": "confident" if CONFIDENT in there else "NULL",
        "len": f"CASE {edges} END" if "text" in there else "NULL",
        "dated": written if has_date else "false",
    }
    return ", ".join(f"{expression} AS {name}" for name, expression in found.items())

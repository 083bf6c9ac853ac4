"""Rows to look at: the surest of each label, the least sure, at random, the surest mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reporter.figures.database import Database, drawn, key, position
from reporter.figures.labels import Labels, quoted
from reporter.rows.reading import Rows

# Of more labels than these, examples are of the most frequent ones.
MOST_LABELS: Final = 10


def find_examples(
    database: Database,
    rows: Rows,
    labels: Labels,
    shown: Sequence[str],
    truth: Mapping[str, str] | None,
    number: int,
    seed: int,
) -> dict[str, Any]:
    """Find rows to look at.

    Args:
        database: to look in.
        rows: the files.
        labels: of the predictions.
        shown: the labels of which the surest rows are asked for.
        truth: value of the truth column → name of a label; None where there is none.
        number: how many of a kind at most.
        seed: of what is drawn.

    Returns:
        `sure` (label → rows), `unsure`, `random`, and where there is a truth `mistakes`; a row has
        `position`, `file`, `row` (its number in the file, from 0), `id`, `predicted`, `score`,
        `status`, perhaps `truth`, and `text`.
    """
    surety = labels.surety()
    kinds = [key(surety), key(f"1 - ({surety})"), key(drawn(seed))]
    columns = ["position", "score", "prediction"]
    if truth is not None:
        columns.append("truth")
        pairs = ", ".join(f"({quoted(v)}, {quoted(name)})" for v, name in truth.items())
        known = f"(SELECT * FROM (VALUES {pairs}) AS known(written, meant))" if pairs else ""
        kinds.append(f"CASE WHEN meant <> prediction THEN {kinds[0]} END")
    source = "stream"
    if truth is not None:
        source += f" LEFT JOIN {known} ON truth = written" if known else ", (SELECT NULL AS meant)"
    greatest = ", ".join(f"max({kind}, {number})" for kind in kinds)
    found = database.ask(
        f"SELECT grouping(prediction), prediction, {greatest} "
        f"FROM {source} WHERE score IS NOT NULL AND NOT isnan(score) "
        "GROUP BY GROUPING SETS ((prediction), ())",
        rows,
        columns,
    )
    sure = {name: keys for all_, name, keys, *_ in found if not all_ and name in shown}
    whole = next((kept for all_, _, *kept in found if all_), [None] * len(kinds))
    names = ["unsure", "random", *(["mistakes"] if truth is not None else [])]
    keys = dict(zip(names, whole[1:], strict=True))
    return _with_texts(rows, sure, keys, truth)


def _with_texts(
    rows: Rows,
    sure: Mapping[str, list[int] | None],
    others: Mapping[str, list[int] | None],
    truth: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Look the rows up that keys are of."""
    wanted = {position(k) for keys in (*sure.values(), *others.values()) for k in keys or ()}
    columns = ["position", "score", "prediction", "status", "text"]
    columns += [name for name in ("truth", "id") if name in rows.names]
    found = {}
    for row in rows.take(wanted, columns).to_pylist() if wanted else ():
        found[row["position"]] = _example(rows, row, truth)

    def examples(keys: list[int] | None) -> list[dict[str, Any]]:
        return [found[position(k)] for k in keys or ()]

    return {
        "sure": {name: examples(keys) for name, keys in sure.items()},
        **{name: examples(keys) for name, keys in others.items()},
    }


def _example(rows: Rows, row: Mapping[str, Any], truth: Mapping[str, str] | None) -> dict[str, Any]:
    file = next(f for f in reversed(rows.files) if f.start <= row["position"])
    number = row["position"] - file.start
    identity = row.get("id")
    return {
        "file": file.source.name,
        "row": number,
        "id": f"row {number:,}" if identity is None else identity,
        "predicted": row["prediction"],
        "score": row["score"],
        "status": row["status"],
        **({} if truth is None else {"truth": truth.get(row["truth"] or "", row["truth"])}),
        "text": row["text"],
    }

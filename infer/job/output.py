"""From the carried columns and the scores to one file that says which job made it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.base.errors import InputError, OutputError
from infer.job.notes import Note, read_note, write_note
from infer.job.plan import ScoreOptions, Task
from infer.job.summary import Counts
from infer.job.writers import open_writer
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.results import CONFIDENT, Scores, join_scores, no_scores
from infer.model.risk import RiskPoint, confidences
from infer.table.columns import RESULT_COLUMNS, output_schema
from infer.table.formats import PARQUET, find_format
from infer.table.outputs import Target
from infer.table.parquet import carried_tables, open_parquet
from infer.text.statuses import STATUSES


def write_output(
    task: Task,
    scores: Iterator[Scores],
    labels: tuple[str, ...],
    further: tuple[str, ...],
    options: ScoreOptions,
    metadata: Mapping[str, str],
    point: RiskPoint | None = None,
) -> Counts:
    """Write the carried columns beside the scores, and commit; memory does not grow with rows.

    Args:
        task: the input, its columns, and the output to make.
        scores: of the input's rows, in their order.
        labels: their names.
        further: names of the columns of numbers behind the usual ones.
        options: the new columns' prefix, and whether an existing file may be replaced.
        metadata: where the scores come from, and what the rows are like.
        point: how sure the labels are that are marked as confident; None: none are marked.

    Raises:
        OutputError: an output of that name is there and may not be replaced.
        InputError: the input is damaged, or not what it was when the job began.
        OSError: the disk is full or failing; there is no debris and an old output is intact.
    """
    source, output = task.source, task.output
    counter, rows = _Counter(labels, point), _RowReader(scores, len(further))
    like = source.status()
    with open_parquet(source) as file, output.create(options.overwrite, like) as temporary:
        behind = further if point is None else (*further, CONFIDENT)
        schema = output_schema(
            file.schema, task.columns.carried, options.prefix, dict(metadata), behind
        )
        with open_writer(temporary, output.name, schema) as writer:
            for table in carried_tables(file, task.columns.carried, task.start, task.end):
                part = rows.take(table.num_rows)
                counter.add(part)
                arrays = [*table.columns, *result_columns(part, labels, point)]
                writer.write_table(pa.table(arrays, schema=schema))
        _check_unchanged(task, counter.rows, rows.left(), temporary)
        counts = counter.counts(_profile(metadata, labels, output))
        if find_format(output.name) is not PARQUET:
            if not options.overwrite and output.is_there():  # with a note of its own
                raise OutputError(f"{output}: appeared while this run was working; it was kept")
            # Before the output has its name: a note without its file is of no account.
            note = Note(
                metadata,
                schema.names,
                counts.rows,
                counts.statuses,
                counts.predictions,
                counts.confident,
            )
            write_note(output, temporary, note, like)
    return counts


def _check_unchanged(task: Task, written: int, scores_left: bool, temporary: Path) -> None:
    """Refuse to commit rows beside scores that may not be theirs.

    Raises:
        InputError: the input is not what it was when the job began.
    """
    rows_of_each = {task.rows, written}
    if find_format(task.output.name) is PARQUET:
        rows_of_each.add(pq.read_metadata(temporary).num_rows)
    if len(rows_of_each) > 1 or scores_left or task.source.identity() != task.identity:
        raise InputError(f"{task.source.name}: changed while it was read. Start over")


def count_output(output: Target, options: ScoreOptions, labels: tuple[str, ...]) -> Counts:
    """Count the rows of an output that is there, by status, predicted label and confidence.

    Raises:
        OutputError: it is damaged.
    """
    if find_format(output.name) is not PARQUET:
        if (note := read_note(output)) is None:
            raise OutputError(
                f"{output}: changed meanwhile. Remove it, and run the same command again"
            )
        profile = _profile(note.metadata, labels, output)
        return Counts(note.rows, note.statuses, note.predictions, profile, note.confident)
    _, prediction, status = (options.prefix + name for name in RESULT_COLUMNS)
    confident = [] if options.abstain_below is None else [options.prefix + CONFIDENT]
    statuses: Counter[str] = Counter()
    predictions: Counter[str] = Counter()
    marked = 0
    try:
        with output.open() as raw, pq.ParquetFile(raw, page_checksum_verification=True) as file:
            for batch in file.iter_batches(columns=[prediction, status, *confident]):
                marked += sum(batch[name].true_count for name in confident)
                for counts, name in ((predictions, prediction), (statuses, status)):
                    for value in pc.value_counts(batch[name]):
                        counts[value["values"].as_py()] += value["counts"].as_py()
            rows = int(file.metadata.num_rows)
            metadata = file.schema_arrow.metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise OutputError(
            f"{output}: is damaged ({error}). Remove it, and run the same command again"
        ) from error
    return Counts(
        rows,
        {name: statuses[name] for name in STATUSES},
        {name: predictions[name] for name in labels},
        _profile({key.decode(): value for key, value in metadata.items()}, labels, output),
        marked if confident else None,
    )


def _profile(
    metadata: Mapping[str, str | bytes], labels: tuple[str, ...], output: Target
) -> Profile:
    """Return what the rows of an output are like, as it says itself.

    Raises:
        OutputError: it does not say.
    """
    try:
        return Profile.from_text(metadata.get(PROFILE_KEY, ""), labels)
    except ValueError as error:
        raise OutputError(
            f"{output}: is damaged ({error}). Remove it, and run the same command again"
        ) from error


def result_columns(
    scores: Scores, labels: tuple[str, ...], point: RiskPoint | None = None
) -> list[pa.Array]:
    """Return the columns of R rows: score (float32), prediction, status (string), further ones.

    Args:
        scores: of the rows.
        labels: names of the model's.
        point: how sure the labels are that are marked as confident (bool), in a last column; None:
            there is no such column.
    """
    missing = np.isnan(scores.score)
    marked = [] if point is None else [pa.array(is_sure(scores, labels, point), mask=missing)]
    predictions = pa.array(scores.prediction, mask=missing)
    return [
        pa.array(scores.score, pa.float32(), mask=missing),
        pa.DictionaryArray.from_arrays(predictions, list(labels)).cast(pa.string()),
        pa.DictionaryArray.from_arrays(pa.array(scores.status), list(STATUSES)).cast(pa.string()),
        *(pa.array(column, pa.float32(), mask=missing) for column in scores.further.T),
        *marked,
    ]


def is_sure(scores: Scores, labels: tuple[str, ...], point: RiskPoint) -> npt.NDArray[np.bool_]:
    """Tell which labels are as sure as those of a point: (R,) bool, False without a score."""
    sure: npt.NDArray[np.bool_] = (
        confidences(scores.score, scores.prediction, labels) >= point.confidence
    )
    return sure


class _RowReader:
    """Hands out scores in pieces of any size."""

    def __init__(self, parts: Iterator[Scores], further: int) -> None:
        self._parts = parts
        self._rest = no_scores(further)

    def take(self, rows: int) -> Scores:
        """Return the next `rows` rows, fewer where the scores end."""
        pieces = [self._rest]
        have = len(self._rest)
        while have < rows and (part := next(self._parts, None)) is not None:
            pieces.append(part)
            have += len(part)
        whole = join_scores(pieces)
        self._rest = whole.slice(rows, len(whole))
        return whole.slice(0, rows)

    def left(self) -> bool:
        """Whether scores are left over."""
        return len(self._rest) > 0 or next(self._parts, None) is not None


class _Counter:
    """Counts rows as they pass."""

    def __init__(self, labels: tuple[str, ...], point: RiskPoint | None) -> None:
        self.rows = 0
        self._labels, self._point = labels, point
        self._confident = 0
        self._statuses = np.zeros(len(STATUSES), np.int64)
        self._predictions = np.zeros(len(labels), np.int64)

    def add(self, scores: Scores) -> None:
        self.rows += len(scores)
        self._statuses += np.bincount(scores.status, minlength=len(STATUSES))
        scored = scores.prediction[~np.isnan(scores.score)]
        self._predictions += np.bincount(scored, minlength=len(self._labels))
        if self._point is not None:
            self._confident += int(is_sure(scores, self._labels, self._point).sum())

    def counts(self, profile: Profile) -> Counts:
        statuses = {name: int(n) for name, n in zip(STATUSES, self._statuses, strict=True)}
        predictions = {
            name: int(n) for name, n in zip(self._labels, self._predictions, strict=True)
        }
        confident = None if self._point is None else self._confident
        return Counts(self.rows, statuses, predictions, profile, confident)

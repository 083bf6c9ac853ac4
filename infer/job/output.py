"""From the carried columns and the scores to one file that says which job made it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.base.commit import atomic_file, remove_stale_temporaries
from infer.base.errors import InputError, OutputError
from infer.job.notes import Note, read_note, write_note
from infer.job.plan import ScoreOptions, Task
from infer.job.summary import Counts
from infer.job.writers import open_writer
from infer.model.profile import PROFILE_KEY, Profile
from infer.model.results import Scores, join_scores, no_scores
from infer.table.columns import RESULT_COLUMNS, output_schema
from infer.table.formats import PARQUET, find_format
from infer.table.parquet import carried_tables, open_parquet
from infer.text.encoding import STATUSES


def write_output(
    task: Task,
    scores: Iterator[Scores],
    labels: tuple[str, ...],
    further: tuple[str, ...],
    options: ScoreOptions,
    metadata: Mapping[str, str],
) -> Counts:
    """Write the carried columns beside the scores, and commit; memory does not grow with rows.

    Args:
        task: the input, its columns, and the output to make.
        scores: of the input's rows, in their order.
        labels: their names.
        further: names of the columns behind the usual ones.
        options: the new columns' prefix, and whether an existing file may be replaced.
        metadata: where the scores come from, and what the rows are like.

    Raises:
        OutputError: an output of that name is there and may not be replaced.
        InputError: the input is damaged, or not what it was when the job began.
        OSError: the disk is full or failing; there is no debris and an old output is intact.
    """
    source, output = task.source, task.output
    remove_stale_temporaries(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    counter, rows = _Counter(labels), _RowReader(scores, len(further))
    like = source.status()
    with open_parquet(source) as file, atomic_file(output, options.overwrite, like) as temporary:
        schema = output_schema(
            file.schema, task.columns.carried, options.prefix, dict(metadata), further
        )
        with open_writer(temporary, output, schema) as writer:
            for table in carried_tables(file, task.columns.carried, task.start, task.end):
                part = rows.take(table.num_rows)
                counter.add(part)
                arrays = [*table.columns, *result_columns(part, labels)]
                writer.write_table(pa.table(arrays, schema=schema))
        rows_of_each = {task.rows, counter.rows}
        if find_format(output) is PARQUET:
            rows_of_each.add(pq.read_metadata(temporary).num_rows)
        if len(rows_of_each) > 1 or rows.left() or source.identity() != task.identity:
            raise InputError(f"{source.name}: changed while it was read. Start over")
        counts = counter.counts(_profile(metadata, labels, output))
        if find_format(output) is not PARQUET:
            # Before the output has its name: a note without its file is of no account.
            note = Note(metadata, schema.names, counts.rows, counts.statuses, counts.predictions)
            write_note(output, temporary, note, like)
    return counts


def count_output(output: Path, prefix: str, labels: tuple[str, ...]) -> Counts:
    """Count the rows of an output that is there, by status and by predicted label.

    Raises:
        OutputError: it is damaged.
    """
    if find_format(output) is not PARQUET:
        if (note := read_note(output)) is None:
            raise OutputError(
                f"{output}: changed meanwhile. Remove it, and run the same command again"
            )
        profile = _profile(note.metadata, labels, output)
        return Counts(note.rows, note.statuses, note.predictions, profile)
    _, prediction, status = (prefix + name for name in RESULT_COLUMNS)
    statuses: Counter[str] = Counter()
    predictions: Counter[str] = Counter()
    try:
        with pq.ParquetFile(output, page_checksum_verification=True) as file:
            for batch in file.iter_batches(columns=[prediction, status]):
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
    )


def _profile(metadata: Mapping[str, str | bytes], labels: tuple[str, ...], output: Path) -> Profile:
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


def result_columns(scores: Scores, labels: tuple[str, ...]) -> list[pa.Array]:
    """Return the columns of R rows: score (float32), prediction, status (string), further ones."""
    missing = np.isnan(scores.score)
    predictions = pa.array(scores.prediction, mask=missing)
    return [
        pa.array(scores.score, pa.float32(), mask=missing),
        pa.DictionaryArray.from_arrays(predictions, list(labels)).cast(pa.string()),
        pa.DictionaryArray.from_arrays(pa.array(scores.status), list(STATUSES)).cast(pa.string()),
        *(pa.array(column, pa.float32(), mask=missing) for column in scores.further.T),
    ]


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

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.rows = 0
        self._labels = labels
        self._statuses = np.zeros(len(STATUSES), np.int64)
        self._predictions = np.zeros(len(labels), np.int64)

    def add(self, scores: Scores) -> None:
        self.rows += len(scores)
        self._statuses += np.bincount(scores.status, minlength=len(STATUSES))
        scored = scores.prediction[~np.isnan(scores.score)]
        self._predictions += np.bincount(scored, minlength=len(self._labels))

    def counts(self, profile: Profile) -> Counts:
        statuses = {name: int(n) for name, n in zip(STATUSES, self._statuses, strict=True)}
        predictions = {
            name: int(n) for name, n in zip(self._labels, self._predictions, strict=True)
        }
        return Counts(self.rows, statuses, predictions, profile)

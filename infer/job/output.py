"""From the carried columns and the scores to one committed Parquet file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from infer.base.commit import atomic_file, check_output, remove_stale_temporaries
from infer.base.errors import InputError
from infer.job.parts import PartStore, Scores
from infer.job.summary import Counts
from infer.table.columns import Columns, output_schema
from infer.table.inputs import InputFile, content_identity
from infer.table.parquet import carried_tables, open_parquet
from infer.text.encoding import STATUSES

THRESHOLD: Final = 0.5


@dataclass(frozen=True)
class OutputOptions:
    """How outputs are written: the new columns' prefix, whether to replace, and provenance."""

    prefix: str
    overwrite: bool
    provenance: dict[str, str]


@dataclass(frozen=True)
class CompletedScores:
    """All scores of one input.

    Attributes:
        parts: where they are.
        index: the input's number in the job.
        identity: what the input was when the job began (`InputFile.identity`).
        labels: names of the negative and the positive label.
    """

    parts: PartStore
    index: int
    identity: dict[str, Any]
    labels: tuple[str, str]


def write_output(
    source: InputFile,
    columns: Columns,
    output: Path,
    scores: CompletedScores,
    options: OutputOptions,
) -> Counts:
    """Write the carried columns beside the scores, and commit; memory does not grow with rows.

    An output that this job committed before it was interrupted is left as it is.

    Raises:
        OutputError: an output of that name is there and may not be replaced.
        InputError: the input is not what it was when the job began.
        OSError: the disk is full or failing; there is no debris and an old output is intact.
    """
    counter = _Counter(scores.labels)
    remove_stale_temporaries(output)
    if is_committed(output, scores.parts, scores.index):
        for part in scores.parts.read(scores.index):
            counter.add(part)
        return counter.counts()
    check_output(output, options.overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    like = Path(source.path).stat() if source.is_local else None
    with open_parquet(source) as file, atomic_file(output, options.overwrite, like) as temporary:
        schema = output_schema(file.schema, columns.carried, options.prefix, options.provenance)
        rows = _RowReader(scores.parts.read(scores.index))
        with pq.ParquetWriter(
            temporary, schema, compression="zstd", write_page_checksum=True
        ) as writer:
            for table in carried_tables(file, columns.carried):
                part = rows.take(table.num_rows)
                counter.add(part)
                arrays = [*table.columns, *result_columns(part, scores.labels)]
                writer.write_table(pa.table(arrays, schema=schema), table.num_rows)
        rows_of_each = {file.rows, counter.rows, pq.read_metadata(temporary).num_rows}
        if len(rows_of_each) > 1 or rows.left() or source.identity() != scores.identity:
            raise InputError(f"{source.name}: changed while it was read. Start over")
        scores.parts.committing(scores.index, _identity(temporary))
    return counter.counts()


def is_committed(output: Path, parts: PartStore, index: int) -> bool:
    """Whether the output is the very file that this job gave that name before."""
    note = parts.committed(index)
    return note is not None and output.is_file() and _identity(output) == note


def result_columns(scores: Scores, labels: tuple[str, str]) -> list[pa.Array]:
    """Return the columns score (float32), prediction (string) and status (string) of R rows."""
    missing = np.isnan(scores.score)
    positive = (scores.score >= THRESHOLD).astype(np.int8)
    return [
        pa.array(scores.score, pa.float32(), mask=missing),
        pa.DictionaryArray.from_arrays(pa.array(positive, mask=missing), list(labels)).cast(
            pa.string()
        ),
        pa.DictionaryArray.from_arrays(pa.array(scores.status), list(STATUSES)).cast(pa.string()),
    ]


class _RowReader:
    """Hands out scores in pieces of any size."""

    def __init__(self, parts: Iterator[Scores]) -> None:
        self._parts = parts
        self._rest = Scores(np.zeros(0, np.float32), np.zeros(0, np.uint8))

    def take(self, rows: int) -> Scores:
        """Return the next `rows` rows, fewer where the scores end."""
        pieces = [self._rest]
        have = len(self._rest)
        while have < rows and (part := next(self._parts, None)) is not None:
            pieces.append(part)
            have += len(part)
        score = np.concatenate([piece.score for piece in pieces])
        status = np.concatenate([piece.status for piece in pieces])
        self._rest = Scores(score[rows:], status[rows:])
        return Scores(score[:rows], status[:rows])

    def left(self) -> bool:
        """Whether scores are left over."""
        return len(self._rest) > 0 or next(self._parts, None) is not None


class _Counter:
    """Counts rows as they pass."""

    def __init__(self, labels: tuple[str, str]) -> None:
        self.rows = 0
        self._labels = labels
        self._statuses = np.zeros(len(STATUSES), np.int64)
        self._predictions: Counter[str] = Counter(dict.fromkeys(labels, 0))

    def add(self, scores: Scores) -> None:
        self.rows += len(scores)
        self._statuses += np.bincount(scores.status, minlength=len(STATUSES))
        scored = scores.score[~np.isnan(scores.score)]
        positive = int(np.count_nonzero(scored >= THRESHOLD))
        self._predictions[self._labels[1]] += positive
        self._predictions[self._labels[0]] += len(scored) - positive

    def counts(self) -> Counts:
        statuses = {name: int(n) for name, n in zip(STATUSES, self._statuses, strict=True)}
        return Counts(self.rows, statuses, dict(self._predictions))


def _identity(path: Path) -> dict[str, object]:
    return content_identity(fs.LocalFileSystem(), str(path))

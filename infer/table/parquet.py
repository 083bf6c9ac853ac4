"""Parquet as streams: windows of text, tables of carried columns.

Nothing here depends on how many rows a file has: windows are bounded by rows and by bytes. Nor do
sizes in a footer decide: a dictionary page of 3 MB can stand for 3 TB of repeated text, so the
longest entry of each dictionary is looked up before a batch of rows is decoded. (The encoding
DELTA_BYTE_ARRAY can hide as much behind shared beginnings; of that one only the rows are bounded.)
"""

import contextlib
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.base.errors import InputError
from infer.table.inputs import InputFile

# Sixteen megabytes hold some 1.6 million words at most that are all new, which cost spaCy 2.7 GB.
WINDOW_BYTES: Final = 16 << 20
_READ_BYTES: Final = 4 << 20
_OUTPUT_BYTES: Final = 64 << 20
_READ_ROWS: Final = 8_192
_FIRST_ROWS: Final = 1_024
_OUTPUT_ROWS: Final = 65_536
# Read ahead in each column: enough for a disk, and few enough requests for an object store.
_LOCAL_BUFFER, _REMOTE_BUFFER = 1 << 20, 4 << 20


@dataclass(frozen=True)
class ParquetInput:
    """An open Parquet file; made by `open_parquet`.

    Attributes:
        name: what messages call it.
        file: reads columns in the types that the file gives them.
        dictionaries: reads the same file's string columns with their dictionaries.
    """

    name: str
    file: pq.ParquetFile
    dictionaries: pq.ParquetFile

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return self.file.schema_arrow

    @property
    def rows(self) -> int:
        """Rows that the footer counts."""
        return int(self.file.metadata.num_rows)

    def batches(
        self, columns: Sequence[str], budget: int, most: int, skip: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """Read some columns in batches of at most `budget` bytes decoded and `most` rows.

        Args:
            columns: names, each once.
            budget: bytes; a single larger row is a batch of its own.
            most: rows.
            skip: rows left out at the start; row groups within them are not touched.

        Raises:
            InputError: the file is damaged.
        """
        for group in range(self.file.metadata.num_row_groups):
            rows = self.file.metadata.row_group(group).num_rows
            if skip >= rows:
                skip -= rows
                continue
            with _reading(self.name):
                size = self._rows_within(budget, most, group, columns)
                batches = self.file.iter_batches(size, row_groups=[group], columns=list(columns))
            for batch in _guarded(batches, self.name):
                if skip < batch.num_rows:
                    # Arrow selects `a.b` along with `a`, be it a field of `a` or a column.
                    yield batch.select(list(columns)).slice(skip)
                skip = max(0, skip - batch.num_rows)

    def _rows_within(self, budget: int, most: int, group: int, columns: Sequence[str]) -> int:
        """Return how many rows of a group surely fit a budget of bytes, 1 to `most`."""
        chunks, wanted = self.file.metadata.row_group(group), set(columns)
        leaves = [
            leaf
            for leaf in range(chunks.num_columns)
            if _is_within(chunks.column(leaf).path_in_schema, wanted)
        ]
        row_bytes = sum(self._row_bytes(group, leaf, budget) for leaf in leaves)
        return max(1, min(most, int(budget / max(row_bytes, 1))))

    def _row_bytes(self, group: int, leaf: int, budget: int) -> float:
        """Return how many bytes a row of a column takes when each value is the longest one."""
        chunk = self.file.metadata.row_group(group).column(leaf)
        rows = max(int(self.file.metadata.row_group(group).num_rows), 1)
        average = int(chunk.total_uncompressed_size) / rows
        if chunk.physical_type == "BYTE_ARRAY":
            if not chunk.has_dictionary_page or chunk.total_uncompressed_size * rows <= budget:
                return average
            longest = self._longest_entry(group, chunk)
        else:
            longest = max(8, int(self.file.schema.column(leaf).length or 0))
        return max(average, longest * int(chunk.num_values) / rows)

    def _longest_entry(self, group: int, chunk: pq.ColumnChunkMetaData) -> int:
        """Return the bytes of the longest entry of a dictionary page."""
        batches = self.dictionaries.iter_batches(
            1, row_groups=[group], columns=[chunk.path_in_schema]
        )
        values = next(batches).column(0)
        while pa.types.is_nested(values.type):
            values = values.field(0) if pa.types.is_struct(values.type) else values.values
        if not pa.types.is_dictionary(values.type) or not len(values.dictionary):
            return int(chunk.total_uncompressed_size)  # nothing in it can be longer
        return int(_byte_lengths(values.dictionary).max())


def _is_within(path: str, columns: Set[str]) -> bool:
    """Whether a leaf's path is a column's or leads into one; both may hold dots."""
    names = path.split(".")
    return any(".".join(names[:count]) in columns for count in range(1, len(names) + 1))


@contextmanager
def open_parquet(source: InputFile) -> Iterator[ParquetInput]:
    """Open a Parquet file for streaming.

    Raises:
        InputError: it is not there, not Parquet, or damaged.
    """
    with contextlib.ExitStack() as stack:
        with _reading(source.name):
            raw = stack.enter_context(source.filesystem.open_input_file(source.path))
            options = {
                # Streams read a column page by page: a huge row group need not fit the memory.
                "pre_buffer": False,
                "buffer_size": _LOCAL_BUFFER if source.is_local else _REMOTE_BUFFER,
                "page_checksum_verification": True,
            }
            file = stack.enter_context(pq.ParquetFile(raw, **options))
            strings = _string_leaves(file)
            dictionaries = pq.ParquetFile(
                raw, metadata=file.metadata, read_dictionary=strings, **options
            )
            stack.enter_context(dictionaries)
        yield ParquetInput(source.name, file, dictionaries)


def _string_leaves(file: pq.ParquetFile) -> list[str]:
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what Arrow raises about a damaged or unreadable file into an `InputError`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{name}: not a whole, readable Parquet file ({reason})") from error


def _guarded(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[pa.RecordBatch]:
    """Read and check batches; errors of whoever uses them are not touched."""
    while True:
        with _reading(name):
            batch = next(batches, None)
            if batch is not None:
                _check_indices(batch)
        if batch is None:
            return
        yield batch


def _check_indices(batch: pa.RecordBatch) -> None:
    """Refuse dictionary indices that point outside, which Arrow would follow."""
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            least, most = pc.min_max(column.indices).values()
            if least.is_valid and not 0 <= least.as_py() <= most.as_py() < len(column.dictionary):
                raise pa.ArrowInvalid(f"dictionary index {most} out of bounds")


def text_windows(
    source: ParquetInput,
    column: str,
    rows: int,
    skip: int = 0,
    max_bytes: int = WINDOW_BYTES,
) -> Iterator[pa.Array]:
    """Read a text column in windows of at most `rows` rows and `max_bytes` of text.

    Where a window ends depends only on where it starts, so that a resumed job cuts the same ones.

    Args:
        source: the open file.
        column: the text column.
        rows: rows in a window at most. The first windows are smaller (1,024, then as many as came
            before), so that the model need not wait for a large one.
        skip: rows left out at the start.
        max_bytes: text in a window at most; a single longer text is a window of its own.

    Yields:
        Windows in the column's type (a dictionary's value type, string where it has none), at
        least one row each.

    Raises:
        InputError: the file is damaged.
    """
    pending: list[pa.Array] = []
    have_rows = have_bytes = 0
    largest, rows = rows, _window_rows(skip, rows)
    for batch in source.batches([column], _READ_BYTES, _READ_ROWS, skip):
        texts = _decoded(batch.column(0))
        pending.append(texts)
        have_rows += len(texts)
        have_bytes += int(_byte_lengths(texts).sum())
        if have_rows < rows and have_bytes <= max_bytes:
            continue
        whole = pa.concat_arrays(pending)
        while (end := _window_end(whole, rows, max_bytes)) is not None:
            yield whole.slice(0, end)
            whole = whole.slice(end)
            skip += end
            rows = _window_rows(skip, largest)
        pending = [whole]
        have_rows, have_bytes = len(whole), int(_byte_lengths(whole).sum())
    if have_rows:
        yield pa.concat_arrays(pending)


def _window_rows(start: int, most: int) -> int:
    """Return how many rows a window that starts at row `start` has at most."""
    return min(most, max(_FIRST_ROWS, start))


def carried_tables(source: ParquetInput, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read the carried columns in tables that will be the output's row groups.

    Raises:
        InputError: the file is damaged.
    """
    pending: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in source.batches(columns, _OUTPUT_BYTES // 4, _OUTPUT_ROWS // 4):
        pending.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _OUTPUT_ROWS or size >= _OUTPUT_BYTES:
            yield pa.Table.from_batches(pending)
            pending, rows, size = [], 0, 0
    if pending:
        yield pa.Table.from_batches(pending)


def _decoded(texts: pa.Array) -> pa.Array:
    if pa.types.is_null(texts.type):
        return texts.cast(pa.string())
    return texts.dictionary_decode() if pa.types.is_dictionary(texts.type) else texts


def _window_end(texts: pa.Array, rows: int, max_bytes: int) -> int | None:
    """Return how many rows the next window takes, or None while it may still grow."""
    lengths = _byte_lengths(texts.slice(0, rows))
    total = np.cumsum(lengths)
    end = int(np.searchsorted(total, max_bytes, side="right"))
    if end < len(lengths):
        return max(1, end)
    return rows if len(lengths) == rows else None


def _byte_lengths(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each text, 0 for null: (R,) int64."""
    if pa.types.is_string_view(texts.type) or pa.types.is_binary_view(texts.type):
        texts = texts.cast(pa.large_binary())
    lengths = pc.fill_null(pc.binary_length(texts), 0)
    result: npt.NDArray[np.int64] = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    return result

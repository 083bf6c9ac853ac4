"""Parquet as streams: windows of text, tables of carried columns.

Nothing here depends on how many rows a file has: windows are bounded by rows and by bytes. Nor do
sizes in a footer decide: a dictionary page of 3 MB can stand for 3 TB of repeated text, so the
longest entry of each dictionary is looked up before a batch of rows is decoded. (The encoding
DELTA_BYTE_ARRAY can hide as much behind shared beginnings; of that one only the rows are bounded.)

Nor is a footer believed: pyarrow ends the process where what it says of a column chunk cannot be
used (a damaged statistic, a column encrypted with a key that is not here). The reader meets the
same fault as an exception, so it touches each chunk first, and only chunks of wanted columns.
"""

import collections
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infer.base.errors import InputError
from infer.table.inputs import InputFile
from infer.table.leaves import Leaf, leaves_of
from infer.table.places import told
from infer.table.row_group import RowGroup

# Sixteen megabytes hold some 1.6 million words at most that are all new, which cost spaCy 2.7 GB.
WINDOW_BYTES: Final = 16 << 20
_READ_BYTES: Final = 4 << 20
_READ_ROWS: Final = 8_192
_FIRST_ROWS: Final = 1_024
# A row group of the output: as many rows as pyarrow puts in one, so that a dictionary is written
# as seldom, and as many bytes as memory is spent on.
_OUTPUT_BYTES: Final = 64 << 20
_OUTPUT_ROWS: Final = 1 << 20
_CARRIED_BYTES, _CARRIED_ROWS = 16 << 20, 16_384
# Of a chunk without a dictionary only the mean length is known. One of so many bytes at most may be
# decoded at once; in a larger one, a value is taken to be longer than the mean by a factor. (A
# batch costs some 20 µs, so that one for each 16 kB reads 800 MB a second.)
_WHOLE_CHUNK: Final = 64 << 20
_SPREAD: Final = 256
# Carried columns of so many bytes are read once before the work, to find damage early.
_LOOK_BYTES: Final = 64 << 20
_OTHER_FORMATS: Final = (
    *(".txt", ".html", ".xls", ".xlsx"),
    *(".gz", ".bz2", ".xz", ".zst", ".zip", ".feather", ".arrow", ".ipc", ".orc", ".avro"),
    *(".pkl", ".db", ".sqlite"),
)
# Read ahead in each column: enough for a disk, and few enough requests for an object store.
_LOCAL_BUFFER, _REMOTE_BUFFER = 1 << 20, 4 << 20


@dataclass(frozen=True)
class ParquetInput:
    """An open Parquet file; made by `open_parquet`.

    Attributes:
        name: what messages call it.
        file: reads columns in the types that the file gives them.
        raw: its bytes.
        options: how they are read.
        is_local: whether it lies on this machine.
    """

    name: str
    file: pq.ParquetFile
    raw: pa.NativeFile
    options: dict[str, Any]
    is_local: bool

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return self.file.schema_arrow

    @property
    def rows(self) -> int:
        """Rows that the footer counts."""
        return int(self.file.metadata.num_rows)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The columns of values that the file's columns consist of, in the file's order."""
        return leaves_of(self.file.schema, self.schema)

    @cached_property
    def dictionaries(self) -> pq.ParquetFile:
        """Reads the same file's string columns with their dictionaries."""
        strings = [leaf.path for leaf in self.leaves if leaf.physical == "BYTE_ARRAY"]
        return pq.ParquetFile(
            self.raw, metadata=self.file.metadata, read_dictionary=strings, **self.options
        )

    def batches(
        self,
        columns: Sequence[str],
        budget: int,
        most: int,
        start: int = 0,
        end: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read some columns in batches of at most `budget` bytes decoded and `most` rows.

        Args:
            columns: names, each once.
            budget: bytes; a single larger row is a batch of its own.
            most: rows.
            start: the first row; row groups before it are not touched.
            end: the row behind the last one (None: all); nor are row groups behind it.

        Raises:
            InputError: the file is damaged.
        """
        row, end = 0, self.rows if end is None else end
        for group in range(self.file.metadata.num_row_groups):
            rows = self.file.metadata.row_group(group).num_rows
            if row + rows <= start:
                row += rows
                continue
            if row >= end:
                return
            for batch in self._group(group, columns, budget, most):
                first, last = max(start - row, 0), min(end - row, batch.num_rows)
                row += batch.num_rows
                if first < last:
                    # Arrow selects `a.b` along with `a`, be it a field of `a` or a column.
                    yield batch.select(list(columns)).slice(first, last - first)
                if row >= end:
                    return

    def _group(
        self, group: int, columns: Sequence[str], budget: int, most: int
    ) -> Iterator[pa.RecordBatch]:
        """Read columns of a row group; where that fails, find out which column it is."""
        name = f"{self.name}: column {columns[0]!r}" if len(columns) == 1 else self.name
        try:
            with _reading(name):
                size = self._rows_within(budget, most, group, columns)
                batches = self.file.iter_batches(size, row_groups=[group], columns=list(columns))
            yield from _guarded(batches, name)
        except InputError:
            if len(columns) > 1:
                for column in columns:
                    collections.deque(self._group(group, [column], budget, most), maxlen=0)
            raise

    def _rows_within(self, budget: int, most: int, group: int, columns: Sequence[str]) -> int:
        """Return how many rows of a group surely fit a budget of bytes, 1 to `most`."""
        wanted = set(columns)
        leaves = [leaf for leaf in self.leaves if leaf.column in wanted]
        row_bytes = sum(self._row_bytes(group, leaf, budget) for leaf in leaves)
        return max(1, min(most, int(budget / max(row_bytes, 1))))

    def _row_bytes(self, group: int, leaf: Leaf, budget: int) -> float:
        """Return how many bytes a row of a column takes when each value is the longest one."""
        if leaf.physical != "BYTE_ARRAY" and not leaf.is_repeated:
            return leaf.width
        longest_entry = self._longest_entry(group, leaf)
        # From here on the chunk is known to be one that pyarrow can describe.
        chunk = self.file.metadata.row_group(group).column(leaf.index)
        rows = max(int(self.file.metadata.row_group(group).num_rows), 1)
        size = int(chunk.total_uncompressed_size)
        average = size / rows if size <= _WHOLE_CHUNK else _SPREAD * size / rows
        if leaf.physical != "BYTE_ARRAY":
            return max(average, leaf.width * int(chunk.num_values) / rows)
        if not chunk.has_dictionary_page or size * rows <= budget:
            return average
        longest = longest_entry if longest_entry is not None else size
        return max(average, longest * int(chunk.num_values) / rows)

    def _longest_entry(self, group: int, leaf: Leaf) -> int | None:
        """Read a chunk's first row: the bytes of the longest entry of its dictionary, if any."""
        batches = self.dictionaries.iter_batches(1, row_groups=[group], columns=[leaf.path])
        if (batch := next(batches, None)) is None:
            return None
        values = batch.column(0)
        while pa.types.is_nested(values.type):
            values = values.field(0) if pa.types.is_struct(values.type) else values.values
        if not pa.types.is_dictionary(values.type) or not len(values.dictionary):
            return None  # nothing in it can be longer than the chunk
        if not _has_lengths(values.dictionary.type):
            return None
        return int(_byte_lengths(values.dictionary).max())


@contextmanager
def open_parquet(source: InputFile) -> Iterator[ParquetInput]:
    """Open a Parquet file for streaming.

    Raises:
        InputError: it is not there, not Parquet, or damaged.
    """
    with contextlib.ExitStack() as stack:
        with _reading(source.name):
            raw = stack.enter_context(source.filesystem.open_input_file(source.path))
            options: dict[str, Any] = {
                # Streams read a column page by page: a huge row group need not fit the memory.
                "pre_buffer": False,
                "buffer_size": _LOCAL_BUFFER if source.is_local else _REMOTE_BUFFER,
                "page_checksum_verification": True,
                # The old INT96 in nanoseconds would turn the year 9999 into 1816.
                "coerce_int96_timestamp_unit": "us",
            }
            reader = stack.enter_context(pq.ParquetFile(raw, **options))
            file = ParquetInput(source.name, reader, raw, options, source.is_local)
            _ = file.schema, file.leaves
        yield file


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn what Arrow raises about a damaged or unreadable file into an `InputError`."""
    try:
        yield
    except MemoryError:
        raise
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            f"{name}: written in a way that pyarrow {pa.__version__} cannot read "
            f"({told(error)}). Write it again in another way"
        ) from error
    except Exception as error:  # fsspec hands on whatever a client raises
        if "no decryption found" in str(error):
            raise InputError(f"{name}: is encrypted. Write it without encryption first") from error
        remedy = ""
        if name.lower().endswith(_OTHER_FORMATS):
            remedy = ". By its name it is of another format: write it as Parquet first"
        raise InputError(
            f"{name}: not a whole, readable Parquet file ({told(error)}){remedy}"
        ) from error


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
    end: int | None = None,
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
        end: the row behind the last one (None: all).

    Yields:
        Windows in the column's type (a dictionary's value type, string where it is none of
        strings or binary), at least one row each.

    Raises:
        InputError: the file is damaged.
    """
    pending: list[pa.Array] = []
    have_rows = have_bytes = 0
    largest, rows = rows, _window_rows(skip, rows)
    for batch in source.batches([column], _READ_BYTES, _READ_ROWS, skip, end):
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


def carried_tables(
    source: ParquetInput, columns: Sequence[str], start: int = 0, end: int | None = None
) -> Iterator[pa.Table]:
    """Read the carried columns in tables that will be the output's row groups.

    Args:
        source: the open file.
        columns: their names.
        start: the first row.
        end: the row behind the last one (None: all).

    Raises:
        InputError: the file is damaged.
    """
    group = RowGroup()
    for batch in _carried(source, columns, start, end):
        group.add(batch)
        if group.rows >= _OUTPUT_ROWS or group.size >= _OUTPUT_BYTES:
            yield group.table()
            group = RowGroup()
    if group.rows:
        yield group.table()


def check_carried(
    source: ParquetInput, columns: Sequence[str], start: int = 0, end: int | None = None
) -> None:
    """Look at the carried columns before the work: all of a small local file, else their beginning.

    Args:
        source: the open file.
        columns: their names.
        start: the first row.
        end: the row behind the last one (None: all).

    Raises:
        InputError: one of them cannot be read.
    """
    groups = range(source.file.metadata.num_row_groups)
    size = sum(source.file.metadata.row_group(group).total_byte_size for group in groups)
    batches = _carried(source, columns, start, end)
    if source.is_local and size <= _LOOK_BYTES:
        collections.deque(batches, maxlen=0)
    else:
        next(batches, None)


def _carried(
    source: ParquetInput, columns: Sequence[str], start: int, end: int | None
) -> Iterator[pa.RecordBatch]:
    try:
        yield from source.batches(columns, _CARRIED_BYTES, _CARRIED_ROWS, start, end)
    except InputError as error:
        raise InputError(f"{error}. Leave that column out with --columns") from error


def _decoded(texts: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        return texts.dictionary_decode()
    # Without a value there is no type; and JSON has texts that are numbers, as "1984" may be.
    return texts if _has_lengths(texts.type) else texts.cast(pa.string())


def _window_end(texts: pa.Array, rows: int, max_bytes: int) -> int | None:
    """Return how many rows the next window takes, or None while it may still grow."""
    lengths = _byte_lengths(texts.slice(0, rows))
    total = np.cumsum(lengths)
    end = int(np.searchsorted(total, max_bytes, side="right"))
    if end < len(lengths):
        return max(1, end)
    return rows if len(lengths) == rows else None


def _has_lengths(kind: pa.DataType) -> bool:
    """Whether values of a type differ in their bytes."""
    is_view = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
    is_large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    return bool(is_view or is_large or pa.types.is_string(kind) or pa.types.is_binary(kind))


def _byte_lengths(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each text, 0 for null: (R,) int64."""
    if pa.types.is_string_view(texts.type) or pa.types.is_binary_view(texts.type):
        texts = texts.cast(pa.large_binary())
    lengths = pc.fill_null(pc.binary_length(texts), 0)
    result: npt.NDArray[np.int64] = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    return result

"""DuckDB over a stream of rows: bounded in memory, with errors as the toolkit has them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa

from infer.base.cores import cores
from infer.base.errors import SentError
from reporter.rows.reading import Rows

# Groups that do not fit go to the disk.
MEMORY: Final = "512MB"
# A position has so many bits in a key; see `key`.
_POSITION: Final = 40
_STEPS: Final = 1 << 22  # finer than neighbouring scores of float32 near 1 are apart


class Database:
    """A connection to DuckDB, to ask for what is in a stream of rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection; made by `open_database`."""
        self._connection = connection

    def ask(self, query: str, rows: Rows | None = None, columns: Sequence[str] = ()) -> list[Any]:
        """Return the rows of an answer.

        Args:
            query: SQL, in which `stream` is the rows with these columns, to be read once.
            rows: the files, where the query reads them.
            columns: which of their columns are read.

        Raises:
            InputError: a file is damaged, or has a value that cannot be used.
            SentError: DuckDB cannot go on, as where the disk is full.
        """
        faults: list[BaseException] = []
        if rows is not None:
            self._connection.register("stream", _noting(rows.stream(columns), faults))
        try:
            return self._connection.execute(query).fetchall()
        except duckdb.Error as error:
            if faults:
                raise faults[0] from None
            raise SentError(
                f"the rows cannot be counted ({' '.join(str(error).split())})"
            ) from error
        finally:
            if rows is not None:
                self._connection.unregister("stream")


@contextmanager
def open_database() -> Iterator[Database]:
    """Open a database in memory, which puts on the disk what does not fit, and leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="sent-report-") as folder:
        settings: dict[str, Any] = {
            "threads": cores(),
            "memory_limit": MEMORY,
            "temp_directory": folder,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(config=settings) as connection:
            yield Database(connection)


def _noting(reader: pa.RecordBatchReader, faults: list[BaseException]) -> pa.RecordBatchReader:
    """Keep what is raised while a stream is read: DuckDB tells no more than its words."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except BaseException as error:
            faults.append(error)
            raise

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def key(share: str) -> str:
    """Return SQL for a number by which rows are told apart and are in the order of a share.

    The greatest of a group's keys are found without keeping or sorting its rows; `position` says
    which row a key is of. Of rows with the same share, the earlier one has the greater key.

    Args:
        share: SQL for a number from 0 to 1.
    """
    return f"(({share}) * {_STEPS})::BIGINT * {1 << _POSITION} - position"


def position(found: int) -> int:
    """Return the position of the row that a key is of."""
    return -found % (1 << _POSITION)


def drawn(seed: int) -> str:
    """Return SQL for a number from 0 to 1, drawn for each row."""
    return f"hash(position, {seed}::BIGINT) / {2.0**64!r}"

"""CSV, JSON Lines and what stdin holds → Parquet without a name, which is scored like any other.

One reading turns rows of text into rows of Parquet: columns in their types, a text that is no UTF-8
as it is. What comes then (windows, parts, carried columns) has one way only, and what is scored
twice is the same however the file is compressed or written. The Parquet lies on the output's disk
and has no name, so that nothing is left of it, not even after `kill -9`.
"""

import hashlib
import os
import resource
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from infer.base.console import say
from infer.base.errors import InputError, OutputError
from infer.table.csv_files import CsvFile
from infer.table.formats import (
    CSV,
    JSON,
    PARQUET,
    Format,
    Opener,
    compression_of,
    find_format,
    reading,
)
from infer.table.inputs import STDIN, InputFile
from infer.table.json_files import JsonFile
from infer.table.places import told

_COPIED_BYTES: Final = 1 << 20
_WRITTEN_AT_ONCE: Final = 128  # values between two looks at whether a page is full
_MAGIC: Final = b"PAR1"
_OTHER_FILES: Final = 128  # open ones beside those of the rows
_OPENED: Final = "/dev/fd/"  # and a number: what opens a file that is open anew


@dataclass(frozen=True)
class Spooled(InputFile):
    """Rows of another format, as Parquet.

    Attributes:
        content: what they were read from: name, hash of the bytes, how these were read.
        origin: what the operating system says of that file; None where it is none of this machine.
        looks: names and types of its columns by what their values look like.
    """

    content: dict[str, Any] = field(default_factory=dict)
    origin: os.stat_result | None = None
    looks: pa.Schema | None = None

    def identity(self) -> dict[str, Any]:
        """Return what changes when the rows change; these do not any more."""
        return self.content

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file that the rows come from."""
        return self.origin


def allow_open_files(sources: Sequence[InputFile]) -> None:
    """Let this process hold a file open for each source that is no Parquet.

    Raises:
        InputError: the system allows too few.
    """
    count = sum(find_format(source.name) is not PARQUET for source in sources)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if count < 2 or soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise InputError(
            f"{count:,} files of text: this system lets a process open {hard:,} files, expected "
            f"{wanted:,} or more. Score fewer at a time, or write them as Parquet first"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def as_parquet(source: InputFile, folder: Path, delimiter: str | None = None) -> InputFile:
    """Return a source as it is where it is Parquet, else its rows as Parquet.

    Args:
        source: the input; its name's end says the format, on stdin its first bytes do.
        folder: where to put the rows; the nearest folder above it that is there.
        delimiter: what parts the fields of CSV; None: what its name and its looks say.

    Raises:
        InputError: it cannot be read, or changes meanwhile.
        OutputError: there is no room.
    """
    if source.path == STDIN:
        return _stdin(source, folder, delimiter)
    kind = find_format(source.name)
    if kind is PARQUET or isinstance(source, Spooled):
        return source
    before = source.filesystem.get_file_info(source.path)
    with (
        reading(source.name, kind),
        source.filesystem.open_input_stream(source.path, compression=None) as raw,
    ):
        digest = _hash(raw)

    def opener() -> pa.NativeFile:
        compression = compression_of(source.name)
        return source.filesystem.open_input_stream(source.path, compression=compression)

    found = _spooled(source, opener, kind, digest, folder, delimiter)
    after = source.filesystem.get_file_info(source.path)
    if (before.size, before.mtime_ns) != (after.size, after.mtime_ns):
        raise InputError(f"{source.name}: changed while it was read. Start over")
    return found


def _stdin(source: InputFile, folder: Path, delimiter: str | None) -> InputFile:
    """Keep what stdin holds, and take it for what its first bytes say."""
    digest = hashlib.sha256()
    with _nameless(folder) as kept:
        while block := sys.stdin.buffer.read(_COPIED_BYTES):
            digest.update(block)
            with _room(folder, source):
                kept.write(block)
        with _room(folder, source):
            kept.flush()
        kept.seek(0)
        start = kept.read(_COPIED_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(_MAGIC):
            content = {"name": source.name, "sha256": digest.hexdigest(), "format": PARQUET.name}
            return _readable(source, kept, content, None)
        kind = JSON if start[:1] in (b"{", b"[") else CSV
        path = f"{_OPENED}{kept.fileno()}"

        def opener() -> pa.NativeFile:
            return fs.LocalFileSystem().open_input_stream(path, compression=None)

        return _spooled(source, opener, kind, digest.hexdigest(), folder, delimiter)


def _spooled(
    source: InputFile,
    opener: Opener,
    kind: Format,
    digest: str,
    folder: Path,
    delimiter: str | None,
) -> Spooled:
    how: dict[str, Any] = {"name": source.name, "sha256": digest, "format": kind.name}
    with reading(source.name, kind):
        if kind.delimiter:
            table = CsvFile(opener, source.name, kind.delimiter, delimiter)
            looks, (schema, batches) = table.schema(), table.batches()
            how |= vars(table.dialect)
            for note in table.notes:
                say(note)
        else:
            objects = JsonFile(opener)
            schema = looks = objects.schema()
            batches = objects.batches(schema)
    rows = _guarded(batches, source.name, kind)
    with _nameless(folder) as file:
        options = {"compression": "zstd", "write_batch_size": _WRITTEN_AT_ONCE}
        with _room(folder, source), pq.ParquetWriter(file, schema, **options) as writer:
            for batch in rows:
                writer.write_batch(batch)
        with _room(folder, source):
            file.flush()
        return _readable(source, file, how, looks)


def _guarded(
    batches: Iterator[pa.RecordBatch], name: str, kind: Format
) -> Iterator[pa.RecordBatch]:
    """Read batches; errors of whoever writes them are not touched."""
    while True:
        with reading(name, kind):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _readable(
    source: InputFile,
    file: IO[bytes],
    content: dict[str, Any],
    looks: pa.Schema | None,
) -> Spooled:
    origin = source.status()
    if origin is not None and not stat.S_ISREG(origin.st_mode):  # a pipe
        origin = None
    held = os.dup(file.fileno())  # what keeps the file is this, as long as the result is in use
    found = Spooled(
        fs.LocalFileSystem(),
        f"{_OPENED}{held}",
        source.name,
        source.relative,
        content=content,
        origin=origin,
        looks=looks,
    )
    weakref.finalize(found, os.close, held)
    return found


def _nameless(folder: Path) -> IO[bytes]:
    """Open a file without a name in the nearest folder that is there."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    try:
        return tempfile.TemporaryFile(dir=there)
    except OSError as error:
        raise OutputError(f"{there}: cannot be written ({error.strerror})") from error


@contextmanager
def _room(folder: Path, source: InputFile) -> Iterator[None]:
    """Tell a disk that is full from an input that cannot be read."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder}: the rows of {source.name} cannot be put there while they are scored "
            f"({told(error)})"
        ) from error


def _hash(file: pa.NativeFile) -> str:
    digest = hashlib.sha256()
    while block := file.read(_COPIED_BYTES):
        digest.update(block)
    return digest.hexdigest()

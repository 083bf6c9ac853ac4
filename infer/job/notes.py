"""What an output says of itself where its format has no place for it: a hidden note beside it.

A Parquet file carries the fingerprint of the job that made it. CSV and JSON Lines cannot, so their
note does, with a hash of the file that it is about: a note beside another file is none.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import stat_result
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from infer.table.outputs import Target

_SUFFIX: Final = ".sent-note"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Note:
    """What is known of an output.

    Attributes:
        metadata: where its scores come from, and which job made it.
        columns: its names.
        rows: how many it has.
        statuses: its rows by status.
        predictions: its rows by predicted label.
        confident: its rows that are marked as confident; None where none are marked.
    """

    metadata: Mapping[str, str]
    columns: list[str]
    rows: int
    statuses: dict[str, int]
    predictions: dict[str, int]
    confident: int | None = None

    def __post_init__(self) -> None:
        """Refuse what JSON may hold and no note does.

        Raises:
            TypeError: something is of another type.
        """
        words = [*self.metadata.values(), *self.columns]
        counts = [self.rows, *self.statuses.values(), *self.predictions.values()]
        counts += [] if self.confident is None else [self.confident]
        if any(type(word) is not str for word in words) or any(type(n) is not int for n in counts):
            raise TypeError(f"note: {words!r:.80} and {counts!r:.80}, expected texts and counts")


def note_of(output: Target) -> Target:
    """Return where the note of an output stands."""
    return output.beside(f".{output.name}{_SUFFIX}")


def write_note(output: Target, content: Path, note: Note, like: stat_result | None) -> None:
    """Write the note of an output that is about to get its name; durable when this returns.

    Args:
        output: what it will be called.
        content: the file that will be called so.
        note: what there is to say.
        like: the file that it is about in the end; nobody may read the note who may not read that.
    """
    with note_of(output).create(overwrite=True, like=like) as temporary:
        with pa.OSFile(str(content)) as file:
            whole = {"sha256": hash_of(file), **asdict(note)}
        temporary.write_text(json.dumps(whole, indent=1), encoding="utf-8")


def read_note(output: Target) -> Note | None:
    """Return the note of an output that is there, None where there is none about this file."""
    try:
        with note_of(output).open() as file:
            values: dict[str, Any] = json.loads(file.read())
        with output.open() as file:
            return Note(**values) if values.pop("sha256") == hash_of(file) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def hash_of(file: pa.NativeFile) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return digest.hexdigest()

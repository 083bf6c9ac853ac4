"""Which outputs of a job are there, of which input each is, and what it says of itself.

Nothing is compared here, and nothing is believed that cannot be read.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import pyarrow.parquet as pq

from infer.job.notes import hash_of, read_note
from infer.job.pieces import piece_of
from infer.job.provenance import TASK_KEY, Made, read_made
from infer.table.folders import why_not_data
from infer.table.formats import PARQUET, find_format, has_known_ending
from infer.table.outputs import Target
from infer.table.parquet import open_parquet

_READ_BYTES: Final = 16 << 20
_READ_ROWS: Final = 16_384


@dataclass(frozen=True)
class Existing:
    """What is there.

    Attributes:
        by_input: the files that belong to an input, by the place where its output is due.
        foreign: files that belong to none, and that who reads the folder would take for scores.
    """

    by_input: Mapping[str, Sequence[Target]]
    foreign: Sequence[Target]


def find_existing(targets: Iterable[Target], found: Iterable[Target]) -> Existing:
    """Say which of the files that are there belong to which input, whole or as a piece of it.

    Args:
        targets: where the output of each input is due.
        found: the files.
    """
    held: dict[str, list[Target]] = {target.place: [] for target in targets}
    foreign = []
    for target in found:
        piece = piece_of(target.name)
        places = [target.place, *([] if piece is None else [target.beside(piece[0]).place])]
        place = next((place for place in places if place in held), None)
        if place is not None:
            held[place].append(target)
        elif _looks_like_scores(target):
            foreign.append(target)
    return Existing(held, foreign)


def _looks_like_scores(target: Target) -> bool:
    is_hidden = bool(why_not_data(PurePosixPath(target.place).parts))
    return has_known_ending(target.name) and not is_hidden


def first_row(target: Target, whole: Target) -> int:
    """Return which row of its input a file begins with by its name.

    Args:
        target: the file.
        whole: the output of that input, where it is in one piece.
    """
    piece = None if target == whole else piece_of(target.name)
    return 0 if piece is None else piece[1]


def read_output(target: Target) -> tuple[Made, int, list[str]] | None:
    """Return what an output says that it was made of, its rows and columns; None without that.

    Raises:
        OSError: it cannot be read.
        pyarrow.ArrowException: it is no whole Parquet file.
    """
    if find_format(target.name) is not PARQUET:
        if (note := read_note(target)) is None:
            return None
        made, rows, columns = read_made(note.metadata.get(TASK_KEY)), note.rows, note.columns
    else:
        with target.open() as raw, pq.ParquetFile(raw) as file:
            schema, rows = file.schema_arrow, int(file.metadata.num_rows)
        made, columns = read_made((schema.metadata or {}).get(TASK_KEY.encode())), schema.names
    return None if made is None else (made, rows, columns)


def read_through(target: Target) -> tuple[int, str]:
    """Return a file's bytes and SHA-256, when all its pages have been read and their sums agree.

    Raises:
        InputError: they do not.
        OSError: it cannot be read.
    """
    with target.local_copy() as source:
        with source.filesystem.open_input_file(source.path) as raw:
            size, digest = int(raw.size()), hash_of(raw)
        if find_format(target.name) is PARQUET:
            with open_parquet(source) as file:
                deque(file.batches(file.schema.names, _READ_BYTES, _READ_ROWS), maxlen=0)
    return size, digest

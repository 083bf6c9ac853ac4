"""A job's rows cut into pieces, each with an output of its own, and shared out among shards.

The cut knows nothing of the shards: a piece is a file, or of a large one so many rows from a
multiple of that number on. So any number of shards makes the same files.
"""

import heapq
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from infer.base.errors import InputError, OutputError, all_at_once
from infer.job.shards import Shard
from infer.table.formats import FORMATS, PARQUET, find_format
from infer.table.inputs import STDIN, InputFile
from infer.table.outputs import Target
from infer.table.parquet import open_parquet
from infer.table.spool import Spooled, as_parquet

PIECE_ROWS: Final = 1 << 20
# Rows of text are counted by reading them all, in every shard: worth it for a file so large.
TEXT_BYTES: Final = 256 << 20
_FOOTERS_AT_ONCE: Final = 16
# A piece is called like its file, with its first row's number before the ending.
_DIGITS: Final = 12
_NUMBERED: Final = re.compile(
    rf"(.*)\.(\d{{{_DIGITS},}})((?:{'|'.join(map(re.escape, FORMATS))})?)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of an input that become one output.

    Attributes:
        source: the input.
        output: the file to make.
        start: number of the first row.
        rows: how many they are; None: all of the file, which has not been counted.
        size: about how many bytes of the input they take.
    """

    source: InputFile
    output: Target
    start: int = 0
    rows: int | None = None
    size: int = 0


def whole_files(files: Sequence[InputFile], outputs: Sequence[Target]) -> list[Piece]:
    """Return a piece for each input."""
    return [Piece(file, output) for file, output in zip(files, outputs, strict=True)]


def cut(
    files: Sequence[InputFile],
    outputs: Sequence[Target],
    piece_rows: int,
    delimiter: str | None = None,
) -> list[Piece]:
    """Return the pieces of all inputs, in their order.

    Args:
        files: the inputs; those that are no Parquet stay whole, unless they are large.
        outputs: where each one's scores go while it is whole.
        piece_rows: rows in a piece at most.
        delimiter: what parts the fields of CSV.

    Raises:
        InputError: an input cannot be read, or is stdin; all that are, at once.
        OutputError: two pieces would be called the same.
    """
    measured = [_measured(*one, delimiter) for one in zip(files, outputs, strict=True)]
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE, "footer") as pool:
        found = list(pool.map(_cut, measured, outputs, [piece_rows] * len(files)))
    errors = [one for one in found if isinstance(one, InputError)]
    all_at_once(errors, len(files), "files")
    pieces = [piece for one in found if not isinstance(one, InputError) for piece in one]
    _check_names(pieces)
    return pieces


def _measured(file: InputFile, output: Target, delimiter: str | None) -> InputFile | InputError:
    """Return a file whose rows can be counted where they have to be."""
    try:
        if file.path == STDIN:
            raise InputError(
                f"{file.name}: is read once, expected files where the output is in pieces "
                "(--shard, --piece-rows). Write it to a file first"
            )
        if find_format(file.name) is PARQUET or file.size() < TEXT_BYTES:
            return file
        return as_parquet(file, output.scratch, delimiter)
    except InputError as error:
        return error


def _cut(file: InputFile | InputError, output: Target, piece_rows: int) -> list[Piece] | InputError:
    if isinstance(file, InputError):
        return file
    try:
        if find_format(file.name) is not PARQUET and not isinstance(file, Spooled):
            return [Piece(file, output, size=file.size())]
        with open_parquet(file) as parquet:
            rows, size = parquet.rows, parquet.raw.size()
    except InputError as error:
        return error
    if rows <= piece_rows:
        return [Piece(file, output, size=size)]
    return [
        Piece(
            file,
            output.beside(piece_name(output.name, start)),
            start,
            (count := min(piece_rows, rows - start)),
            size * count // rows,
        )
        for start in range(0, rows, piece_rows)
    ]


def piece_name(name: str, start: int) -> str:
    """Return what the piece of a file is called that begins with a row."""
    ending = _ending(name)
    return f"{name.removesuffix(ending)}.{start:0{_DIGITS}d}{ending}"


def piece_of(name: str) -> tuple[str, int] | None:
    """Return of which file a name is that of a piece, and its first row; None where it is none."""
    found = _NUMBERED.fullmatch(name)
    return None if found is None else (found[1] + found[3], int(found[2]))


def _ending(name: str) -> str:
    return next((name[-len(end) :] for end in FORMATS if name.lower().endswith(end)), "")


def _check_names(pieces: Iterable[Piece]) -> None:
    places: dict[Target, str] = {}
    for piece in pieces:
        other = places.setdefault(piece.output, piece.source.name)
        if other != piece.source.name:
            raise OutputError(
                f"{piece.output}: would hold rows of {other} and of {piece.source.name}. Score "
                "them in separate runs"
            )


def check_no_others(
    pieces: Sequence[Piece], outputs: Iterable[Target], inputs: Sequence[InputFile]
) -> None:
    """Refuse to put pieces beside others of the same rows: who reads the folder has them twice.

    Args:
        pieces: all of a job.
        outputs: where each input's scores go while it is whole.
        inputs: what is scored, which a name alone does not make scores of these rows.

    Raises:
        OutputError: naming a file of another cut.
    """
    planned, wholes = {piece.output for piece in pieces}, set(outputs)
    folders = {PurePosixPath(target.place).parent: target for target in wholes}
    for one in folders.values():
        for name in one.names_beside():
            found = one.beside(name)
            whole, _ = piece_of(name) or (name, 0)
            is_ours = found in wholes or one.beside(whole) in wholes
            if is_ours and found not in planned and not found.is_one_of(inputs):
                raise OutputError(
                    f"{found}: holds rows that this run would write to other files. It was made "
                    "with another --piece-rows, without --shard, or when the input had other rows: "
                    "use the same, remove it, or name another output"
                )


def share(pieces: Sequence[Piece], shard: Shard) -> list[Piece]:
    """Return a shard's pieces, in their order.

    The largest are given out first, each to the shard that has the least.
    """
    # Whatever the number of shards, no more than the pieces get one.
    loads = [(0, number) for number in range(1, min(shard.count, len(pieces)) + 1)]
    mine: set[int] = set()
    for index in sorted(range(len(pieces)), key=lambda i: -pieces[i].size):
        load, number = heapq.heappop(loads)
        heapq.heappush(loads, (load + pieces[index].size + 1, number))
        if number == shard.number:
            mine.add(index)
    return [piece for index, piece in enumerate(pieces) if index in mine]

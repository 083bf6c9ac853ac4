"""Which format a file is of: its name's end says so, and how it is compressed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import pyarrow as pa

from infer.base.errors import InputError
from infer.table.places import told

# Opens a file anew, decompressed.
Opener = Callable[[], pa.NativeFile]


@dataclass(frozen=True)
class Format:
    """A format that tables are read in.

    Attributes:
        name: what people call it.
        delimiter: what parts the fields, of CSV and its kin.
        is_typed: whether the file itself says what a column's type is.
    """

    name: str
    delimiter: str = ""
    is_typed: bool = False


PARQUET: Final = Format("Parquet", is_typed=True)
CSV: Final = Format("CSV", ",")
TSV: Final = Format("TSV", "\t")
JSON: Final = Format("JSON Lines")
_OF_TEXT: Final = {".csv": CSV, ".tsv": TSV, ".jsonl": JSON, ".ndjson": JSON, ".json": JSON}
# What Arrow sees by a name's end and decompresses.
COMPRESSED: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
FORMATS: Final = {
    ".parquet": PARQUET,
    **_OF_TEXT,
    **{plain + more: kind for plain, kind in _OF_TEXT.items() for more in COMPRESSED},
}
# What a message says names may end with.
ENDINGS: Final = (
    f"{', '.join(('.parquet', *_OF_TEXT))}, or these of text with {', '.join(COMPRESSED)} behind"
)
UNREADABLE: Final = (
    pa.ArrowInvalid,
    pa.ArrowKeyError,
    pa.ArrowNotImplementedError,
    OSError,
    ValueError,  # of which what is no UTF-8 and what is no JSON
    RecursionError,
)


@contextmanager
def reading(name: object, kind: Format) -> Iterator[None]:
    """Turn what libraries say of a file that they cannot read into one line.

    Raises:
        InputError: naming the file.
    """
    try:
        yield
    except UNREADABLE as error:
        encoding = "" if kind.is_typed else ", in UTF-8"
        raise InputError(
            f"{name}: not a readable {kind.name} file{encoding} ({told(error)}). The name's end "
            f"tells the format, one of {ENDINGS}"
        ) from error


def find_format(name: str | PurePath) -> Format:
    """Return the format that a file's name ends with; Parquet where it is none that is known."""
    lower = PurePath(name).name.lower()
    ends = (kind for suffix, kind in FORMATS.items() if lower.endswith(suffix))
    return next(ends, PARQUET)


def has_known_ending(name: str | PurePath) -> bool:
    """Whether a file's name ends with a format."""
    return PurePath(name).name.lower().endswith(tuple(FORMATS))


def compression_of(name: str | PurePath) -> str | None:
    """Return how a file is compressed by its name, as Arrow calls it."""
    return COMPRESSED.get(PurePath(name).suffix.lower())

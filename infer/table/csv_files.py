"""CSV and its kin: how a file is written is looked up in its beginning. Legend: R rows.

What parts the fields, whether quotes within a field are doubled (RFC 4180) or have a backslash
before them (as Spark writes them), and whether it is UTF-16. Arrow reads the rest.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.csv

from infer.base.errors import InputError
from infer.table.delimiters import shown_delimiter
from infer.table.formats import Opener

# No row may be longer; Arrow reads that much at a time.
BLOCK_BYTES: Final = 1 << 26
_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 200
_DELIMITERS: Final = (",", ";", "\t", "|")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: what parts its fields.
        escape: what stands before a quote within a field, where quotes are not doubled.
        encoding: of its text.
        has_one_column: so that an empty line is a row without a value.
    """

    delimiter: str
    escape: str = ""
    encoding: str = "utf8"
    has_one_column: bool = False


class CsvFile:
    """A CSV file that is there to be read, as often as it is asked for.

    Attributes:
        dialect: how it is written.
        notes: what a person should know, a sentence each.
    """

    def __init__(self, opener: Opener, name: object, usual: str, asked: str | None = None) -> None:
        """Look at its beginning.

        Args:
            opener: opens it.
            name: what messages call it.
            usual: the delimiter that its name's end says.
            asked: `--delimiter`.

        Raises:
            InputError: it is parted by something else than is asked for.
        """
        self._opener = opener
        with closing(opener()) as file:
            sample = file.read(_SAMPLE_BYTES)
        # Arrow takes a header without a line's end for an empty file.
        is_whole = len(sample) < _SAMPLE_BYTES and not sample.endswith((b"\n", b"\r", b"\x00"))
        self._whole = sample + b"\n" if sample and is_whole else None
        encoding = "utf-16" if sample.startswith(_UTF16) else "utf8"
        if encoding == "utf-16":
            self._whole = None
        text = sample.decode("utf-16" if encoding == "utf-16" else "utf-8-sig", "replace")
        if len(sample) == _SAMPLE_BYTES:
            text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
        self.dialect, self.notes = _look(text, name, usual, asked, encoding)

    def schema(self) -> pa.Schema:
        """Return the names of the columns and the types that their first values look like."""
        return self._read(pyarrow.csv.ConvertOptions()).schema

    def columns(self, names: Sequence[str], strings: Sequence[str]) -> pa.Table:
        """Read columns: `strings` as they are written, others in the type that they look like.

        Only an empty field without quotes is missing, "NA" is a text.
        """
        options = _convert(dict.fromkeys(strings, pa.large_string()))
        options.include_columns = list(names)
        with closing(self._open()) as file:
            return pyarrow.csv.read_csv(file, *self._options(), options)

    def batches(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Read all columns as they are written: strings, whose bytes need not be UTF-8."""
        names = self.schema().names
        options = _convert(dict.fromkeys(names, pa.string()))
        options.check_utf8 = False
        reader = self._read(options)
        return reader.schema, reader

    def _read(self, options: pyarrow.csv.ConvertOptions) -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(self._open(), *self._options(), options)

    def _open(self) -> pa.NativeFile:
        return self._opener() if self._whole is None else pa.BufferReader(self._whole)

    def _options(self) -> tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions]:
        return (
            pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, encoding=self.dialect.encoding),
            pyarrow.csv.ParseOptions(
                delimiter=self.dialect.delimiter,
                escape_char=self.dialect.escape or False,
                newlines_in_values=True,
                ignore_empty_lines=not self.dialect.has_one_column,
            ),
        )


def _convert(types: dict[str, pa.DataType]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )


def _look(
    text: str, name: object, usual: str, asked: str | None, encoding: str
) -> tuple[Dialect, tuple[str, ...]]:
    """Find out how a file is written by its beginning."""
    delimiter = asked or usual
    notes = []
    if len(_header(text, delimiter)) < 2 and (other := _other_delimiter(text, delimiter)):
        if asked is not None:
            raise InputError(
                f"{name}: one column by --delimiter {shown_delimiter(asked)}, expected what parts "
                f"the names of its header. By its looks that is {shown_delimiter(other)}"
            )
        notes.append(
            f"{name}: parted by {shown_delimiter(other)} by its looks (--delimiter names another)."
        )
        delimiter = other
    escape = ""
    if line := _badly_quoted(text, delimiter):
        if '\\"' in text:
            escape = "\\"
            notes.append(
                f"{name}: quotes within a field have a backslash before them, by its looks."
            )
        else:
            notes.append(
                f"Warning: {name}: up to line {line} a field that begins with a quote goes on "
                "behind its last one, so fields and rows may have run together. Put such fields "
                "in quotes, and double those within."
            )
    one = len(_header(text, delimiter)) == 1
    return Dialect(delimiter, escape, encoding, one), tuple(notes)


def _header(text: str, delimiter: str) -> list[str]:
    return next(_rows(text, delimiter), [])


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:  # a field of more than 128 kB: what comes behind it is not looked at
        return


def _other_delimiter(text: str, delimiter: str) -> str | None:
    """Return the one mark that parts all of the first rows into as many fields, at least two."""
    found = []
    for other in _DELIMITERS:
        rows = (row for row in _rows(text, other) if row)
        sizes = {len(row) for row, _ in zip(rows, range(_SAMPLE_ROWS), strict=False)}
        if other != delimiter and len(sizes) == 1 and min(sizes) > 1:
            found.append(other)
    return found[0] if len(found) == 1 else None


def _badly_quoted(text: str, delimiter: str) -> int | None:
    """Return the first line where more than a delimiter stands behind a field's last quote."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for _ in rows:
            pass
    except csv.Error as error:
        return rows.line_num if "expected after" in str(error) else None
    return None

"""Files of scores as one stream of rows, which may be read again: memory does not grow with rows.

Files are opened one after the other. What is no Parquet is read once, into Parquet without a name.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import say
from infer.base.errors import InputError, UsageError, all_at_once
from infer.job.notes import read_note
from infer.job.provenance import TASK_KEY, read_made
from infer.table.columns import TEXT_COLUMNS, is_text
from infer.table.inputs import InputFile, Inputs
from infer.table.outputs import LocalTarget
from infer.table.parquet import ParquetInput, open_parquet
from infer.table.places import told
from infer.table.spool import Spooled, allow_open_files, as_parquet
from reporter.rows.columns import POSITION, TYPES, Asked, Found, convert, find_columns

_BATCH_BYTES: Final = 16 << 20
_BATCH_ROWS: Final = 122_880  # what DuckDB takes at once
_METADATA: Final = "sent."
CARRY: Final = "carry "

Numbers = npt.NDArray[np.int64]


class Field(NamedTuple):
    """A column that is read: what it is called here and in the file, its type here (None: any)."""

    name: str
    called: str
    kind: pa.DataType | None


@dataclass(frozen=True)
class ScoreFile:
    """One file of scores.

    Attributes:
        source: where it lies.
        columns: which of its columns are read.
        schema: of the whole file.
        rows: how many it has.
        start: the position of its first row among those of all files.
        metadata: what scoring wrote of itself: `sent.version`, `sent.model_sha256`, ….
    """

    source: InputFile
    columns: Found
    schema: pa.Schema
    rows: int
    start: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class Rows:
    """The rows of all files, in their order.

    Attributes:
        files: at least one.
        asked: the columns that were asked for.
        remarks: what a person should know of how they were found, a sentence each.
    """

    files: tuple[ScoreFile, ...]
    asked: Asked
    remarks: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(file.rows for file in self.files)

    @property
    def names(self) -> set[str]:
        """The columns that every file has, by what they are called here."""
        return set.intersection(*(set(file.columns.names) for file in self.files))

    @property
    def date_type(self) -> pa.DataType:
        """Timestamps, or strings where a file has dates written out."""
        called = (file.schema.field(file.columns.names["date"]).type for file in self.files)
        is_time = all(pa.types.is_date(k) or pa.types.is_timestamp(k) for k in called)
        return TYPES["date"] if is_time else pa.large_string()

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Return the types in which these columns are read, whatever the files have."""
        return pa.schema(
            [(name, self.date_type if name == "date" else TYPES[name]) for name in columns]
        )

    def stream(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Read these columns of all rows.

        Args:
            columns: of `names`, or the position.

        Raises:
            InputError: while it is read: a file is damaged, or a value cannot be used.
        """
        schema = self.schema(columns)
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for file in self.files:
            with open_parquet(file.source) as opened:
                yield from _read(file, opened, self.fields(file, schema.names))

    def take(self, positions: Iterable[int], columns: Sequence[str]) -> pa.Table:
        """Return some rows, in the order of their positions; only what is around them is read.

        Args:
            positions: from 0 to before `count`.
            columns: as in `stream`; or what a file calls a column, behind `CARRY`, which is read as
                it is.

        Raises:
            InputError: a file is damaged, or carried columns are of types that do not go together.
        """
        wanted = np.unique(np.fromiter(positions, np.int64))
        parts: list[pa.Table] = []
        for file in self.files:
            here = wanted[(wanted >= file.start) & (wanted < file.start + file.rows)]
            if len(here):
                with open_parquet(file.source) as opened:
                    parts += _taken(file, opened, here - file.start, self.fields(file, columns))
        names = [name.removeprefix(CARRY) for name in columns]
        try:
            whole = pa.concat_tables(parts, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(
                f"{self.files[0].source.name} and others: columns {', '.join(names)} have types "
                f"that do not go together ({told(error)}). Leave out the one that differs"
            ) from error
        return whole

    def fields(self, file: ScoreFile, columns: Sequence[str]) -> list[Field]:
        """Return how these columns of a file are read."""
        fields = []
        for name in columns:
            if name.startswith(CARRY):
                fields.append(Field(name, name.removeprefix(CARRY), None))
            else:
                kind = self.date_type if name == "date" else TYPES[name]
                fields.append(Field(name, file.columns.names.get(name, POSITION), kind))
        return fields


def open_rows(
    inputs: Inputs, asked: Asked, folder: Path, delimiter: str | None, texts: bool
) -> Rows:
    """Look at the columns of files of scores.

    Args:
        inputs: the files.
        asked: the columns to look at.
        folder: where to put the rows of files that are no Parquet, without a name.
        delimiter: what parts the fields of CSV; None: what a file's name and its looks say.
        texts: whether texts are looked at: where no column is named, `text`, else `review`.

    Raises:
        InputError: a file or column is missing, damaged, or no output of `sent-score`.
    """
    allow_open_files(inputs.files)
    found: list[tuple[InputFile, Opened]] = []
    errors: list[InputError] = []
    for source in inputs.files:
        try:
            read = as_parquet(source, folder, delimiter)
            found.append((read, _open(read)))
        except InputError as error:
            errors.append(error)
    all_at_once(errors, len(inputs.files), "files")
    if texts and asked.text is None:
        asked = replace(asked, text=_usual_text([opened.looks for _, opened in found]))
    files: list[ScoreFile] = []
    for source, opened in found:
        try:
            columns = find_columns(opened.looks, source.name, asked)
        except InputError as error:
            errors.append(error)
            continue
        start = files[-1].start + files[-1].rows if files else 0
        files.append(ScoreFile(source, columns, opened.schema, opened.rows, start, opened.metadata))
    all_at_once(errors, len(inputs.files), "files")
    for remark in inputs.remarks:
        say(remark)
    return Rows(tuple(files), asked, inputs.remarks)


def needs_texts(rows: Rows) -> None:
    """Refuse files without texts.

    Raises:
        InputError: there is no text column.
    """
    if rows.asked.text is None:
        raise InputError(
            f"{rows.files[0].source.name}: no column {' or '.join(map(repr, TEXT_COLUMNS))}, "
            "expected the texts beside their scores. Name it with --text-column; sent-score "
            "carries it over with --columns"
        )


def refuse_texts(rows: Rows) -> None:
    """Refuse to show the values of a column that has the texts: as groups, or as labels.

    Raises:
        UsageError: `--by` or `--label-column` names one.
    """
    for option, called in (("--by", rows.asked.group), ("--label-column", rows.asked.truth)):
        for file in rows.files:
            if called in _text_columns(file, rows.asked):
                raise UsageError(
                    f"{file.source.name}: column {called!r} has the texts, expected one whose "
                    f"values may be shown beside --no-texts. Name another with {option}, or leave "
                    "--no-texts out"
                )


def _text_columns(file: ScoreFile, asked: Asked) -> set[str | None]:
    """Return the columns that have texts: the one asked for, the one scored, the usual ones."""
    made = read_made(file.metadata.get(TASK_KEY))
    scored = None if made is None else made["content"].get("text column")
    usual = {name for name in TEXT_COLUMNS if name in file.schema.names}
    texts = {name for name in usual if is_text(file.schema.field(name).type)}
    return {name for name in (asked.text, scored, *texts) if isinstance(name, str)}


def _usual_text(schemas: Sequence[pa.Schema]) -> str | None:
    """Return the usual text column that all files have."""
    for name in TEXT_COLUMNS:
        if all(s.names.count(name) == 1 and is_text(s.field(name).type) for s in schemas):
            return name
    return None


class Opened(NamedTuple):
    """What a look into a file tells: its schema, that by its looks, rows, what scoring wrote."""

    schema: pa.Schema
    looks: pa.Schema
    rows: int
    metadata: dict[str, str]


def _open(source: InputFile) -> Opened:
    looks = source.looks if isinstance(source, Spooled) else None
    with open_parquet(source) as opened:
        metadata = _told(opened.schema.metadata or {})
        if looks is not None and source.status() is not None:
            note = read_note(LocalTarget(Path(source.name), Path(source.name).name))
            metadata = dict(note.metadata) if note is not None else {}
        return Opened(opened.schema, looks or opened.schema, opened.rows, metadata)


def _told(metadata: dict[bytes, bytes]) -> dict[str, str]:
    texts = {
        k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in metadata.items()
    }
    return {key: value for key, value in texts.items() if key.startswith(_METADATA)}


def _read(
    file: ScoreFile, opened: ParquetInput, fields: Sequence[Field], skip: int = 0
) -> Iterator[pa.RecordBatch]:
    """Read columns of a file's rows, from one on."""
    called = dict.fromkeys(field.called for field in fields if field.name != POSITION)
    position = file.start + skip
    for batch in opened.batches(list(called), _BATCH_BYTES, _BATCH_ROWS, skip):
        arrays = []
        for field in fields:
            if field.name == POSITION:
                arrays.append(pa.array(np.arange(position, position + batch.num_rows)))
                continue
            values = batch.column(field.called)
            with _usable(file.source.name, field.called):
                arrays.append(values if field.kind is None else convert(values, field.kind))
        position += batch.num_rows
        yield pa.RecordBatch.from_arrays(arrays, [field.name for field in fields])


@contextmanager
def _usable(name: str, column: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise InputError(f"{name}: column {column!r} cannot be used ({told(error)})") from error


def _taken(
    file: ScoreFile, opened: ParquetInput, wanted: Numbers, fields: Sequence[Field]
) -> Iterator[pa.Table]:
    """Read some rows of a file, by their numbers in it: a table for each batch that has one."""
    start = 0
    for group in range(opened.file.metadata.num_row_groups):
        position, start = start, start + opened.file.metadata.row_group(group).num_rows
        here = wanted[(wanted >= position) & (wanted < start)]
        if not len(here):
            continue
        for batch in _read(file, opened, fields, position):
            picked = here[(here >= position) & (here < position + batch.num_rows)] - position
            yield pa.table(batch.take(pa.array(picked)))
            position += batch.num_rows
            if position > here[-1]:
                break

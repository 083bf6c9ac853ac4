"""What a scoring job will do, checked against what is there before any model work.

Nothing heavy is imported here: a wrong path, column or type is told within a second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from infer.base.commit import NO_FILES, FileKey, file_keys, writable
from infer.base.console import say
from infer.base.errors import InputError, UsageError, all_at_once
from infer.base.words import counted
from infer.job.notes import note_of, read_note
from infer.job.pieces import PIECE_ROWS, Piece, check_no_others, cut, share, whole_files
from infer.job.shards import Shard
from infer.job.writers import check_types
from infer.model.risk import check_accuracy
from infer.table.columns import (
    RESULT_COLUMNS,
    TEXT_COLUMNS,
    Columns,
    NoTextColumnError,
    choose_columns,
)
from infer.table.formats import ENDINGS, PARQUET, find_format, has_known_ending
from infer.table.inputs import InputFile, Inputs, find_inputs
from infer.table.leaves import lost_meanings
from infer.table.outputs import Target, find_targets, open_output
from infer.table.parquet import ParquetInput, check_carried, open_parquet
from infer.table.spool import Spooled, allow_open_files, as_parquet

# Of an output's metadata: the fingerprints of the job that made it, and of its scores.
JOB_KEY: Final = "sent.job"


@dataclass(frozen=True)
class ScoreOptions:
    """What a scoring job is asked to do.

    Attributes:
        text_column: the column to score (None: the one that the model was trained on, else `text`,
            else `review`, else the only string one).
        columns: the columns to carry over (None: all but the text).
        prefix: put before the names of the new columns.
        delimiter: what parts the fields of CSV (None: what a file's name and its looks say).
        batch_tokens: padded tokens in a batch (None: the provider's default).
        part_rows: rows scored between two part files, at most what a kill can cost (None: the
            provider's default).
        shard: which share of the rows to score (None: all).
        piece_rows: rows of a large input that become one output at most (None: all rows, or the
            default where there are shards).
        probabilities: whether the probability of each label is written too.
        abstain_below: how often the labels that are marked as confident have to be right in
            validation (None: none are marked).
        explain: of how many rows, the first that have a score, it is told why (None: of none).
        parts: folder for the part files' folders (None: beside or within the output; for a URI, in
            the folder of this user's caches).
        overwrite: replace existing outputs.
        resume: go on from part files of the same job.

    Raises:
        UsageError: a number is below one, or no accuracy from 0.5 to 1.
    """

    text_column: str | None = None
    columns: tuple[str, ...] | None = None
    prefix: str = ""
    delimiter: str | None = None
    batch_tokens: int | None = None
    part_rows: int | None = None
    shard: Shard | None = None
    piece_rows: int | None = None
    probabilities: bool = False
    abstain_below: float | None = None
    explain: int | None = None
    parts: Path | None = None
    overwrite: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        """Refuse what the command's options refuse."""
        for name in ("batch_tokens", "part_rows", "piece_rows", "explain"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise UsageError(f"{name}: {number}, expected at least 1")
        if self.abstain_below is not None:
            check_accuracy(self.abstain_below)

    @property
    def rows_a_piece(self) -> int | None:
        """Rows of an input that become one output at most; None where files stay whole."""
        return self.piece_rows or (PIECE_ROWS if self.shard else None)


@dataclass(frozen=True)
class ModelFacts:
    """What a plan needs to know of the model.

    Attributes:
        text_column: the text column that it was trained on, where that is known.
        further: names of the columns that it makes behind score, prediction and status.
    """

    text_column: str | None = None
    further: tuple[str, ...] = ()


NOTHING_KNOWN: Final = ModelFacts()


@dataclass(frozen=True)
class Task:
    """Rows of one input and their output.

    Attributes:
        source: the input.
        identity: what it was when the job was planned (`InputFile.identity`).
        columns: which of its columns are read.
        rows: how many rows of it.
        output: the file to make.
        start: the number of the first row.
        is_piece: whether the input has more rows than these.
    """

    source: InputFile
    identity: Mapping[str, Any]
    columns: Columns
    rows: int
    output: Target
    start: int = 0
    is_piece: bool = False

    @property
    def end(self) -> int:
        """The number of the row behind the last one."""
        return self.start + self.rows

    @property
    def content(self) -> dict[str, Any]:
        """What the scores of this input depend on, beside model and settings: not its name."""
        identity = {key: value for key, value in self.identity.items() if key != "name"}
        rows = {"rows": [self.start, self.end]} if self.is_piece else {}
        return {"text column": self.columns.text, **rows, **identity}


@dataclass(frozen=True)
class Plan:
    """What a job will do, checked against what is there.

    Attributes:
        tasks: one for each input, or for each piece of this shard.
        parts: the folder of the job's part files.
        options: what was asked for.
        further: names of the outputs' columns behind score, prediction and status.
    """

    tasks: tuple[Task, ...]
    parts: Path
    options: ScoreOptions
    further: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all inputs."""
        return sum(task.rows for task in self.tasks)


def make_plan(
    sources: Sequence[str],
    output: str | Path,
    options: ScoreOptions,
    model: Path | None = None,
    facts: Callable[[], ModelFacts] = ModelFacts,
) -> Plan:
    """Look at every input and output, before any model work.

    Args:
        sources: files, folders, globs and URIs.
        output: file, or folder where the sources are several.
        options: what is asked for.
        model: the model file, which no output may replace.
        facts: tells what there is to know of the model; asked only when the rest is in order,
            since that takes a while.

    Raises:
        InputError: an input, column or type is wrong; all that are, at once.
        OutputError: an output may not be written.
    """
    inputs = find_inputs(sources)
    if options.rows_a_piece is not None:  # several files come out of one, too
        inputs = replace(inputs, single=False)
    shard = options.shard.parts_name if options.shard else ""
    where = open_output(output, options.parts, shard)
    with writable(where):
        targets = find_targets(inputs, where, str(output))
    for remark in inputs.remarks:
        say(remark)
    allow_open_files(inputs.files)
    with writable(where):
        pieces = _pieces(inputs, targets, options)
    read = [Path(file.path) for file in inputs.files if file.is_local]
    read += [model] if model is not None else []
    pieces = _readable(pieces, options)
    try:
        tasks, lost = _look_at(pieces, options)
    except NoTextColumnError:
        if _trained(options, facts) is None:
            raise
        tasks, lost = _look_at(pieces, options, facts())
    with writable(where):
        parts = where.check_parts(inputs.single)
        keys = file_keys(read)
        for task in tasks:
            check_task(task, options, keys)
    if (name := _trained(options, facts)) is not None or facts().further:
        tasks, lost = _look_at(pieces, options, facts())
    if count := sum(task.columns.text == name for task in tasks):
        say(f"Text column: {name!r}, which the model was trained on ({counted(count, 'file')}).")
    for warning in (*lost, *(_unknown_ending(targets[0]) if inputs.single else ())):
        say(warning)
    return Plan(tuple(tasks), parts, options, facts().further)


def _pieces(inputs: Inputs, targets: list[Target], options: ScoreOptions) -> list[Piece]:
    """Return what this run scores, and say which share of all that is."""
    if options.rows_a_piece is None:
        pieces = whole_files(inputs.files, targets)
    else:
        pieces = cut(inputs.files, targets, options.rows_a_piece, options.delimiter)
    check_no_others(pieces, targets, inputs.files)
    if options.shard is None:
        return pieces
    mine = share(pieces, options.shard)
    say(f"Shard {options.shard}: {len(mine):,} of {counted(len(pieces), 'piece')}.")
    return mine


def _unknown_ending(output: Target) -> list[str]:
    """Say that a file is written as Parquet though its name ends as if it were something else."""
    if not PurePosixPath(output.name).suffix or has_known_ending(output.name):
        return []
    return [f"{output}: is written as Parquet. A name's end tells another format: {ENDINGS}."]


def _readable(pieces: list[Piece], options: ScoreOptions) -> list[Piece]:
    """Return pieces of Parquet; what is of another format is read, once."""
    readable: list[Piece] = []
    errors: list[InputError] = []
    for piece in pieces:
        try:
            source = as_parquet(piece.source, piece.output.scratch, options.delimiter)
            readable.append(replace(piece, source=source))
        except InputError as error:
            errors.append(error)
    all_at_once(errors, len(pieces), "files")
    return readable


def _trained(options: ScoreOptions, facts: Callable[[], ModelFacts]) -> str | None:
    """Return the column that the model was trained on, where that may make a difference."""
    name = facts().text_column if options.text_column is None else None
    return None if name == TEXT_COLUMNS[0] else name


def _look_at(
    pieces: list[Piece], options: ScoreOptions, facts: ModelFacts = NOTHING_KNOWN
) -> tuple[list[Task], list[str]]:
    """Open each input, choose its columns, and find what of them will not be as it was."""
    warnings: dict[str, None] = {}  # of a file in several pieces, each once
    tasks: list[Task] = []
    errors: dict[str, InputError] = {}
    for piece in pieces:
        try:
            with open_parquet(piece.source) as file:
                task = _task(file, piece, options, facts)
                check_carried(file, task.columns.carried, task.start, task.end)
                lost = lost_meanings(file.leaves, file.schema, task.columns.carried)
        except InputError as error:
            errors.setdefault(piece.source.name, error)
            continue
        tasks.append(task)
        warnings |= dict.fromkeys(
            f"Warning: {piece.source.name}: column {change}, since Arrow has no such type. Leave "
            "it out (--columns) where that matters."
            for change in lost
        )
    all_at_once(list(errors.values()), len({piece.source.name for piece in pieces}), "files")
    return tasks, list(warnings)


def look_at(piece: Piece, options: ScoreOptions, facts: ModelFacts) -> Task:
    """Open a piece's input and choose its columns, without a look at their rows.

    Raises:
        InputError: it cannot be read, or has not the columns.
    """
    with open_parquet(piece.source) as file:
        return _task(file, piece, options, facts)


def _task(file: ParquetInput, piece: Piece, options: ScoreOptions, facts: ModelFacts) -> Task:
    source = piece.source
    looks = source.looks if isinstance(source, Spooled) else None
    columns = choose_columns(
        looks or file.schema,
        source.name,
        options.text_column,
        options.columns,
        options.prefix,
        facts.text_column,
        facts.further,
        is_typed=looks is None,
    )
    check_types(file.schema, columns.carried, piece.output.name, source.name)
    rows = file.rows if piece.rows is None else piece.rows
    is_piece = rows < file.rows
    return Task(source, source.identity(), columns, rows, piece.output, piece.start, is_piece)


def check_task(
    task: Task,
    options: ScoreOptions,
    inputs: Mapping[FileKey, Path] = NO_FILES,
    fingerprint: str | None = None,
    further: Sequence[str] = (),
) -> bool:
    """Say whether a task's output is there already, or refuse what may not be written.

    An output (or its note) carries the fingerprint of the job that made it, so it tells. Whoever
    rewrites it (with fewer rows, say) hands the fingerprint on with the rest of the schema's
    metadata, so it has to have the rows and the columns of the job as well.

    Args:
        task: an input and its output.
        options: whether to replace, and whether to go on from an earlier run.
        inputs: `file_keys` of what the output must not be.
        fingerprint: of this job and task; None before the model is known, when any job's will do.
        further: names of the columns behind score, prediction and status.

    Raises:
        OutputError: naming what is in the way and what to do.
    """
    found = _made_by(task.output)
    names = column_names(task, options, further)
    is_this = fingerprint is None or found == (fingerprint, task.rows, names)
    is_ours = options.resume and found is not None and is_this
    task.output.check(options.overwrite or is_ours, inputs)
    if find_format(task.output.name) is not PARQUET:
        note_of(task.output).check(overwrite=True)  # whose name is longer
    return is_ours


def column_names(task: Task, options: ScoreOptions, further: Sequence[str]) -> list[str]:
    """Return the names of an output's columns; `further` are those behind the usual three."""
    new = (options.prefix + column for column in (*RESULT_COLUMNS, *further))
    return [*task.columns.carried, *new]


def _made_by(output: Target) -> tuple[str, int, list[str]] | None:
    """Return the fingerprint of the job that made a file, its rows and columns; None without."""
    if not output.is_there():
        return None
    if find_format(output.name) is not PARQUET:
        note = read_note(output)
        return None if note is None else (note.metadata.get(JOB_KEY, ""), note.rows, note.columns)
    try:
        with output.open() as raw, pq.ParquetFile(raw) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except (OSError, pa.ArrowException):
        return None
    found = (schema.metadata or {}).get(JOB_KEY.encode())
    return None if found is None else (found.decode("utf-8", "replace"), rows, schema.names)

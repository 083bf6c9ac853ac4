"""Are all rows of all inputs in the outputs, once each, and as one job would have made them?

Nothing is believed but what lies there: which rows a file holds and what they were made of it says
itself, its pages carry checksums, and the inputs are looked at anew. What was found complete is
written down in a manifest, so that a later change is seen.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from infer import __version__
from infer.base.errors import InputError, OutputError
from infer.job.job import MACHINE, asked_of
from infer.job.made import TASK_KEY, Made, made_of, read_made
from infer.job.notes import hash_of, read_note
from infer.job.pieces import Piece, piece_of
from infer.job.plan import ModelFacts, ScoreOptions, Task, look_at
from infer.model.file import ModelFile
from infer.table.folders import why_not_data
from infer.table.formats import PARQUET, find_format, has_known_ending
from infer.table.inputs import find_inputs
from infer.table.outputs import Target, find_targets, open_output
from infer.table.parquet import open_parquet
from infer.table.spool import as_parquet

MANIFEST: Final = "_sent-manifest.json"  # its name hides it from what reads the folder
_READ_BYTES, _READ_ROWS = 16 << 20, 16_384


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        kind: `missing`, `doubled`, `foreign`, `damaged`, `changed input`, `changed output`,
            `other job`, `several machines`.
        message: the same in words, with names.
    """

    kind: str
    message: str


@dataclass
class Completeness:
    """What was found.

    Attributes:
        rows: of all inputs.
        inputs: name and rows of each, and which files hold them: place, first row, rows, bytes and
            SHA-256.
        problems: what is wrong; nothing where the job is complete.
        manifest: where that is written down; None where it is not.
        job: what all files have in common.
    """

    rows: int = 0
    inputs: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    manifest: str | None = None
    job: dict[str, Any] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether all rows are there, once each."""
        return not self.problems

    @property
    def files(self) -> int:
        """How many outputs hold rows of the inputs."""
        return sum(len(one["files"]) for one in self.inputs)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready object."""
        return {
            "complete": self.is_complete,
            "problems": [vars(problem) for problem in self.problems],
            "manifest": self.manifest,
            **self.to_manifest(),
        }

    def to_manifest(self) -> dict[str, Any]:
        """Return what is worth keeping of it: the same job gives the same."""
        return {
            "version": __version__,
            "rows": self.rows,
            "files": self.files,
            "job": self.job,
            "inputs": self.inputs,
        }


@dataclass(frozen=True)
class _Output:
    """An output that is there: which rows of its input it holds, and what it was made of."""

    target: Target
    start: int
    rows: int
    made: Made


def check_complete(
    sources: Sequence[str], output: str, options: ScoreOptions, file: ModelFile, facts: ModelFacts
) -> Completeness:
    """Look whether a job's outputs are complete; see the module's head.

    Args:
        sources: what `make_plan` was given.
        output: the file or folder that the job has written.
        options: what it was asked for; neither shards nor their pieces matter.
        file: the model's.
        facts: of it.

    Raises:
        InputError: an input is not there or cannot be read.
        OutputError: a folder is named where a file is due, or the other way round, or the manifest
            cannot be written.
    """
    inputs = find_inputs(sources)
    where = open_output(output, options.parts)
    if options.rows_a_piece is not None or where.is_folder():
        inputs = replace(inputs, single=False)
    targets = find_targets(inputs, where, output)
    there = [one for one in targets if one.is_there()] if inputs.single else list(where.made())
    report, held = Completeness(), _by_input(targets, there)
    report.problems += [
        Problem("foreign", f"{target}: is of no input of this job")
        for target in _foreign(there, held)
    ]
    asked = asked_of(file, options)
    for source, target in zip(inputs.files, targets, strict=True):
        whole = as_parquet(source, target.scratch, options.delimiter)
        task = look_at(Piece(whole, target), options, facts)
        expected = json.loads(made_of(options, task, asked))
        outputs = list(_outputs(held[target.place], task, expected, report.problems))
        report.problems += _gaps(task, outputs)
        report.rows += task.rows
        report.inputs.append(_entry(task, outputs, report.problems))
        _compare_machines(report, outputs)
    manifest = None if inputs.single else targets[0].at(MANIFEST)
    if manifest is not None:
        _compare_with(manifest, report)
        if report.is_complete:
            _write(manifest, report)
    return report


def _write(manifest: Target, report: Completeness) -> None:
    """Write down what was found complete.

    Raises:
        OutputError: that cannot be.
    """
    try:
        with manifest.create(overwrite=True) as temporary:
            temporary.write_text(json.dumps(report.to_manifest(), indent=1), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{manifest}: cannot be written ({error.strerror}), though all {report.rows:,} rows "
            "are there. Make room for it there, or get the right to write"
        ) from error
    report.manifest = str(manifest)


def _by_input(targets: Iterable[Target], there: Iterable[Target]) -> dict[str, list[Target]]:
    """Return which of the files that are there belong to which input, by its place."""
    held: dict[str, list[Target]] = {target.place: [] for target in targets}
    for target in there:
        piece = piece_of(target.name)
        places = [target.place, *([] if piece is None else [target.beside(piece[0]).place])]
        place = next((place for place in places if place in held), None)
        if place is not None:
            held[place].append(target)
    return held


def _foreign(there: Iterable[Target], held: Mapping[str, list[Target]]) -> Iterator[Target]:
    """Yield what whoever reads the folder would take for scores."""
    ours = {target for some in held.values() for target in some}
    for target in there:
        is_data = has_known_ending(target.name) and not why_not_data(
            PurePosixPath(target.place).parts
        )
        if is_data and target not in ours:
            yield target


def _outputs(
    targets: Iterable[Target], task: Task, expected: Made, problems: list[Problem]
) -> Iterator[_Output]:
    """Yield those of an input's outputs that are as they should be."""
    for target in targets:
        try:
            found = _read(target)
        except (OSError, pa.ArrowException) as error:
            problems.append(Problem("damaged", f"{target}: cannot be read ({error})"))
            continue
        if found is None:
            problems.append(
                Problem("other job", f"{target}: does not say which job made it, or was changed")
            )
            continue
        made, rows = found
        start, end = made["content"].get("rows", (0, task.rows))
        if (other := _difference(made, expected)) is not None:
            kind, words = other
            problems.append(Problem(kind, f"{target}: {words.format(task.source.name)}"))
        elif rows != end - start or start != _start_of(target, task):
            problems.append(Problem("damaged", f"{target}: holds {rows:,} rows, not its own"))
        else:
            yield _Output(target, start, rows, made)


def _start_of(target: Target, task: Task) -> int:
    """Return which row of its input a file begins with by its name."""
    piece = None if target.place == task.output.place else piece_of(target.name)
    return 0 if piece is None else piece[1]


def _read(target: Target) -> tuple[Made, int] | None:
    """Return what an output says that it was made of, and its rows; None where it does not say.

    Raises:
        OSError: it cannot be read.
        pa.ArrowException: it is no whole Parquet file.
    """
    task: str | bytes | None
    if find_format(target.name) is not PARQUET:
        note = read_note(target)
        task, rows = (None, 0) if note is None else (note.metadata.get(TASK_KEY), note.rows)
    else:
        with target.open() as raw, pq.ParquetFile(raw) as file:
            task = (file.schema_arrow.metadata or {}).get(TASK_KEY.encode())
            rows = int(file.metadata.num_rows)
    made = read_made(task)
    return None if made is None else (made, rows)


def _difference(made: Made, expected: Made) -> tuple[str, str] | None:
    """Say in what an output is not of this job: a kind of problem, and words for its input."""
    content = {key: value for key, value in made["content"].items() if key != "rows"}
    if content != expected["content"]:
        if content.get("text column") == expected["content"]["text column"]:
            return "changed input", "its input {} has changed since"
        return "other job", "was made of another text column of {}"
    keys = sorted((made.keys() | expected.keys()) - {"content", *MACHINE})
    if other := [key for key in keys if made.get(key) != expected.get(key)]:
        return "other job", f"was made by another job of {{}} (other: {', '.join(other)})"
    return None


def _gaps(task: Task, outputs: Iterable[_Output]) -> Iterator[Problem]:
    """Say which rows of an input are missing, and which are there more than once."""
    row, last, name = 0, None, task.source.name
    for one in sorted(outputs, key=lambda one: (one.start, one.rows)):
        if one.start > row:
            yield _missing(task, row, one.start)
        if last is not None and one.start < row:
            yield Problem(
                "doubled", f"{one.target}: holds rows of {name} that are in {last.target} too"
            )
        row, last = max(row, one.start + one.rows), one
    if row < task.rows or last is None:
        yield _missing(task, row, task.rows)


def _missing(task: Task, start: int, end: int) -> Problem:
    name, rows = task.source.name, f"rows {start:,} to {end - 1:,}"
    if (start, end) == (0, task.rows):
        return Problem("missing", f"{task.output}: is missing, all {end:,} rows of {name}")
    return Problem("missing", f"{task.output}: {rows} of {name} are missing")


def _entry(task: Task, outputs: Iterable[_Output], problems: list[Problem]) -> dict[str, Any]:
    """Return what there is to say of an input; its outputs are read to their ends."""
    files = []
    for one in outputs:
        try:
            size, digest = _read_through(one.target)
        except (InputError, OSError) as error:
            problems.append(Problem("damaged", f"{one.target}: is damaged ({error})"))
            continue
        files.append(
            {
                "place": one.target.place,
                "first_row": one.start,
                "rows": one.rows,
                "bytes": size,
                "sha256": digest,
            }
        )
    return {"name": task.source.name, "rows": task.rows, "content": task.content, "files": files}


def _read_through(target: Target) -> tuple[int, str]:
    """Return a file's bytes and hash, when all its pages have been read and their sums agree.

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


def _compare_machines(report: Completeness, outputs: Iterable[_Output]) -> None:
    """Notice where versions or devices are not those of the files before."""
    for one in outputs:
        job = {k: v for k, v in one.made.items() if k not in ("content", "columns")}
        report.job = report.job or job
        if other := [key for key in MACHINE if job.get(key) != report.job.get(key)]:
            words = [f"{key} {job.get(key)} and not {report.job.get(key)}" for key in other]
            report.problems.append(
                Problem("several machines", f"{one.target}: made with {', '.join(words)}")
            )


def _compare_with(manifest: Target, report: Completeness) -> None:
    """Notice what has changed since the same job was found complete."""
    with _nothing_where_unreadable(), manifest.open() as file:
        before = json.loads(file.read())
        if before["job"] != report.job:
            return
        known = {
            file["place"]: file["sha256"]
            for one in before["inputs"]
            if one["content"] in [now["content"] for now in report.inputs]
            for file in one["files"]
        }
        report.problems += [
            Problem(
                "changed output",
                f"{manifest.at(file['place'])}: is not what it was when {manifest} was written. "
                "Where that is meant, remove the manifest",
            )
            for one in report.inputs
            for file in one["files"]
            if known.get(file["place"], file["sha256"]) != file["sha256"]
        ]


@contextmanager
def _nothing_where_unreadable() -> Iterator[None]:
    """Take a manifest that is not there, or is none, for nothing."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return

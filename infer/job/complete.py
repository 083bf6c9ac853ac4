"""Are all rows of all inputs in the outputs, once each, and as one job would have made them?

Nothing is believed but what lies there: which rows a file holds and what they were made of it says
itself, its pages carry checksums, and the inputs are looked at anew.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from infer import __version__
from infer.base.commit import writable
from infer.base.errors import InputError
from infer.base.words import counted
from infer.job.existing import find_existing, first_row, read_output, read_through
from infer.job.job import MACHINE, asked_of
from infer.job.manifest import MANIFEST, changed_since, write_manifest
from infer.job.pieces import Piece
from infer.job.plan import ModelFacts, ScoreOptions, Task, column_names, look_at
from infer.job.provenance import Made, made_of
from infer.model.file import ModelFile
from infer.table.inputs import find_inputs
from infer.table.outputs import Target, find_targets, open_output
from infer.table.places import told
from infer.table.spool import as_parquet


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


Span = tuple[int, int]  # the first row, and the one behind the last


@dataclass(frozen=True)
class _Output:
    """A file that holds rows of an input, as it should."""

    target: Target
    made: Made
    span: Span


@dataclass(frozen=True)
class _Faulty:
    """A file that is not as it should be; no `span` where nothing tells which rows it is for."""

    problem: Problem
    span: Span | None


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
    with writable(where):
        if options.rows_a_piece is not None or where.is_folder():
            inputs = replace(inputs, single=False)
        targets = find_targets(inputs, where, output)
        found = [one for one in targets if one.is_there()] if inputs.single else where.made()
    there, report = find_existing(targets, found), Completeness()
    report.problems += [
        Problem("foreign", f"{target}: is of no input of this job") for target in there.foreign
    ]
    asked = asked_of(file, options)
    for source, target in zip(inputs.files, targets, strict=True):
        whole = as_parquet(source, target.scratch, options.delimiter)
        task = look_at(Piece(whole, target), options, facts)
        expected = json.loads(made_of(options, task, asked))
        columns = column_names(task, options, facts.further)
        judged = [_judge(one, task, expected, columns) for one in there.by_input[target.place]]
        _add(report, task, judged)
    if not inputs.single:
        _compare_with_before(report, targets[0].at(MANIFEST))
    return report


def _add(report: Completeness, task: Task, judged: Sequence[_Output | _Faulty]) -> None:
    """Add an input and the files that hold its rows."""
    outputs = [one for one in judged if isinstance(one, _Output)]
    report.problems += [one.problem for one in judged if isinstance(one, _Faulty)]
    report.problems += _doubled(task, outputs)
    report.problems += _missing(task, [one.span for one in judged if one.span is not None])
    report.rows += task.rows
    report.inputs.append(_entry(task, outputs, report.problems))
    _compare_machines(report, outputs)


def _compare_with_before(report: Completeness, manifest: Target) -> None:
    """Hold the files against the manifest, and write that anew where all is complete."""
    report.problems += [
        Problem(
            "changed output",
            f"{manifest.at(place)}: is not what it was when {manifest} was written. "
            "Where that is meant, remove the manifest",
        )
        for place in changed_since(manifest, report.to_manifest())
    ]
    if report.is_complete:
        write_manifest(manifest, report.to_manifest())
        report.manifest = str(manifest)


def _judge(target: Target, task: Task, expected: Made, columns: Sequence[str]) -> _Output | _Faulty:
    """Say whether an output is as it should be, by what it says of itself."""
    whole = (0, task.rows)
    by_name = whole if target == task.output else None
    try:
        found = read_output(target)
    except (OSError, pa.ArrowException) as error:
        return _Faulty(Problem("damaged", f"{target}: cannot be read ({told(error)})"), by_name)
    if found is None:
        words = "does not say which job made it, or was changed"
        return _Faulty(Problem("other job", f"{target}: {words}"), by_name)
    made, rows, names = found
    start, end = span = tuple(made["content"].get("rows", whole))
    if (other := _difference(made, expected)) is not None:
        kind, words = other
        return _Faulty(Problem(kind, f"{target}: {words.format(task.source.name)}"), span)
    if rows != end - start or start != first_row(target, task.output):
        words = f"holds {counted(rows, 'row')}, not its own"
        return _Faulty(Problem("damaged", f"{target}: {words}"), span)
    if names != columns:
        differing = ", ".join(sorted({*names} ^ {*columns})) or "their order"
        words = f"has other columns than it was made with ({differing})"
        return _Faulty(Problem("damaged", f"{target}: {words}"), span)
    return _Output(target, made, span)


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


def _doubled(task: Task, outputs: Iterable[_Output]) -> Iterator[Problem]:
    """Say which files hold rows of an input that are in another one too."""
    row, last, name = 0, None, task.source.name
    for one in sorted(outputs, key=lambda one: one.span):
        start, end = one.span
        if last is not None and start < row:
            yield Problem(
                "doubled", f"{one.target}: holds rows of {name} that are in {last.target} too"
            )
        row, last = max(row, end), one


def _missing(task: Task, spans: Iterable[Span]) -> Iterator[Problem]:
    """Say which rows of an input are missing: those for which no file is there, not a wrong one."""
    spans, row = sorted(spans), 0
    for start, end in spans:
        if row < min(start, task.rows):
            yield _gap(task, row, min(start, task.rows))
        row = max(row, end)
    if row < task.rows or not spans:
        yield _gap(task, row, task.rows)


def _gap(task: Task, start: int, end: int) -> Problem:
    name = task.source.name
    if (start, end) == (0, task.rows):
        return Problem("missing", f"{task.output}: is missing, {counted(end, 'row')} of {name}")
    if end - start == 1:
        return Problem("missing", f"{task.output}: row {start:,} of {name} is missing")
    rows = f"rows {start:,} to {end - 1:,}"
    return Problem("missing", f"{task.output}: {rows} of {name} are missing")


def _entry(task: Task, outputs: Iterable[_Output], problems: list[Problem]) -> dict[str, Any]:
    """Return what there is to say of an input; its outputs are read to their ends."""
    files = []
    for one in outputs:
        try:
            size, digest = read_through(one.target)
        except (InputError, OSError) as error:
            reason = str(error).removeprefix(f"{one.target}: ")
            problems.append(Problem("damaged", f"{one.target}: is damaged ({reason})"))
            continue
        start, end = one.span
        files.append(
            {
                "place": one.target.place,
                "first_row": start,
                "rows": end - start,
                "bytes": size,
                "sha256": digest,
            }
        )
    return {"name": task.source.name, "rows": task.rows, "content": task.content, "files": files}


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

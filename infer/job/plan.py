"""What a scoring job will do, checked against what is there before any model work.

Nothing heavy is imported here: a wrong path, column or type is told within a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infer.base.commit import check_folder, check_output, file_keys, writable
from infer.base.errors import InputError, all_at_once
from infer.job.parts import is_interrupted, parts_folder
from infer.table.columns import Columns, choose_columns
from infer.table.inputs import InputFile, Inputs, find_inputs, output_paths
from infer.table.leaves import lost_meanings
from infer.table.parquet import check_carried, open_parquet

DEFAULT_PART_ROWS: Final = 16_384


@dataclass(frozen=True)
class ScoreOptions:
    """What a scoring job is asked to do.

    Attributes:
        text_column: the column to score (None: `text`, else `review`, else the only string one).
        columns: the columns to carry over (None: all but the text).
        prefix: put before the names of the three new columns.
        batch_tokens: padded tokens in a batch (None: the provider's default).
        part_rows: rows scored between two part files, at most what a kill can cost.
        overwrite: replace existing outputs.
        resume: go on from part files of the same job.
    """

    text_column: str | None = None
    columns: tuple[str, ...] | None = None
    prefix: str = ""
    batch_tokens: int | None = None
    part_rows: int = DEFAULT_PART_ROWS
    overwrite: bool = False
    resume: bool = True


@dataclass(frozen=True)
class Task:
    """One input, the columns read from it, and its output."""

    source: InputFile
    columns: Columns
    output: Path
    rows: int


@dataclass(frozen=True)
class Plan:
    """What a job will do, checked against what is there.

    Attributes:
        tasks: one for each input.
        parts: the folder of the job's part files.
        options: what was asked for.
        remarks: what a person should know about the inputs, a line each.
    """

    tasks: tuple[Task, ...]
    parts: Path
    options: ScoreOptions
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all inputs."""
        return sum(task.rows for task in self.tasks)


def make_plan(
    sources: Sequence[str], output: str | Path, options: ScoreOptions, model: Path | None = None
) -> Plan:
    """Look at every input and output, before any model work.

    Args:
        sources: files, folders, globs and URIs.
        output: file, or folder where the sources are several.
        options: what is asked for.
        model: the model file, which no output may replace.

    Raises:
        InputError: an input, column or type is wrong; all that are, at once.
        OutputError: an output may not be written.
    """
    inputs = find_inputs(sources)
    output, named = Path(output), output
    with writable(output):
        paths = output_paths(inputs, named)
    tasks, remarks = _look_at(inputs, paths, options)
    read = [Path(file.path) for file in inputs.files if file.is_local]
    read += [model] if model is not None else []
    parts = parts_folder(output, inputs.single)
    with writable(output):
        check_folder(parts)
        # An output may stand there because the job that is resumed has committed it.
        may_exist = options.overwrite or (options.resume and is_interrupted(parts))
        keys = file_keys(read)
        for task in tasks:
            check_output(task.output, may_exist, keys)
    return Plan(tasks, parts, options, (*inputs.remarks, *remarks))


def _look_at(
    inputs: Inputs, paths: list[Path], options: ScoreOptions
) -> tuple[tuple[Task, ...], list[str]]:
    """Open each input, choose its columns, and say what of them will not be as it was."""
    tasks: list[Task] = []
    errors: list[InputError] = []
    remarks: list[str] = []
    for source, path in zip(inputs.files, paths, strict=True):
        try:
            with open_parquet(source) as file:
                columns = choose_columns(
                    file.schema, source.name, options.text_column, options.columns, options.prefix
                )
                tasks.append(Task(source, columns, path, file.rows))
                check_carried(file, columns.carried)
                lost = lost_meanings(file.leaves, file.schema, columns.carried)
        except InputError as error:
            errors.append(error)
        else:
            remarks += [
                f"Warning: {source.name}: column {change}, since Arrow has no such type. Leave it "
                "out (--columns) where that matters."
                for change in lost
            ]
    all_at_once(errors, len(inputs.files), "files")
    return tuple(tasks), remarks

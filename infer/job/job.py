"""A scoring job as one transaction: opened, its rows kept as they are scored, outputs committed.

An output is there or it is not: the file carries the fingerprint of the job that made it (input,
columns, model, settings), so the same command finds what it has done, in its last second too. Parts
stay to the end, so that an output can be written again with other columns.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import onnxruntime

from infer import __version__
from infer.base.errors import OutputError
from infer.job.crew import Crew
from infer.job.output import count_output, write_output
from infer.job.parts import PartKey, PartStore, is_interrupted, job_errors, locked, open_parts
from infer.job.plan import JOB_KEY, Plan, ScoreOptions, Task, check_task
from infer.job.provenance import TASK_KEY, fingerprint, made_of
from infer.job.summary import Counts
from infer.job.windows import Window
from infer.model.file import ModelFile
from infer.model.profile import PROFILE_KEY, PROFILE_VERSION
from infer.model.results import further_columns
from infer.model.scorer import Scorer
from infer.table.outputs import Target
from infer.text.tokenizer import spacy_version

# Those of the settings that a machine has, whatever is asked for.
MACHINE: Final = ("provider", "TF32", "toolkit version", "ONNX Runtime version", "spaCy version")


class Job:
    """What is done of a plan, and how more gets done; made by `open_job`."""

    def __init__(
        self, plan: Plan, scorer: Scorer | Crew, parts: PartStore, done: set[Target]
    ) -> None:
        """Take the parts of the plan's inputs; `done` are the outputs that are there."""
        self._plan, self._parts, self._done = plan, parts, done
        self._settings = settings_of(plan, scorer)
        self._labels = scorer.file.card.labels
        self._further = _further(plan, scorer)
        self._point = scorer.file.card.point(plan.options.abstain_below)
        parts.has_outputs = bool(done)
        for task in plan.tasks:
            parts.drop_older(self._key(task))

    def is_done(self, task: Task) -> bool:
        """Whether the task's output is there."""
        return task.output in self._done

    def rows(self, task: Task) -> int:
        """Return how many rows of an input are scored, counted from its first."""
        return task.rows if self.is_done(task) else self._parts.rows(self._key(task))

    def keep(self, task: Task, window: Window) -> None:
        """Keep the scores of an input's next rows; durable when this returns."""
        self._parts.add(self._key(task), self.rows(task), window.scores, window.profile)

    def commit(self, task: Task) -> Counts:
        """Write a task's output from its kept scores, unless it is there, and count its rows.

        Raises:
            OutputError: a file appeared there meanwhile.
            InputError: the input is not what it was.
            OSError: the disk is full or failing.
        """
        if self.is_done(task):
            task.output.tidy()  # the second name of a file just linked
            return count_output(task.output, self._plan.options, self._labels)
        try:
            counts = self._write(task)
        except OutputError:
            if not self._is_made_elsewhere(task):
                raise
            counts = count_output(task.output, self._plan.options, self._labels)
        self._done.add(task.output)
        self._parts.has_outputs = True
        return counts

    def _write(self, task: Task) -> Counts:
        """Write a task's output."""
        profile = self._parts.profile(self._key(task), self._labels)
        metadata = {
            JOB_KEY: fingerprint(self._plan.options, task, self._settings),
            TASK_KEY: made_of(self._plan.options, task, self._settings),
            "sent.model_sha256": self._settings["model"],
            "sent.version": __version__,
            "sent.provider": self._settings["provider"],
            PROFILE_KEY: profile.to_text(),
        }
        scores = self._parts.read(self._key(task))
        return write_output(
            task, scores, self._labels, self._further, self._plan.options, metadata, self._point
        )

    def _is_made_elsewhere(self, task: Task) -> bool:
        """Whether what appeared is what this job would have made, as a run of other shards does."""
        try:
            return _is_there(self._plan, task, self._settings)
        except OutputError:
            return False

    def finish(self) -> None:
        """Drop the parts: all outputs are there."""
        for task in self._plan.tasks:
            self._parts.drop(self._key(task))

    def _key(self, task: Task) -> PartKey:
        return PartKey.of(task.output.place, task.content)


@contextmanager
def open_job(plan: Plan, scorer: Scorer | Crew) -> Iterator[Job]:
    """Begin a job, or go on with one: nobody else writes its outputs meanwhile.

    Raises:
        OutputError: another run is writing them, or one is there and may not be replaced; the
            progress of whatever job was interrupted there is not touched.
        JobError: the disk is full, or an input cannot be read on; the notes say what is kept.
    """
    settings = settings_of(plan, scorer)
    with locked(plan.parts):
        done = _outputs_there(plan, settings)
        with open_parts(plan.parts, settings, plan.options.resume) as parts, job_errors():
            job = Job(plan, scorer, parts, done)
            yield job
            job.finish()


def _outputs_there(plan: Plan, settings: Mapping[str, Any]) -> set[Target]:
    """Return the outputs that this job need not make."""
    there = {task.output for task in plan.tasks if _is_there(plan, task, settings)}
    # Who asks to replace outputs means those of finished jobs, not what this one has just made.
    return there if not plan.options.overwrite or is_interrupted(plan.parts) else set()


def _is_there(plan: Plan, task: Task, settings: Mapping[str, Any]) -> bool:
    """Whether a task's output is there as this job would make it."""
    return check_task(
        task,
        plan.options,
        fingerprint=fingerprint(plan.options, task, settings),
        further=plan.further,
    )


def settings_of(plan: Plan, scorer: Scorer | Crew) -> dict[str, Any]:
    """Return what every score of a job depends on, beside its own input."""
    machine = (
        scorer.session.provider,
        scorer.session.tf32,
        __version__,
        onnxruntime.__version__,
        spacy_version(),
    )
    return {**asked_of(scorer.file, plan.options), **dict(zip(MACHINE, machine, strict=True))}


def asked_of(file: ModelFile, options: ScoreOptions) -> dict[str, Any]:
    """Return those of the settings that are the same on every machine."""
    further = further_columns(file.card, options.probabilities)
    return {
        **({"further": list(further)} if further else {}),
        "model": file.sha256,
        "batch tokens": options.batch_tokens or "default",
        "part rows": options.part_rows or "default",
        "profile": PROFILE_VERSION,
    }


def _further(plan: Plan, scorer: Scorer | Crew) -> tuple[str, ...]:
    return further_columns(scorer.file.card, plan.options.probabilities)

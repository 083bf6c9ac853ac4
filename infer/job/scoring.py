"""The scorer's main path: read → encode → batch → run → keep → write.

Scores first: each input's text column is read in windows in one thread and encoded in another,
beside the model, run in batches of like length, and kept as part files. Worker processes take whole
windows and do the same. Then the output is written in one pass from the carried columns and the
parts, and takes its name in one rename.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

import pyarrow as pa

from infer.base.console import progress, say
from infer.base.errors import InputError
from infer.base.prefetch import prefetch
from infer.base.words import counted
from infer.job.crew import Crew
from infer.job.job import open_job
from infer.job.plan import Plan, Task
from infer.job.summary import Seconds, Summary
from infer.job.windows import Advance, Window, score_window
from infer.model.cuda import CUDA
from infer.model.scorer import Scorer
from infer.model.session import CPU
from infer.table.parquet import ParquetInput, open_parquet, text_windows
from infer.text.encoding import EncodedTexts
from infer.text.scripts import misfit
from infer.text.tokenizer import other_spacy

# Rows in a window. The more there are, the more alike are the lengths of a batch: a GPU's batches
# are so large that of 16,384 rows they would be padded by 4.9 %.
PART_ROWS: Final = {CPU: 16_384, CUDA: 65_536}
WINDOW_BYTES: Final = {CPU: 16 << 20, CUDA: 96 << 20}
# While one window's last batches run, the next one's first ones do: the device does not wait.
WINDOWS_AT_ONCE: Final = 2
READ_AHEAD: Final = 1  # windows of text that wait to be encoded
T = TypeVar("T")


def score_plan(plan: Plan, scorer: Scorer | Crew) -> Summary:
    """Score a plan: the same rows in the same order, with score, prediction and status.

    Args:
        plan: what `make_plan` returned.
        scorer: the model on its device, in this process or in others; where the job fails it is
            stopped, and of no more use.

    Raises:
        OutputError: another run is writing this output, or it exists.
        JobError: the disk is full, or an input cannot be read on; part files are kept and named.
    """
    if other := other_spacy(scorer.file.card.text):
        say(other)
    summary = Summary.of(scorer, plan.options.abstain_below)
    with (
        summary.seconds.measure("total"),
        open_job(plan, scorer) as job,
        progress("Scoring", plan.rows, "reviews") as advance,
    ):
        tasks = [(task, job.rows(task)) for task in plan.tasks]
        summary.resumed_rows = sum(start for _, start in tasks)
        advance(summary.resumed_rows)
        # Worker processes go on with the next input while this one writes an output; one process
        # has its memory for one thing at a time.
        for some in [tasks] if isinstance(scorer, Crew) else [[one] for one in tasks]:
            windows = _windows(plan, some, scorer, summary.seconds)
            with _scored(scorer, windows, plan.options.probabilities, advance) as running:
                for task, future in running:
                    if future is not None:
                        window = future.result()
                        job.keep(task, window)
                        summary.add(window)
                        continue
                    with summary.seconds.measure("write"):
                        summary.count(task.source.name, task.output, job.commit(task))
    summary.finish(scorer)
    return summary


def _windows(
    plan: Plan, tasks: list[tuple[Task, int]], scorer: Scorer | Crew, seconds: Seconds
) -> Iterator[tuple[Task, pa.Array | None]]:
    """Read inputs window by window, each from a row on; None stands behind its last one.

    Raises:
        InputError: one cannot be read on, or has not the rows that its footer counts.
    """
    for task, start in tasks:
        if start < task.rows:
            with open_parquet(task.source) as file:
                for texts in _texts(file, plan, task, scorer, start, seconds):
                    start += len(texts)
                    yield task, texts
            if start != task.rows:
                raise InputError(
                    f"{task.source.name}: {counted(start, 'row')} read, its footer has "
                    f"{task.rows:,}"
                )
        yield task, None


def _texts(
    file: ParquetInput,
    plan: Plan,
    task: Task,
    scorer: Scorer | Crew,
    skip: int,
    seconds: Seconds,
) -> Iterator[pa.Array]:
    """Read an input window by window."""
    provider = scorer.session.provider
    rows = plan.options.part_rows or PART_ROWS[provider]
    windows = text_windows(
        file, task.columns.text, rows, task.start + skip, WINDOW_BYTES[provider], task.end
    )
    is_first = task is plan.tasks[0]
    while True:
        with seconds.measure("read"):
            texts = next(windows, None)
        if texts is None:
            return
        if is_first:
            _say_misfit(texts, task, scorer)
            is_first = False
        yield texts


def _say_misfit(texts: pa.Array, task: Task, scorer: Scorer | Crew) -> None:
    """Say, once for a job, that its first texts are not of the script that the model learned."""
    if found := misfit(texts, scorer.file.card.text.language):
        say(
            f"Warning: {task.source.name}: {found}. Score such texts with a model that was trained "
            "on them (sent-train --language)"
        )


@contextmanager
def _scored(
    scorer: Scorer | Crew,
    windows: Iterator[tuple[Task, pa.Array | None]],
    probabilities: bool,
    advance: Advance,
) -> Iterator[Iterator[tuple[Task, Future[Window] | None]]]:
    """Score windows, the next ones meanwhile; the scorer is stopped where this is left early.

    Args:
        scorer: the model, in this process or in others.
        windows: texts and the input that they are of.
        probabilities: whether the probability of each label is told too.
        advance: is told how many rows more are scored, in several threads.
    """
    if isinstance(scorer, Crew):
        with scorer.scored(windows, advance) as running:
            yield running
        return
    with (
        _read_ahead(windows, scorer) as ahead,
        ThreadPoolExecutor(WINDOWS_AT_ONCE, "window") as pool,
        prefetch(
            (
                (
                    task,
                    encoded and pool.submit(score_window, scorer, *encoded, probabilities, advance),
                )
                for task, encoded in _encoded(ahead, scorer)
            ),
            WINDOWS_AT_ONCE - 1,
            scorer.stop,
        ) as running,
    ):
        yield running


@contextmanager
def _read_ahead(windows: Iterator[T], scorer: Scorer) -> Iterator[Iterator[T]]:
    """Read in a thread of its own where the device is so fast that a tenth of the time shows.

    On the CPU the model takes the time, and a window more may be 100 MB more.
    """
    if scorer.session.provider == CPU:
        yield windows
        return
    with prefetch(windows, READ_AHEAD) as ahead:
        yield ahead


def _encoded(
    windows: Iterator[tuple[Task, pa.Array | None]], scorer: Scorer
) -> Iterator[tuple[Task, tuple[EncodedTexts, float] | None]]:
    """Encode window by window, in the thread beside the model, and say how long each took."""
    for task, texts in windows:
        if texts is None:
            yield task, None
            continue
        began = time.perf_counter()
        encoded = scorer.encode(texts)
        yield task, (encoded, time.perf_counter() - began)

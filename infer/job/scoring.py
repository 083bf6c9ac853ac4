"""The scorer's main path: read → encode → batch → run → keep → write.

Scores first: each input's text column is read in windows in one thread and encoded in another,
beside the model, run in batches of like length, and kept as part files. Then the output is written
in one pass from the carried columns and the parts, and takes its name in one rename.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from infer.base.console import progress, say
from infer.base.errors import InputError
from infer.base.prefetch import prefetch
from infer.job.job import open_job
from infer.job.plan import Plan, Task
from infer.job.summary import Seconds, Summary
from infer.model.cuda import CUDA
from infer.model.results import Scores
from infer.model.scorer import Scorer
from infer.model.session import CPU
from infer.table.parquet import ParquetInput, open_parquet, text_windows
from infer.text.batching import Rows
from infer.text.encoding import EncodedTexts
from infer.text.tokenizer import other_spacy

# Rows in a window. The more there are, the more alike are the lengths of a batch: a GPU's batches
# are so large that of 16,384 rows they would be padded by 4.9 %.
PART_ROWS: Final = {CPU: 16_384, CUDA: 65_536}
WINDOW_BYTES: Final = {CPU: 16 << 20, CUDA: 96 << 20}
# While one window's last batches run, the next one's first ones do: the device does not wait.
WINDOWS_AT_ONCE: Final = 2
READ_AHEAD: Final = 1  # windows of text that wait to be encoded


@dataclass(frozen=True)
class Window:
    """Consecutive rows that were scored, with the tokens that were run, and the same padded."""

    scores: Scores
    tokens: int
    padded_tokens: int


def score_plan(plan: Plan, scorer: Scorer) -> Summary:
    """Score Parquet files: the same rows in the same order, with score, prediction and status.

    Args:
        plan: what `make_plan` returned.
        scorer: the model on its device; where the job fails it is stopped, and of no more use.

    Raises:
        OutputError: another run is writing this output, or it exists.
        JobError: the disk is full, or an input cannot be read on; part files are kept and named.
    """
    if other := other_spacy(scorer.file.card.text):
        say(other)
    summary = Summary.of(scorer)
    with (
        summary.seconds.measure("total"),
        open_job(plan, scorer) as job,
        progress("Scoring", plan.rows, "reviews") as advance,
    ):
        for task in plan.tasks:
            done = job.rows(task)
            summary.resumed_rows += done
            advance(done)
            with closing(score_rows(plan, task, scorer, done, summary.seconds, advance)) as windows:
                for window in windows:
                    job.keep(task, window.scores)
                    summary.add(window.tokens, window.padded_tokens)
            with summary.seconds.measure("write"):
                summary.count(task.source.name, task.output, job.commit(task))
    summary.finish(scorer)
    return summary


def score_rows(
    plan: Plan,
    task: Task,
    scorer: Scorer,
    start: int,
    seconds: Seconds,
    advance: Callable[[int], object],
) -> Generator[Window]:
    """Score an input's rows from `start` on, window by window, the next ones meanwhile.

    Args:
        plan: the whole job.
        task: its input.
        scorer: the model; stopped where this is left early.
        start: rows left out.
        seconds: gets the time of reading and encoding.
        advance: is told how many rows more are scored, in several threads.
    """
    if start == task.rows:
        return
    with (
        open_parquet(task.source) as file,
        _read_ahead(_texts(file, plan, task, scorer, start, seconds), scorer) as texts,
        ThreadPoolExecutor(WINDOWS_AT_ONCE, "window") as pool,
        prefetch(
            (
                pool.submit(_score_window, plan, scorer, encoded, advance)
                for encoded in _encoded(texts, scorer, seconds)
            ),
            WINDOWS_AT_ONCE - 1,
            scorer.stop,
        ) as running,
    ):
        for future in running:
            window = future.result()
            start += len(window.scores)
            yield window
    if start != task.rows:
        raise InputError(f"{task.source.name}: {start:,} rows read, its footer has {task.rows:,}")


def _score_window(
    plan: Plan, scorer: Scorer, encoded: EncodedTexts, advance: Callable[[int], object]
) -> Window:
    """Score one window, in a thread of its own."""
    lengths, (run, tokens, padded) = encoded.lengths, (0, 0, 0)

    def count(rows: Rows) -> None:
        nonlocal run, tokens, padded
        run += len(rows)
        tokens += int(lengths[rows].sum())
        padded += len(rows) * int(lengths[rows].max())
        advance(len(rows))

    scores = scorer.score(encoded, count, plan.options.probabilities)
    advance(len(encoded) - run)  # what has no tokens, or those of another row
    return Window(scores, tokens, padded)


def _texts(
    file: ParquetInput, plan: Plan, task: Task, scorer: Scorer, skip: int, seconds: Seconds
) -> Iterator[pa.Array]:
    """Read window by window, in the encoder's thread or one of its own."""
    provider = scorer.session.provider
    rows = plan.options.part_rows or PART_ROWS[provider]
    windows = text_windows(file, task.columns.text, rows, skip, WINDOW_BYTES[provider])
    while True:
        with seconds.measure("read"):
            texts = next(windows, None)
        if texts is None:
            return
        yield texts


@contextmanager
def _read_ahead(texts: Iterator[pa.Array], scorer: Scorer) -> Iterator[Iterator[pa.Array]]:
    """Read in a thread of its own where the device is so fast that a tenth of the time shows.

    On the CPU the model takes the time, and a window more may be 100 MB more.
    """
    if scorer.session.provider == CPU:
        yield texts
        return
    with prefetch(texts, READ_AHEAD) as ahead:
        yield ahead


def _encoded(
    windows: Iterator[pa.Array], scorer: Scorer, seconds: Seconds
) -> Iterator[EncodedTexts]:
    """Encode window by window, in the thread beside the model."""
    for texts in windows:
        with seconds.measure("encode"):
            encoded = scorer.encode(texts)
        yield encoded

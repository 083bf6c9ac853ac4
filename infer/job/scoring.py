"""The scorer's main path: read → encode → batch → run → write.

Scores first: each input's text column is read in windows, encoded in a thread beside the model,
run in batches of like length (on the CPU one on each core), and kept as part files. Then the output
is written in one pass from the carried columns and the parts, and takes its name in one rename.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from infer import __version__
from infer.base.commit import check_output
from infer.base.errors import InputError, SentError
from infer.base.prefetch import prefetch
from infer.job.output import CompletedScores, OutputOptions, is_committed, write_output
from infer.job.parts import PartStore, Scores, job_errors, open_parts
from infer.job.plan import Plan, Task
from infer.job.summary import Summary
from infer.model.file import ModelFile
from infer.model.session import CPU, OutOfMemoryError, Session
from infer.table.parquet import ParquetInput, open_parquet, text_windows
from infer.text.batching import pad, plan_batches
from infer.text.encoding import EncodedTexts, Encoder, concatenate
from infer.text.tokenizer import other_spacy, spacy_version

ENCODED_AT_ONCE: Final = 4_096
AHEAD: Final = 6
NO_ROWS: Final = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Listener:
    """Is told how a job goes on: a line to say, or so many more rows scored."""

    say: Callable[[str], None] = lambda message: None
    advance: Callable[[int], None] = lambda rows: None


def score_files(
    plan: Plan, model: ModelFile, session: Session, listener: Listener | None = None
) -> Summary:
    """Score Parquet files: the same rows in the same order, with score, prediction and status.

    Args:
        plan: what `make_plan` returned.
        model: the model file.
        session: its graph on a device.
        listener: is told how it goes.

    Raises:
        OutputError: another run is writing this output, or it exists.
        JobError: the disk is full, or an input cannot be read on; part files are kept and named.
    """
    listener = listener or Listener()
    if other := other_spacy(model.card.text):
        listener.say(other)
    summary = Summary(plan.options.batch_tokens or session.batch_tokens)
    job = _job(plan, model, session, summary.batch_tokens)
    provenance = {
        "sent.model_sha256": model.sha256,
        "sent.version": __version__,
        "sent.provider": session.provider,
    }
    with (
        summary.seconds.measure("total"),
        open_parts(
            plan.parts, job, plan.options.resume, listener.say, lambda: _check_outputs(plan)
        ) as parts,
        job_errors(),
        session.side_by_side() as executor,
    ):
        _check_outputs(plan, parts)
        scorer = Scorer(session, executor, model, summary, listener)
        for index, task in enumerate(plan.tasks):
            scorer.score_input(index, task, parts, plan.options.part_rows)
            with summary.seconds.measure("write"):
                counts = write_output(
                    task.source,
                    task.columns,
                    task.output,
                    CompletedScores(parts, index, job["inputs"][index], model.card.labels),
                    OutputOptions(plan.options.prefix, plan.options.overwrite, provenance),
                )
            summary.count(task.source.name, task.output, counts)
    return summary


def _check_outputs(plan: Plan, parts: PartStore | None = None) -> None:
    """Refuse, before the work, an output that stands there and is not of this job."""
    for index, task in enumerate(plan.tasks):
        if parts is None or not is_committed(task.output, parts, index):
            check_output(task.output, plan.options.overwrite)


@dataclass(frozen=True)
class _Done:
    """A batch that was run: its logits (B,) float32, and how many seconds it took."""

    logits: npt.NDArray[np.float32]
    seconds: float


class Scorer:
    """Scores inputs one after another; remembers what they teach (chunks, a budget that fits)."""

    def __init__(
        self,
        session: Session,
        executor: Executor,
        model: ModelFile,
        summary: Summary,
        listener: Listener,
    ) -> None:
        """Prepare the encoder for the model's text settings and vocabulary."""
        self._session = session
        self._executor = executor
        self._temperature = model.card.temperature
        self._encoder = Encoder(model.card.text, model.card.vocabulary)
        self._summary = summary
        self._listener = listener

    def score_input(self, index: int, task: Task, parts: PartStore, part_rows: int) -> None:
        """Score the rows of one input that no part holds yet, a part at a time."""
        start = parts.rows(index)
        self._summary.resumed_rows += start
        self._listener.advance(start)
        with (
            open_parquet(task.source) as file,
            prefetch(
                self._encoded(file, task, part_rows, start), AHEAD, self._encoder.stop
            ) as slices,
        ):
            window: list[EncodedTexts] = []
            for encoded, ends_window in slices:
                window.append(encoded)
                if ends_window:
                    scores = self.score_window(concatenate(window))
                    parts.add(index, start, scores)
                    start += len(scores)
                    window = []
        if start != task.rows:
            raise InputError(
                f"{task.source.name}: {start:,} rows read, its footer has {task.rows:,}"
            )

    def score_window(self, encoded: EncodedTexts) -> Scores:
        """Run one window's rows in batches of like length and put them back in order."""
        scores = np.full(len(encoded), np.nan, np.float32)
        left = np.flatnonzero(encoded.lengths)
        self._listener.advance(len(encoded) - len(left))
        while len(left):
            planned = plan_batches(encoded.lengths[left], self._summary.batch_tokens)
            batches = [left[rows] for rows in planned]
            too_large = [NO_ROWS]
            for rows, done in zip(batches, self._run_all(encoded, batches), strict=True):
                if done is None:
                    too_large.append(rows)
                    continue
                scores[rows] = probability(done.logits, self._temperature)
                self._count(encoded.lengths[rows], done)
            left = np.concatenate(too_large)
            if len(left):
                self._shrink(encoded.lengths[too_large[1]])
        return Scores(scores, encoded.statuses)

    def _run_all(
        self, encoded: EncodedTexts, batches: list[npt.NDArray[np.int64]]
    ) -> Iterator["_Done | None"]:
        """Run batches side by side, results in order; None where the device has no room."""
        return self._executor.map(lambda rows: self._run(encoded, rows), batches)

    def _run(self, encoded: EncodedTexts, rows: npt.NDArray[np.int64]) -> "_Done | None":
        """Run one batch, in a thread of the executor."""
        input_ids, lengths = pad(encoded, rows)
        began = time.perf_counter()
        try:
            logits = self._session.run(input_ids, lengths)
        except (OutOfMemoryError, MemoryError):
            return None
        if not np.isfinite(logits).all():
            raise SentError("the model gave a logit that is not a number; the model file is faulty")
        return _Done(logits, time.perf_counter() - began)

    def _count(self, lengths: npt.NDArray[np.int64], done: "_Done") -> None:
        """Add a batch that was run to the job's figures."""
        self._summary.tokens += int(lengths.sum())
        self._summary.padded_tokens += len(lengths) * int(lengths.max())
        self._summary.seconds.run += done.seconds / self._session.at_once
        self._listener.advance(len(lengths))

    def _encoded(
        self, file: ParquetInput, task: Task, part_rows: int, skip: int
    ) -> Iterator[tuple[EncodedTexts, bool]]:
        """Read and encode, in the thread beside the model: slices, and whether a window ends."""
        seconds = self._summary.seconds
        windows = text_windows(file, task.columns.text, part_rows, skip)
        while True:
            with seconds.measure("read"):
                texts = next(windows, None)
            if texts is None:
                return
            for first in range(0, len(texts), ENCODED_AT_ONCE):
                with seconds.measure("encode"):
                    encoded = self._encoder.encode(texts.slice(first, ENCODED_AT_ONCE))
                yield encoded, first + ENCODED_AT_ONCE >= len(texts)

    def _shrink(self, lengths: npt.NDArray[np.int64]) -> None:
        """Halve the token budget after the device ran out of memory; it stays halved."""
        if len(lengths) == 1:
            remedy = "Use --threads 1" if self._session.provider == CPU else "Use --device cpu"
            raise SentError(f"the device has no room for a single review. {remedy}")
        size = min(self._summary.batch_tokens, len(lengths) * int(lengths.max()))
        self._summary.batch_tokens = max(1, size // 2)
        self._listener.say(
            f"Out of device memory: going on with {self._summary.batch_tokens:,} tokens a batch."
        )


def probability(logits: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """Return the probability of the positive label: (B,) float32 logits → (B,) float32."""
    halves = logits.astype(np.float64) / (2 * temperature)
    return (0.5 * (1 + np.tanh(halves))).astype(np.float32)  # the sigmoid, without overflow


def _job(plan: Plan, model: ModelFile, session: Session, batch_tokens: int) -> dict[str, Any]:
    """Return everything that the results depend on: what part files are bound to."""
    return {
        "inputs": [task.source.identity() for task in plan.tasks],
        "model": model.sha256,
        "text columns": [task.columns.text for task in plan.tasks],
        "columns": [list(task.columns.carried) for task in plan.tasks],
        "prefix": plan.options.prefix,
        "batch tokens": batch_tokens,
        "part rows": plan.options.part_rows,
        "provider": session.provider,
        "TF32": session.tf32,
        "toolkit version": __version__,
        "ONNX Runtime version": onnxruntime.__version__,
        "spaCy version": spacy_version(),
    }

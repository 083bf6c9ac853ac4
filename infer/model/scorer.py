"""A model file on a device: texts → scores, in batches that fit.

Legend: R texts, U distinct token sequences, B rows, T tokens, K labels.

What a job, a service and a notebook score with; safe from several threads.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import say
from infer.base.errors import SentError
from infer.model.file import ModelFile
from infer.model.probability import has_values, row_shape
from infer.model.repeats import Known, distinct
from infer.model.results import Scores, make_scores
from infer.model.session import CPU, OutOfMemoryError, Session
from infer.text.batching import Logits, Rows, plan_batches, run_in_batches
from infer.text.encoding import EncodedTexts, Encoder, EncodingStopped, encode_all
from infer.text.tokenizer import Spans


class Scorer:
    """Scores texts with one model on one device; remembers chunks, and a budget that fits.

    Attributes:
        file: the model file.
        session: its graph on a device.
        batch_tokens: padded tokens in a batch; halved where the device runs out of memory.
        seconds: time within the model, divided by the batches that may run side by side.
    """

    def __init__(self, file: ModelFile, session: Session, batch_tokens: int | None = None) -> None:
        """Prepare the encoder for the model's text settings and vocabulary.

        Args:
            file: the model file.
            session: its graph on a device.
            batch_tokens: padded tokens in a batch (None: what suits the device).
        """
        self.file = file
        self.session = session
        self.batch_tokens = batch_tokens or session.batch_tokens
        self.seconds = 0.0
        self._shape = row_shape(len(file.card.labels))
        self._encoder = Encoder(file.card.text, file.card.vocabulary)
        self._known = Known(self._shape) if _stands_alone(file, session) else None
        self._executor = ThreadPoolExecutor(session.at_once, "model")
        self._lock, self._alone = threading.Lock(), threading.Lock()
        self._slots = threading.Semaphore(session.at_once)
        self._is_stopped = False

    def encode(self, texts: pa.Array) -> EncodedTexts:
        """Turn texts (R,) of any string or binary type into token ids and statuses.

        Raises:
            EncodingStopped: `stop` was called.
        """
        return encode_all(self._encoder, texts)

    def score(
        self,
        encoded: EncodedTexts,
        done: Callable[[Rows], object] = lambda rows: None,
        probabilities: bool = False,
    ) -> Scores:
        """Score encoded texts, see `logits`.

        Args:
            encoded: R texts.
            done: see `logits`.
            probabilities: whether the probability of each label is told too.

        Raises:
            SentError, EncodingStopped: see `logits`.
        """
        logits = self.logits(encoded, done)
        return make_scores(logits, encoded.statuses, self.file.card, probabilities)

    def spans(self, text: str) -> Spans:
        """Say where the tokens of one text stand in it, those too that `encode` leaves out."""
        return self._encoder.spans(text)

    def logits(
        self, encoded: EncodedTexts, done: Callable[[Rows], object] = lambda rows: None
    ) -> Logits:
        """Run encoded texts, equal ones once, and what is known already not at all.

        Args:
            encoded: R texts.
            done: is told the row numbers of each batch that was run, in this thread; of equal rows
                the first one's.

        Returns:
            (R,) or (R, K) float32, NaN for a text without a token.

        Raises:
            SentError: the device has no room for a single text, or a logit is not a number.
            EncodingStopped: `stop` was called.
        """
        found = distinct(encoded)
        logits = np.full((len(found.rows), *self._shape), np.nan, np.float32)
        if self._known is not None:
            logits = self._known.find(found.sequences)
        unknown = np.flatnonzero(~has_values(logits) & (encoded.lengths[found.rows] > 0))
        rows = found.rows[unknown]
        logits[unknown] = self._run_all(encoded, rows, done)
        if self._known is not None:
            new = found.sequences.take(pa.array(unknown))
            self._known.add(new, encoded.lengths[rows], logits[unknown])
        every: Logits = logits[found.places]
        return every

    def _run_all(self, encoded: EncodedTexts, rows: Rows, done: Callable[[Rows], object]) -> Logits:
        """Run rows (U,), and again in smaller batches what the device had no room for.

        Returns:
            (U,) or (U, K) float32.
        """
        logits = np.full((len(encoded), *self._shape), np.nan, np.float32)
        left, run = rows, self._run
        in_turn: Callable[..., Iterable[Logits | None]] = self._executor.map
        while len(left):
            budget = self.batch_tokens
            found = run_in_batches(encoded, budget, run, left, in_turn, done, self._shape)
            logits[left] = found[left]
            left = left[~has_values(found[left])]
            if len(left):
                self._shrink(budget, encoded.lengths[left])
                run, in_turn = self._run_alone, map
        return logits[rows]

    def stop(self) -> None:
        """Make `encode` and `score` give up in whatever threads they run, for good."""
        self._is_stopped = True
        self._encoder.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(
        self, input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
    ) -> Logits | None:
        """Run one batch, in a thread of the executor; None where the device has no room."""
        with self._slots:
            return self._run_now(input_ids, lengths)

    def _run_alone(
        self, input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
    ) -> Logits | None:
        """Run one batch with the device to itself: what does not fit beside others may fit so."""
        with self._alone, ExitStack() as slots:
            for _ in range(self.session.at_once):
                slots.enter_context(self._slots)
            logits = self._run_now(input_ids, lengths, give_back=True)
            if logits is None:  # it has given back what the batches before it had left
                logits = self._run_now(input_ids, lengths, give_back=True)
        if logits is None and len(lengths) == 1:
            remedy = "Use --threads 1" if self.session.provider == CPU else "Use --device cpu"
            raise SentError(f"the device has no room for a single review. {remedy}")
        return logits

    def _run_now(
        self,
        input_ids: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int32],
        give_back: bool = False,
    ) -> Logits | None:
        if self._is_stopped:
            raise EncodingStopped
        began = time.perf_counter()
        try:
            logits = self.session.run(input_ids, lengths, give_back)
        except (OutOfMemoryError, MemoryError):
            return None
        if not np.isfinite(logits).all():
            raise SentError("the model gave a logit that is not a number; the model file is faulty")
        with self._lock:
            self.seconds += (time.perf_counter() - began) / self.session.at_once
        return logits

    def _shrink(self, tried: int, lengths: npt.NDArray[np.int64]) -> None:
        """Halve the budget that was too large, unless another thread has; it stays halved."""
        with self._lock:
            if self.batch_tokens < tried:
                return
            first = lengths[plan_batches(lengths, tried)[0]]
            self.batch_tokens = max(1, min(tried, len(first) * int(first.max())) // 2)
        say(f"Out of device memory: going on with {self.batch_tokens:,} tokens a batch.")


def _stands_alone(file: ModelFile, session: Session) -> bool:
    """Whether a score is the same to the bit whatever stands beside it, so that it may be kept.

    On the CPU the file's certificate says so (`batch_mates`). CUDA's kernels differ by the shape of
    a batch: there, what is kept would hang on which windows came before.
    """
    return session.provider == CPU and file.card.parity.get("batch_mates") == 0

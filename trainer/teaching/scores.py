"""Soft labels from a column: how far the teacher that wrote it, the labels and the student agree.

Whatever gives probabilities is a teacher so: a language model, a transformer, `sent-score`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import say
from infer.table.columns import SCORE_COLUMN
from trainer.checkpoint.record import ScoresRecord, TrainingRecord
from trainer.data.prepared import Prepared, labels_of
from trainer.settings.request import Request

Mask = npt.NDArray[np.bool_]


def note_scores(request: Request, prepared: Prepared, record: TrainingRecord) -> TrainingRecord:
    """Say and write down what the training file's scores are worth, where it has some."""
    dataset = prepared.dataset
    if dataset.score_column is None:
        return record
    scored, is_positive = judged(dataset.train)
    right = is_positive[scored] == (labels_of(dataset.train)[scored] == 1)
    agreement = float(right.mean()) if len(right) else None
    words = "" if agreement is None else f", and agree with the label on {agreement:.2%} of them"
    say(
        f"scores: {len(right):,} of {dataset.train.num_rows:,} labelled reviews have one in "
        f"column {dataset.score_column!r}, which they are trained towards{words}; "
        f"{dataset.scored.num_rows:,} reviews have a score and no label"
    )
    return replace(
        record,
        scores=ScoresRecord(
            column=score_column(request),
            labelled=len(right),
            agreement=agreement,
            alone=dataset.scored.num_rows,
        ),
    )


def note_alone(request: Request, record: TrainingRecord, rows: int) -> TrainingRecord:
    """Write down so many unlabelled texts that are learned from by their score alone."""
    before = record.scores or ScoresRecord(score_column(request), 0, None, 0)
    return replace(record, scores=replace(before, alone=before.alone + rows))


def score_column(request: Request) -> str:
    """Return what the column of scores is called, where there is one."""
    return request.score_column or SCORE_COLUMN


def judged(table: pa.Table) -> tuple[Mask, Mask]:
    """Return which rows have a score, and which of them the teacher takes for positive: (R,)."""
    scores: npt.NDArray[np.float32] = table["score"].to_numpy()
    return ~np.isnan(scores), scores > 0.5


def compare(validation: pa.Table, logits: npt.NDArray[np.float32]) -> dict[str, Any] | None:
    """Hold the student against its teacher on the validation reviews that have a score.

    Args:
        validation: (R,) `label` and `score`.
        logits: (R,) float32 of the student; NaN rows (texts without a token) are left out.

    Returns:
        `reviews`, `teacher_accuracy`, `student_accuracy` and `agreement` (0 to 1); None where
        there is no such review.
    """
    scored, teacher = judged(validation)
    both = scored & ~np.isnan(logits)
    if not both.any():
        return None
    truth, student = labels_of(validation)[both] == 1, logits[both] > 0
    found = {
        "reviews": int(both.sum()),
        "teacher_accuracy": float((teacher[both] == truth).mean()),
        "student_accuracy": float((student == truth).mean()),
        "agreement": float((teacher[both] == student).mean()),
    }
    say(
        f"on {found['reviews']:,} validation reviews with a score the teacher is "
        f"{found['teacher_accuracy']:.2%} right, the student {found['student_accuracy']:.2%}; "
        f"they agree on {found['agreement']:.2%}"
    )
    return found

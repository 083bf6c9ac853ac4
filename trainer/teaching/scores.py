"""Soft labels from a column: how far the teacher that wrote it, the labels and the student agree.

Whatever gives probabilities is a teacher so: a language model, a transformer, `sent-score`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.console import say
from infer.model.probability import Labels, has_values, predicted
from trainer.checkpoint.record import ScoresRecord, TrainingRecord
from trainer.data.datasets import Dataset
from trainer.data.prepared import Prepared, labels_of, scores_of
from trainer.data.scores import column_of
from trainer.settings.request import Request

Mask = npt.NDArray[np.bool_]


def note_scores(request: Request, prepared: Prepared, record: TrainingRecord) -> TrainingRecord:
    """Say and write down what the training file's scores are worth, where it has some."""
    dataset = prepared.dataset
    if dataset.score_column is None:
        return record
    scored, said = judged(dataset.train)
    right = said[scored] == labels_of(dataset.train)[scored]
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
            column=dataset.score_column,
            labelled=len(right),
            agreement=agreement,
            alone=dataset.scored.num_rows,
        ),
    )


def note_alone(
    request: Request, dataset: Dataset, record: TrainingRecord, rows: int
) -> TrainingRecord:
    """Write down so many unlabelled texts that are learned from by their score alone."""
    column = column_of(request.score_column, dataset.labels)
    before = record.scores or ScoresRecord(column, 0, None, 0)
    return replace(record, scores=replace(before, alone=before.alone + rows))


def judged(table: pa.Table) -> tuple[Mask, Labels]:
    """Return which rows have a score, and the label that the teacher gives them: (R,) each."""
    scores = scores_of(table)
    return has_values(scores), predicted(scores, 0.5)


def compare(
    validation: pa.Table, logits: npt.NDArray[np.float32], found: Labels
) -> dict[str, Any] | None:
    """Hold the student against its teacher on the validation reviews that have a score.

    Args:
        validation: (R,) `label` and `score`.
        logits: (R,) or (R, K) float32 of the student; NaN rows (texts without a token) are left
            out.
        found: (R,) numbers of the labels that the student predicts.

    Returns:
        `reviews`, `teacher_accuracy`, `student_accuracy` and `agreement` (0 to 1); None where
        there is no such review.
    """
    scored, teacher = judged(validation)
    both = scored & has_values(logits)
    if not both.any():
        return None
    truth, student = labels_of(validation)[both], found[both]
    figures = {
        "reviews": int(both.sum()),
        "teacher_accuracy": float((teacher[both] == truth).mean()),
        "student_accuracy": float((student == truth).mean()),
        "agreement": float((teacher[both] == student).mean()),
    }
    say(
        f"on {figures['reviews']:,} validation reviews with a score the teacher is "
        f"{figures['teacher_accuracy']:.2%} right, the student {figures['student_accuracy']:.2%}; "
        f"they agree on {figures['agreement']:.2%}"
    )
    return figures

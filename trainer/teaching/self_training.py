"""Self-training: unlabelled texts join the training reviews, with a teacher's probabilities.

A text with a score of its own has that teacher's; the others are labelled by a linear model and by
networks.
Every teacher learns from the reviews that are trained on, never from those that choose the epoch.
Legend: R labelled rows, U unlabelled rows, K labels.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from infer.base.console import say
from infer.base.errors import InputError, ModelFileError
from infer.model.probability import probabilities
from infer.text.chunks import HTML_BREAK, visible
from infer.text.encoding import Encoder, concatenate
from trainer.checkpoint.config import TRAINING
from trainer.checkpoint.files import load_tensors, save_tensors
from trainer.checkpoint.folder import load_checkpoint
from trainer.checkpoint.record import TeacherRecord, TrainingRecord
from trainer.checkpoint.unfinished import Begun
from trainer.data.epoch_batches import encode_with_bar
from trainer.data.labels import listed
from trainer.data.prepared import (
    Prepared,
    labels_of,
    read_scored_texts,
    scores_of,
    texts_of,
    unlabelled_path,
    validates_alike,
)
from trainer.data.reading import hash_files
from trainer.data.scores import column_of
from trainer.network.calibration import describe_temperature, fit_temperature
from trainer.network.evaluate import measure, predict
from trainer.network.ngrams import NGrams
from trainer.settings.request import Request
from trainer.teaching.linear import predict_linear
from trainer.teaching.scores import note_alone

TARGETS: Final = "targets.safetensors"
# A shorter piece tells too little of what its writer thinks.
PIECE_WORDS: Final = 40
# Texts and the title of a progress bar → (U,) or (U, K) float32 logits.
Labeller = Callable[[pa.Array, str], npt.NDArray[np.float32]]


def add_unlabelled(
    request: Request,
    prepared: Prepared,
    linear: NGrams | None,
    saved: Begun | None,
    record: TrainingRecord,
) -> tuple[Prepared, TrainingRecord]:
    """Put the unlabelled texts, softly labelled, behind the labelled: first those with a score.

    Args:
        request: the run.
        prepared: what is trained on so far.
        linear: the linear model of the labelled reviews; None where none could be fitted.
        saved: what the run began with that is taken up again; its soft labels are used.
        record: of the run so far.

    Returns:
        What is trained on, and the record with the texts' hash, the scores and the teachers.

    Raises:
        InputError: the texts or the teacher cannot be used, or are not those of the run to be
            taken up.
        ModelFileError: a checkpoint is damaged.
    """
    table, notes = read_scored_texts(request, prepared.dataset)
    path = unlabelled_path(request, prepared.dataset)
    sha256 = hash_files([path]) if path else None
    record = replace(record, data=replace(record.data, unlabelled_sha256=sha256))
    if saved is not None:
        _check_same_texts(saved.record, record)
    if table is None:
        _go_on_alone(request)
        return prepared, record
    for note in notes:
        say(note)
    scored, others = parted(table)
    if scored.num_rows:
        _tell_of_scores(request, prepared.dataset.labels, scored.num_rows, len(others))
        record = note_alone(request, prepared.dataset, record, scored.num_rows)
    others = with_pieces(others, request.recipe.pieces)
    texts = pa.concat_arrays([texts_of(scored), others])
    if saved is not None:
        rows = prepared.fitting.num_rows + len(texts)
        shape = (rows, *prepared.targets.shape[1:])
        targets = load_targets(request.output / TRAINING, shape)
        record = replace(record, teachers=saved.record.teachers)
    else:
        soft = [scores_of(scored)]
        if len(others):
            labels, teachers = soft_labels(request, prepared, linear, others, record)
            soft.append(labels)
            record = replace(record, teachers=teachers)
        targets = np.concatenate((prepared.targets, *soft))
    encoded = encode_with_bar(prepared.training_encoder, texts, "encoding unlabelled texts")
    everything = concatenate([prepared.fitting_texts, encoded])
    return replace(prepared, fitting_texts=everything, targets=targets), record


def parted(table: pa.Table) -> tuple[pa.Table, pa.Array]:
    """Part unlabelled texts: the rows with a score, and the texts of the others."""
    has_score = table["score"].is_valid()
    return table.filter(has_score), texts_of(table.filter(pc.invert(has_score)))


def _tell_of_scores(request: Request, labels: tuple[str, ...], scored: int, others: int) -> None:
    """Say who labels what, and refuse teachers that nothing is left for."""
    column = column_of(request.score_column, labels)
    if request.teacher and not others:
        raise InputError(
            f"--teacher {request.teacher[0]}: all {scored:,} unlabelled texts have a score in "
            f"column {column!r}, so there is none to label. Leave --teacher out, or use "
            "--score-column none"
        )
    rest = (
        f"the other {others:,} are labelled as without"
        if others
        else "the linear model labels none"
    )
    say(
        f"self-training: {scored:,} unlabelled texts have a score in column {column!r} and are "
        f"learned from by it alone, uncut into pieces; {rest}"
    )


def with_pieces(texts: pa.Array, pieces: int) -> pa.Array:
    """Put the pieces of texts behind them: more texts to learn a teacher's judgement from.

    A teacher labels a piece by what stands in it, so the student sees in which part of a text the
    teacher saw what (as in Tang et al. 2019, who distil into an LSTM on texts cut and masked).

    Args:
        texts: (U,) strings.
        pieces: into how many each is cut, at white space, all of as many words; 1: none. Texts of
            fewer than `PIECE_WORDS` words a piece stay whole.

    Returns:
        (U + pieces,) strings: the texts as they are, then the pieces in the texts' order.
    """
    cut = []
    for text in plain(texts) if pieces > 1 else ():
        words = text.split()
        if len(words) >= pieces * PIECE_WORDS:
            ends = [len(words) * piece // pieces for piece in range(pieces + 1)]
            cut += [" ".join(words[start:end]) for start, end in pairwise(ends)]
    return pa.concat_arrays([texts, pa.array(cut, texts.type)])


def plain(texts: pa.Array) -> list[str]:
    """Return texts without HTML breaks and characters that nobody sees."""
    found: list[str] = pc.replace_substring_regex(visible(texts), HTML_BREAK, " ").to_pylist()
    return found


def _go_on_alone(request: Request) -> None:
    """Go on without unlabelled texts, unless a teacher is waiting for them."""
    if request.teacher:
        raise InputError(
            f"--teacher {request.teacher[0]}: there are no unlabelled texts to teach with. "
            "Name some with --unlabelled, or leave --teacher out"
        )
    say("self-training: no unlabelled texts (--unlabelled), so labelled ones alone")


def save_targets(folder: Path, targets: npt.NDArray[np.float32]) -> None:
    """Write what is trained towards, R + U rows, into a checkpoint's training folder."""
    save_tensors(folder / TARGETS, {"targets": torch.from_numpy(targets)})


def load_targets(folder: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Read what `save_targets` wrote, of this shape.

    Raises:
        ModelFileError: the file is missing, damaged or of other texts.
    """
    found = load_tensors(folder / TARGETS).get("targets", torch.empty(0))
    if found.shape != shape or found.dtype != torch.float32:
        raise ModelFileError(
            f"{folder / TARGETS}: {tuple(found.shape)} {found.dtype}, expected {shape} float32"
        )
    targets: npt.NDArray[np.float32] = found.numpy()
    return targets


def _check_same_texts(saved: TrainingRecord, record: TrainingRecord) -> None:
    now, before = record.data.unlabelled_sha256, saved.data.unlabelled_sha256
    if now != before:
        raise InputError(
            f"--resume: the unlabelled texts' SHA-256 is {str(now)[:12]}…, the run began with "
            f"{str(before)[:12]}…. Start anew without --resume"
        )


def soft_labels(
    request: Request,
    prepared: Prepared,
    linear: NGrams | None,
    texts: pa.Array,
    record: TrainingRecord,
) -> tuple[npt.NDArray[np.float32], tuple[TeacherRecord, ...]]:
    """Label texts with the mean of all teachers' probabilities.

    Returns:
        (U,) or (U, K) float32 from 0 to 1; and who the teachers are.
    """
    if linear is None:
        raise InputError(
            f"{prepared.dataset.name}: without a linear model nothing labels the "
            f"{len(texts):,} unlabelled texts. Use --no-self-training"
        )
    labels = prepared.dataset.labels
    networks = [
        (str(folder), checkpoint_labeller(folder, prepared, record)) for folder in request.teacher
    ]
    labellers = [("linear", linear_labeller(prepared, linear)), *networks]
    found, teachers = [], []
    for name, labeller in labellers:
        teachers.append(examine(name, labeller, prepared))
        logits = labeller(texts, f"labels of {name}")
        found.append(probabilities(logits, teachers[-1].temperature))
    # A text without a token has no logit; nor is it ever in a batch.
    soft = np.nan_to_num(np.mean(found, axis=0), nan=1 / len(labels))
    return soft.astype(np.float32), tuple(teachers)


def linear_labeller(prepared: Prepared, teacher: NGrams) -> Labeller:
    """Take the linear model as a teacher."""

    def label(texts: pa.Array, title: str) -> npt.NDArray[np.float32]:
        return predict_linear(
            teacher, encode_with_bar(prepared.training_encoder, texts, title), title
        )

    return label


def checkpoint_labeller(folder: Path, prepared: Prepared, record: TrainingRecord) -> Labeller:
    """Take a trained network as a teacher.

    Raises:
        ModelFileError: the checkpoint is damaged.
        InputError: it has other labels, or may have learned from this run's validation reviews.
    """
    teacher, labels = load_checkpoint(folder), prepared.dataset.labels
    if teacher.labels != labels:
        raise InputError(
            f"--teacher {folder}: its labels are {listed(teacher.labels)}, this run's are "
            f"{listed(labels)}. Use a teacher of the same"
        )
    _check_same_task(folder, teacher.record, record)
    if not validates_alike(teacher.validation, prepared):
        raise InputError(
            f"--teacher {folder}: its validation reviews are not this run's, since another version "
            "of the toolkit drew them, so it may have learned from those. Train it anew"
        )
    model = teacher.model.to(record.device)
    encoder = Encoder(teacher.text, teacher.vocabulary)

    def label(texts: pa.Array, title: str) -> npt.NDArray[np.float32]:
        return predict(model, encode_with_bar(encoder, texts, title), title)

    return label


def _check_same_task(folder: Path, theirs: TrainingRecord, ours: TrainingRecord) -> None:
    """Refuse a teacher of other labels, or one that has learned from our validation reviews."""
    task = _task(theirs)
    for name, value in _task(ours).items():
        if value != task[name]:
            raise InputError(
                f"--teacher {folder}: its {name} is {task[name]}, this run's is {value}, so "
                "it may have learned other labels, or from this run's validation reviews. Use the "
                "same"
            )


def _task(record: TrainingRecord) -> dict[str, Any]:
    """Return what a checkpoint has learned from, and what chose its validation reviews."""
    return {
        "data": record.data.sha256,
        "text column": record.data.text_column,
        "label column": record.data.label_column,
        "group column": record.data.group_column,
        "labels": dict(record.data.labels),
        "positive label": record.data.positive,
        "split seed": record.seed if record.split_seed is None else record.split_seed,
        "validation": record.recipe.get("validation"),
    }


def examine(name: str, labeller: Labeller, prepared: Prepared) -> TeacherRecord:
    """Calibrate a teacher on the validation reviews, and say how good it is."""
    labels = labels_of(prepared.validation)
    logits = labeller(texts_of(prepared.validation), f"validating {name}")
    accuracy, temperature = measure(logits, labels)["accuracy"], fit_temperature(logits, labels)
    say(f"teacher {name}: {accuracy:.2%} right on validation, {describe_temperature(temperature)}")
    return TeacherRecord(name, temperature, accuracy)

"""The main path of training: data → vocabulary → teacher → epochs → best checkpoint → test."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from infer.base.console import held_signals, require_packages, say
from infer.base.errors import DivergedError, InputError
from infer.model.probability import Labels, probabilities, scores
from infer.model.results import plain_scores
from infer.model.validated import Validated
from infer.text.encoding import EncodedTexts
from infer.text.languages import cutter_of
from trainer.checkpoint.config import TRAINING
from trainer.checkpoint.folder import (
    MAX_VALIDATION_ROWS,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from trainer.checkpoint.place import check_place, one_run
from trainer.checkpoint.record import TrainingRecord, VectorsRecord
from trainer.checkpoint.unfinished import (
    Begun,
    load_begun,
    write_begun,
)
from trainer.data.datasets import Dataset
from trainer.data.epoch_batches import encode_with_bar
from trainer.data.prepared import (
    Prepared,
    begin_record,
    ids_of,
    initial_vectors,
    labels_of,
    prepare_data,
    texts_of,
    validates_alike,
)
from trainer.data.vectors import check_vectors
from trainer.network.calibration import calibration_error, fit_mix, fit_temperature
from trainer.network.device import (
    check_precision,
    choose_device,
    describe,
    seed_everything,
    set_precision,
    set_threads,
)
from trainer.network.evaluate import decide, measure, named_confusion, predict, threshold_by
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.ngrams import NGrams, room_for
from trainer.report.analysis import absolute_error, analyse, most_confident_mistakes
from trainer.run.epochs import enough_epochs, run_epoch
from trainer.run.events import event_file, note_epoch, note_step
from trainer.run.keeping import (
    every,
    save_part,
    saving_when_stopped,
    telling_of_other_places,
    telling_what_is_kept,
    warn_of_unfinished,
    where,
    write_down,
)
from trainer.run.state import (
    STATE_TENSORS,
    State,
    keep_if_best,
    load_state,
    save_state,
    start,
)
from trainer.run.talk import epoch_line, test_lines
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request
from trainer.teaching.beside import Beside, beside, class_shift, fit_linear, in_words
from trainer.teaching.linear import fit_ngrams
from trainer.teaching.scores import compare, note_scores
from trainer.teaching.self_training import add_unlabelled, save_targets

# What figures and the report are made with: looked for before hours of training.
REPORTING: Final = ("jinja2", "matplotlib", "sklearn", "scipy")


def carry_out(request: Request, goes_on: Path | None = None, test: bool = True) -> Checkpoint:
    """Train as requested and leave a checkpoint folder.

    Args:
        request: recipe, data, output and the rest.
        goes_on: the folder that --resume is to be given if this is interrupted; None: the output.
        test: read the test part at the end. Without, the run is unfinished when all its epochs are
            done, and going on with it is no more than the test.

    Returns:
        The checkpoint that was written: the best epoch's model, with test figures.

    Raises:
        UsageError: spaCy does not know the language, or needs a package for it.
        InputError: the data cannot be trained on.
        OutputError: the output may not be written.
        MissingExtraError: a package is missing that the report is made with.
        DeviceError: the device cannot be had, or not compute in the precision.
        DivergedError: a loss is not a number.
        TrainingError: the disk is full or failing; what was kept so far is there.
        KeyboardInterrupt: a signal arrived; the run can go on from the step before.
    """
    check_place(request.output)
    cutter_of(request.recipe.language)  # before anything is read or downloaded
    require_packages(REPORTING)
    if request.tensorboard is not None:
        require_packages(("tensorboardX",))
    with one_run(request.output):
        return _carry_out(request, goes_on or request.output, test)


def _carry_out(request: Request, goes_on: Path, test: bool) -> Checkpoint:
    device = choose_device(request.device)
    set_threads(request.threads)
    set_precision(request.recipe.precision)
    check_precision(request.recipe.precision, device)
    if not request.resume:
        check_vectors(request.recipe.vectors, request.recipe.embedding)
    seed_everything(request.seed, epoch=0)
    saved = load_begun(request.output) if request.resume else None
    if saved is None:
        warn_of_unfinished(request.output)
    with telling_of_other_places(request):
        prepared = prepare_data(request, saved)
        record = note_scores(request, prepared, begin_record(request, prepared, device))
        linear = fit_linear(request, prepared)
        if request.recipe.self_training:
            prepared, record = add_unlabelled(request, prepared, linear, saved, record)
    cheapest = beside(request, prepared, linear)
    if saved is None:
        request = replace(request, recipe=enough_epochs(request.recipe, request.seed, prepared))
        record = replace(record, recipe=request.recipe.to_json())
    state, record = begin(request, prepared, saved, record)
    with telling_what_is_kept(request, goes_on):
        write_down(request, prepared, state, record)
        run_epochs(request, prepared, cheapest, state, record)
        state.average.load_state_dict(state.best)
        validation = final_validation(prepared, cheapest, state)
        if not test:
            return _checkpoint(prepared, state, record, validation, test=None)
        figures, mistaken = final_test(prepared, cheapest, state)
        checkpoint = _checkpoint(prepared, state, record, validation, figures)
        from trainer.report.page import render_report

        report = render_report(checkpoint, state.history, mistaken, datetime.now(UTC))
        save_checkpoint(request.output, checkpoint, state.history, report=report)
    return checkpoint


def begin(
    request: Request,
    prepared: Prepared,
    saved: Begun | None,
    record: TrainingRecord,
) -> tuple[State, TrainingRecord]:
    """Make the model and its optimizer, from the start or as the unfinished run left them.

    Returns:
        The state, and the record with the vectors that the embedding started from.
    """
    model = SentimentLSTM(
        _sizes(request.recipe, len(prepared.vocabulary), len(prepared.dataset.labels))
    )
    if saved is None and (vectors := initial_vectors(request, prepared)):
        model.embedding.weight.data.copy_(torch.from_numpy(vectors.matrix))
        record = replace(record, vectors=VectorsRecord(vectors.source, vectors.coverage))
    if saved is None and model.ngrams is not None:
        model.ngrams.load_state_dict(_fitted_ngrams(request, prepared).state_dict())
    device = torch.device(record.device)
    state = start(model.to(device), request.recipe)
    parameters = sum(p.numel() for p in model.parameters())
    entries = len(prepared.vocabulary)
    say(f"{parameters:,} parameters, vocabulary of {entries:,}, on {describe(device)}")
    if saved is not None:
        load_state(request.output / TRAINING, state)
        if state.history:
            kept = load_checkpoint(request.output)
            _check_same_validation(kept, prepared)
            state.best = kept.model.state_dict()
        record = replace(record, vectors=saved.record.vectors)
        say(f"going on after {where(request.output)} of the run in {request.output}")
    return state, record


def _fitted_ngrams(request: Request, prepared: Prepared) -> NGrams:
    """Fit the n-grams to what the network learns too, with what each class counts there."""
    try:
        fitted = fit_ngrams(request.recipe, request.seed, prepared.fitting_texts, prepared.targets)
    except InputError as error:
        raise InputError(f"{error}. Use --ngrams 0") from error
    fitted.bias += torch.from_numpy(class_shift(prepared))
    return fitted


def _check_same_validation(kept: Checkpoint, prepared: Prepared) -> None:
    """Refuse to go on where other reviews validate: the run has learned from some of them."""
    if not validates_alike(kept.validation, prepared):
        raise InputError(
            "--resume: the validation reviews are not those that the run began with; another "
            "version of the toolkit drew them. Start anew without --resume"
        )


def _sizes(recipe: Recipe, vocabulary_size: int, labels: int) -> ModelConfig:
    return ModelConfig(
        vocabulary_size=vocabulary_size,
        embedding=recipe.embedding,
        hidden=recipe.hidden,
        layers=recipe.layers,
        pooling=recipe.pooling,
        dropout=recipe.dropout,
        embedding_dropout=recipe.embedding_dropout,
        ngrams=recipe.ngrams,
        ngram_buckets=room_for(recipe.ngram_buckets, labels),
        labels=labels,
    )


def run_epochs(
    request: Request, prepared: Prepared, cheapest: Beside, state: State, record: TrainingRecord
) -> None:
    """Train epoch by epoch; after each, the folder holds the best so far and how to go on."""
    recipe = request.recipe
    to_beat = cheapest.figures(prepared.validation_texts, labels_of(prepared.validation))
    save_if_due = every(60 * request.save_minutes, lambda: save_part(request.output, state))
    with event_file(request.tensorboard, state.steps) as note:

        def after_step() -> None:
            save_if_due()
            note_step(note, state)

        while state.epoch < recipe.epochs and not state.out_of_patience(recipe.patience):
            with saving_when_stopped(request.output, state):
                row = run_epoch(recipe, request.seed, prepared, state, after_step)
                logits = validate(state.average, prepared)
                _check_numbers(logits, prepared.validation_texts, row)
                row |= _validation_figures(recipe, logits, labels_of(prepared.validation))
                with held_signals():
                    is_best = keep_if_best(state, row)
                    _save_unfinished(request.output, prepared, to_beat, state, record)
                    note_epoch(note, state)
            say(epoch_line(row, recipe.epochs, is_best, in_words(to_beat)))


def validate(model: SentimentLSTM, prepared: Prepared) -> npt.NDArray[np.float32]:
    """Compute the validation logits; first weigh the parts of a model with n-grams anew."""
    texts = prepared.validation_texts
    if model.ngrams is None:
        return predict(model, texts, "validating")
    deep = predict(model, texts, "validating", compute=model.deep)
    wide = predict(model, texts, "validating n-grams", compute=model.wide)
    mix = fit_mix(deep, wide, labels_of(prepared.validation))
    model.ngrams.mix.copy_(torch.tensor(mix))
    return np.float32(mix[0]) * deep + np.float32(mix[1]) * wide


def _check_numbers(
    logits: npt.NDArray[np.float32], texts: EncodedTexts, row: dict[str, Any]
) -> None:
    """Refuse an epoch that left weights with which a text has no logit."""
    if not np.isfinite(logits[texts.lengths > 0]).all():
        raise DivergedError(
            f"validation logits are not numbers after epoch {row['epoch']}, at learning rate "
            f"{row['learning_rate']:.3g}. Use a lower --learning-rate or --clip"
        )


def _validation_figures(
    recipe: Recipe, logits: npt.NDArray[np.float32], labels: Labels
) -> dict[str, float]:
    """Return what the history notes of an epoch's validation."""
    temperature = fit_temperature(logits, labels)
    threshold = threshold_by(recipe.threshold, logits, labels, temperature)
    figures = measure(logits, labels, temperature, threshold)
    return {
        "validation_loss": figures["loss"],
        "calibrated_loss": measure(logits / np.float32(temperature), labels)["loss"],
        "validation_accuracy": figures["accuracy"],
        "validation_f1": figures["macro_f1"],
        "temperature": temperature,
        "threshold": threshold,
    }


def _save_unfinished(
    folder: Path,
    prepared: Prepared,
    to_beat: dict[str, Any],
    state: State,
    record: TrainingRecord,
) -> None:
    def save_training(to: Path) -> None:
        write_begun(to, Begun(record, prepared.text, prepared.vocabulary))
        save_targets(to, prepared.targets)
        save_state(to / STATE_TENSORS, state)

    best = state.best_row
    validation = {
        "accuracy": best["validation_accuracy"],
        "macro_f1": best.get("validation_f1"),
        "loss": best["validation_loss"],
        "calibrated_loss": best.get("calibrated_loss", best["validation_loss"]),
        "reviews": prepared.validation.num_rows,
        "beside": to_beat,
    }
    unfinished = _checkpoint(prepared, state, record, validation, test=None)
    save_checkpoint(folder, unfinished, state.history, save_training)


def final_validation(prepared: Prepared, cheapest: Beside, state: State) -> dict[str, Any]:
    """Return all figures of the best epoch's weights on the validation reviews."""
    logits = predict(state.average, prepared.validation_texts, "validating the best epoch")
    labels = labels_of(prepared.validation)
    found = _figures(prepared, state, logits, labels)
    calibrated = logits / np.float32(state.best_row["temperature"])
    found |= {"calibrated_loss": measure(calibrated, labels)["loss"]}
    found |= {"reviews": len(labels), "beside": cheapest.figures(prepared.validation_texts, labels)}
    if validated := _validated(prepared, state, logits):
        found |= validated.to_json()
    if prepared.validation["score"].is_valid().to_numpy().any():
        best = state.best_row
        student = decide(logits, best["temperature"], best.get("threshold", 0.5))
        found["teacher"] = compare(prepared.validation, logits, student)
    return found


def _validated(
    prepared: Prepared, state: State, logits: npt.NDArray[np.float32]
) -> Validated | None:
    """Count what the validation reviews are like, and how often the surest labels are right."""
    best, texts = state.best_row, prepared.validation_texts
    found = probabilities(logits, best["temperature"])
    scored = plain_scores(found, texts.statuses, best.get("threshold", 0.5))
    return Validated.of(texts, scored, labels_of(prepared.validation), prepared.dataset.labels)


def _figures(
    prepared: Prepared,
    state: State,
    logits: npt.NDArray[np.float32],
    labels: Labels,
) -> dict[str, Any]:
    """Return what `measure` finds at the best epoch's temperature and threshold, classes named."""
    best, names = state.best_row, prepared.dataset.labels
    found = measure(logits, labels, best["temperature"], best.get("threshold", 0.5))
    pairs = zip(names, found["classes"], strict=True)
    return found | {
        "confusion": named_confusion(found["confusion"], names),
        "classes": [{"label": name, **of_class} for name, of_class in pairs],
    }


def final_test(
    prepared: Prepared, cheapest: Beside, state: State
) -> tuple[dict[str, Any], list[str]]:
    """Read the test part, this once, with the best epoch's weights.

    Returns:
        What `measure` finds (its loss uncalibrated), what the cheapest models have right,
        `calibration_error` `before` and `after` the temperature, what `analyse` finds, and
        `mistakes`; and the texts of these mistakes.
    """
    test = prepared.dataset.test
    encoded = encode_with_bar(prepared.encoder, texts_of(test), "encoding test")
    logits, labels = predict(state.average, encoded, "testing"), labels_of(test)
    temperature = state.best_row["temperature"]
    threshold = state.best_row.get("threshold", 0.5)
    before, after = (
        calibration_error(probabilities(logits, t), labels) for t in (1.0, temperature)
    )
    figures = _figures(prepared, state, logits, labels)
    figures |= {"beside": cheapest.figures(encoded, labels)}
    figures |= {"calibration_error": {"before": before, "after": after}}
    figures |= analyse(logits, labels, encoded.lengths, temperature, threshold)
    if prepared.dataset.ordinal:
        figures["mean_absolute_error"] = absolute_error(
            probabilities(logits, temperature), labels, prepared.dataset.labels
        )
    for line in test_lines(figures, state.best_row):
        say(line)
    rows = most_confident_mistakes(logits, labels, temperature, threshold)
    found = decide(logits, temperature, threshold)
    score = scores(probabilities(logits, temperature))
    figures["mistakes"] = _mistakes(prepared.dataset, rows, found, score, encoded.lengths)
    return figures, texts_of(test).take(rows).to_pylist()


def _mistakes(
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    found: Labels,
    score: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Say which reviews are wrong: `id`, `truth` and `predicted` (names), `score` and `tokens`.

    Args:
        dataset: its test part has R rows.
        rows: (M,) int64 rows of the mistakes.
        found: (R,) numbers of the predicted labels.
        score: (R,) float64, calibrated.
        lengths: (R,) int64 tokens.
    """
    ids, labels = ids_of(dataset.test), labels_of(dataset.test)
    return [
        {
            "id": ids[row],
            "truth": dataset.labels[labels[row]],
            "predicted": dataset.labels[found[row]],
            "score": float(score[row]),
            "tokens": int(lengths[row]),
        }
        for row in rows
    ]


def _rows_by_label(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Return how many rows of each part have which label; those without one do not count."""
    names = prepared.dataset.labels
    parts = {
        "training": prepared.fitting,
        "validation": prepared.validation,
        "test": prepared.dataset.test,
    }
    counts = {
        part: np.bincount(table["label"].drop_null().to_numpy(), minlength=len(names)).tolist()
        for part, table in parts.items()
    }
    return {part: dict(zip(names, found, strict=True)) for part, found in counts.items()}


def _checkpoint(
    prepared: Prepared,
    state: State,
    record: TrainingRecord,
    validation: dict[str, Any],
    test: dict[str, Any] | None,
) -> Checkpoint:
    """Put the best epoch's model and its figures together."""
    best, dataset = state.best_row, prepared.dataset
    scores, validation = {}, dict(validation)
    if record.scores is not None:
        scores = {"scores": asdict(record.scores) | {"validation": validation.pop("teacher", None)}}
    model = SentimentLSTM(state.model.config)
    model.load_state_dict(state.best)
    return Checkpoint(
        model=model.eval(),
        vocabulary=prepared.vocabulary,
        text=prepared.text,
        labels=dataset.labels,
        metrics={
            "epoch": best["epoch"],
            "validation": validation,
            "test": test,
            "data": {
                "name": dataset.name,
                "sha256": dataset.sha256,
                "overlap": prepared.overlap,
                "columns": {
                    "text": dataset.text_column,
                    "label": dataset.label_column,
                    "score": dataset.score_column,
                    "group": record.data.group_column,
                },
                "rows": _rows_by_label(prepared),
            },
            **scores,
        },
        record=record,
        validation=prepared.validation.select(["text", "label"]).slice(0, MAX_VALIDATION_ROWS),
        temperature=best["temperature"],
        threshold=best.get("threshold", 0.5),
    )

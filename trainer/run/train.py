"""The main path of training: data → vocabulary → teacher → epochs → best checkpoint → test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from infer.base.console import require_packages, say
from infer.base.errors import SentError, TrainingError
from infer.model.probability import sigmoid
from infer.text.encoding import EncodedTexts
from infer.text.languages import cutter_of
from trainer.checkpoint.files import read_json
from trainer.checkpoint.folder import (
    MAX_VALIDATION_ROWS,
    METRICS,
    TRAINING,
    Checkpoint,
    check_place,
    load_checkpoint,
    save_checkpoint,
)
from trainer.checkpoint.record import TrainingRecord, VectorsRecord
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
)
from trainer.data.vectors import check_vectors
from trainer.network.calibration import calibration_error, fit_temperature
from trainer.network.device import (
    check_precision,
    choose_device,
    describe,
    seed_everything,
    set_precision,
    set_threads,
)
from trainer.network.evaluate import measure, predict
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.report.analysis import analyse, most_confident_mistakes
from trainer.run.epochs import epoch_line, run_epoch
from trainer.run.state import State, keep_if_best, load_state, save_state, start
from trainer.settings.recipe import Recipe
from trainer.settings.request import Request
from trainer.teaching.scores import compare, note_scores
from trainer.teaching.self_training import add_unlabelled, save_targets

# What the report is made with: looked for before hours of training, loaded after them.
REPORTING: Final = ("jinja2", "matplotlib")


def carry_out(request: Request) -> Checkpoint:
    """Train as requested and leave a checkpoint folder.

    Args:
        request: recipe, data, output and the rest.

    Returns:
        The checkpoint that was written: the best epoch's model, with test figures.

    Raises:
        UsageError: spaCy does not know the language, or needs a package for it.
        InputError: the data cannot be trained on.
        OutputError: the output may not be written.
        MissingExtraError: a package is missing that the report is made with.
        DeviceError: the device cannot be had, or not compute in the precision.
        TrainingError: a loss is not a number, or the disk is full or failing; the best epoch so
            far is kept.
        KeyboardInterrupt: a signal arrived; the best epoch so far is kept.
    """
    check_place(request.output)
    cutter_of(request.recipe.language)  # before anything is read or downloaded
    require_packages(REPORTING)
    device = choose_device(request.device)
    set_threads(request.threads)
    set_precision(request.recipe.precision)
    check_precision(request.recipe.precision, device)
    if not request.resume:
        check_vectors(request.recipe.vectors, request.recipe.embedding)
    seed_everything(request.seed, epoch=0)
    saved = load_checkpoint(request.output) if request.resume else None
    prepared = prepare_data(request, saved)
    record = note_scores(request, prepared, begin_record(request, prepared, device))
    if request.recipe.self_training:
        prepared, record = add_unlabelled(request, prepared, saved, record)
    state, record = begin(request, prepared, saved, record)
    with _telling_what_is_kept(request.output, state):
        run_epochs(request, prepared, state, record)
        test, mistaken = final_test(prepared, state)
        beside_teacher = _compare(prepared, state)
        checkpoint = _checkpoint(prepared, state, record, test, beside_teacher)
        from trainer.report.page import render_report

        report = render_report(checkpoint, state.history, mistaken)
        save_checkpoint(request.output, checkpoint, state.history, report=report)
    return checkpoint


def begin(
    request: Request,
    prepared: Prepared,
    saved: Checkpoint | None,
    record: TrainingRecord,
) -> tuple[State, TrainingRecord]:
    """Make the model and its optimizer, from the start or as the unfinished run left them.

    Returns:
        The state, and the record with the vectors that the embedding started from.
    """
    model = SentimentLSTM(_sizes(request.recipe, len(prepared.vocabulary)))
    if saved is None and (vectors := initial_vectors(request, prepared)):
        model.embedding.weight.data.copy_(torch.from_numpy(vectors.matrix))
        record = replace(record, vectors=VectorsRecord(vectors.source, vectors.coverage))
    device = torch.device(record.device)
    state = start(model.to(device), request.recipe)
    parameters = sum(p.numel() for p in model.parameters())
    entries = len(prepared.vocabulary)
    say(f"{parameters:,} parameters, vocabulary of {entries:,}, on {describe(device)}")
    if saved is not None:
        load_state(request.output / TRAINING, state, saved.model.state_dict())
        record = replace(record, vectors=saved.record.vectors)
        say(f"going on after epoch {state.epoch} of the run in {request.output}")
    return state, record


def _sizes(recipe: Recipe, vocabulary_size: int) -> ModelConfig:
    return ModelConfig(
        vocabulary_size=vocabulary_size,
        embedding=recipe.embedding,
        hidden=recipe.hidden,
        layers=recipe.layers,
        pooling=recipe.pooling,
        dropout=recipe.dropout,
        embedding_dropout=recipe.embedding_dropout,
    )


def run_epochs(request: Request, prepared: Prepared, state: State, record: TrainingRecord) -> None:
    """Train epoch by epoch; after each, the folder holds the best so far and how to go on."""
    recipe = request.recipe
    while state.epoch < recipe.epochs and not state.out_of_patience(recipe.patience):
        row = run_epoch(recipe, request.seed, prepared, state)
        logits = predict(state.average, prepared.validation_texts, "validating")
        _check_numbers(logits, prepared.validation_texts, row)
        row |= _validation_figures(logits, labels_of(prepared.validation))
        is_best = keep_if_best(state, row)
        _save_unfinished(request.output, prepared, state, record)
        say(epoch_line(row, recipe.epochs, is_best))


def _check_numbers(
    logits: npt.NDArray[np.float32], texts: EncodedTexts, row: dict[str, Any]
) -> None:
    """Refuse an epoch that left weights with which a text has no logit."""
    if not np.isfinite(logits[texts.lengths > 0]).all():
        raise TrainingError(
            f"validation logits are not numbers after epoch {row['epoch']}, at learning rate "
            f"{row['learning_rate']:.3g}. Use a lower --learning-rate or --clip"
        )


def _validation_figures(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]
) -> dict[str, float]:
    """Return what the history notes of an epoch's validation."""
    figures = measure(logits, labels)
    return {
        "validation_loss": figures["loss"],
        "validation_accuracy": figures["accuracy"],
        "temperature": fit_temperature(logits, labels),
    }


def _save_unfinished(
    folder: Path, prepared: Prepared, state: State, record: TrainingRecord
) -> None:
    def save_training(to: Path) -> None:
        save_state(to, state)
        save_targets(to, prepared.targets)

    unfinished = _checkpoint(prepared, state, record, test=None)
    save_checkpoint(folder, unfinished, state.history, save_training)


@contextmanager
def _telling_what_is_kept(folder: Path, state: State) -> Iterator[None]:
    """Let what ends a run say whether it can go on from its finished epochs."""
    try:
        yield
    except (KeyboardInterrupt, SentError) as error:
        if not state.history or not (folder / TRAINING).is_dir():
            error.add_note("There is no finished epoch to go on from")
        else:
            epoch = read_json(folder / METRICS)["epoch"]
            error.add_note(
                f"{folder} keeps the best so far, epoch {epoch}; "
                f"sent-train --resume --output {folder} goes on"
            )
        raise


def final_test(prepared: Prepared, state: State) -> tuple[dict[str, Any], list[str]]:
    """Read the test part, this once, with the best epoch's weights.

    Returns:
        What `measure` finds (uncalibrated), `calibration_error` `before` and `after` the
        temperature, what `analyse` finds, and `mistakes`; and the texts of these mistakes.
    """
    state.average.load_state_dict(state.best)
    test = prepared.dataset.test
    encoded = encode_with_bar(prepared.encoder, texts_of(test), "encoding test")
    logits, labels = predict(state.average, encoded, "testing"), labels_of(test)
    epoch, temperature = state.best_row["epoch"], state.best_row["temperature"]
    before, after = (calibration_error(sigmoid(logits / t), labels) for t in (1.0, temperature))
    figures = measure(logits, labels)
    say(
        f"test: accuracy {figures['accuracy']:.2%}, loss {figures['loss']:.4f} on "
        f"{figures['reviews']:,} reviews, with the weights of epoch {epoch}; calibration error "
        f"{before:.2%}, {after:.2%} at the temperature of {temperature:.2f}"
    )
    figures |= {"calibration_error": {"before": before, "after": after}}
    figures |= analyse(logits, labels, encoded.lengths, temperature)
    rows = most_confident_mistakes(logits, labels)
    scores = sigmoid(logits / temperature)
    figures["mistakes"] = _mistakes(prepared.dataset, rows, scores, encoded.lengths)
    return figures, texts_of(test).take(rows).to_pylist()


def _compare(prepared: Prepared, state: State) -> dict[str, Any] | None:
    """Hold the best epoch's network against its teacher, where validation reviews have scores."""
    if not prepared.validation["score"].is_valid().to_numpy().any():
        return None
    logits = predict(state.average, prepared.validation_texts, "comparing with the teacher")
    return compare(prepared.validation, logits)


def _mistakes(
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Say which reviews are wrong and how: `id`, `truth` (its name), `score` and `tokens`.

    Args:
        dataset: its test part has R rows.
        rows: (K,) int64 rows of the mistakes.
        scores: (R,) float64 of the positive label, calibrated.
        lengths: (R,) int64 tokens.
    """
    ids, labels = ids_of(dataset.test), labels_of(dataset.test)
    return [
        {
            "id": ids[row],
            "truth": dataset.labels[labels[row]],
            "score": float(scores[row]),
            "tokens": int(lengths[row]),
        }
        for row in rows
    ]


def _checkpoint(
    prepared: Prepared,
    state: State,
    record: TrainingRecord,
    test: dict[str, Any] | None,
    beside_teacher: dict[str, Any] | None = None,
) -> Checkpoint:
    """Put the best epoch's model and its figures together."""
    best, dataset = state.best_row, prepared.dataset
    scores = {}
    if record.scores is not None:
        scores = {"scores": asdict(record.scores) | {"validation": beside_teacher}}
    model = SentimentLSTM(state.model.config)
    model.load_state_dict(state.best)
    return Checkpoint(
        model=model.eval(),
        vocabulary=prepared.vocabulary,
        text=prepared.text,
        labels=dataset.labels,
        metrics={
            "epoch": best["epoch"],
            "validation": {
                "accuracy": best["validation_accuracy"],
                "loss": best["validation_loss"],
                "reviews": prepared.validation.num_rows,
            },
            "test": test,
            "data": {"name": dataset.name, "sha256": dataset.sha256},
            **scores,
        },
        record=record,
        validation=prepared.validation.select(["text", "label"]).slice(0, MAX_VALIDATION_ROWS),
        temperature=best["temperature"],
    )

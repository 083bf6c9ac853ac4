"""Data, vocabulary and encoded texts: everything that stays the same from epoch to epoch.

Legend: R rows, K labels.
"""

import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

import infer
from infer.base.console import say
from infer.base.errors import InputError
from infer.base.words import counted
from infer.model.probability import Labels, certain, label_count, of_each_label
from infer.table.columns import NO_COLUMN, score_columns
from infer.table.files import read_schema
from infer.text.encoding import ENCODED_AT_ONCE, EncodedTexts, Encoder
from infer.text.scripts import misfit
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer, spacy_version
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.record import DataRecord, TrainingRecord
from trainer.checkpoint.unfinished import Begun
from trainer.data.datasets import Dataset, load_dataset, named
from trainer.data.epoch_batches import encode_with_bar
from trainer.data.overlap import find_overlap
from trainer.data.reading import Columns, read_scored, read_unlabelled
from trainer.data.splits import OLD_NEAR, USUAL_NEAR, Near, split_rows
from trainer.data.vectors import Vectors, fit_vectors, load_vectors
from trainer.settings.recipe import NO_THRESHOLD, Recipe
from trainer.settings.request import Request

NO_LABEL: Final = -1
# The 95 % interval of an accuracy on fewer reviews is wider than ten points to either side.
FEW_JUDGES: Final = 50


@dataclass(frozen=True)
class Prepared:
    """What training reads.

    Attributes:
        dataset: the reviews; its test part is read at the end.
        fitting: the rows of its training part that are trained on, then those of the training file
            that have a score and no label: `text`, `label`, `id`, `score`.
        validation: the other rows, which choose the epoch by their labels: the same columns.
        text: how text becomes tokens, outside training.
        vocabulary: token ↔ id.
        encoder: of both, what validation and test texts go through.
        training_encoder: what texts that are trained on go through, which may cut them shorter.
        fitting_texts: the encoded texts that are trained on: those of `fitting`, then the
            unlabelled ones where there are any.
        targets: what they are trained towards, float32: (R,) probability of the positive label, or
            of more than two labels (R, K), that of each.
        validation_texts: the encoded texts of `validation`.
        class_weights: (K,) float64, what a row of each class counts in training.
        overlap: how much stands in two parts, as `find_overlap` has it.
    """

    dataset: Dataset
    fitting: pa.Table
    validation: pa.Table
    text: TextSettings
    vocabulary: Vocabulary
    encoder: Encoder
    training_encoder: Encoder
    fitting_texts: EncodedTexts
    targets: npt.NDArray[np.float32]
    validation_texts: EncodedTexts
    class_weights: npt.NDArray[np.float64]
    overlap: dict[str, int]


def prepare_data(request: Request, saved: Begun | None) -> Prepared:
    """Load the reviews, split the validation part off, make the vocabulary, encode.

    Args:
        request: the run.
        saved: what the run began with that is taken up again; its vocabulary is used.

    Raises:
        InputError: the data cannot be trained on, or is not that of the run to be taken up.
    """
    recipe = request.recipe
    dataset, fitting, validation = _load(request, saved)
    overlap, warnings = find_overlap(
        fitting, validation, dataset.test, _unlabelled_in_use(request, dataset)
    )
    for warning in warnings:
        say(warning)
    text = text_settings(recipe)
    if found := misfit(texts_of(fitting), text.language):
        say(f"Warning: {dataset.name}: {found}. Name that of the texts with --language")
    if saved is not None:
        _check_same_data(saved, dataset, text)
    vocabulary = saved.vocabulary if saved else _vocabulary(fitting, text, recipe)
    encoder, cut = Encoder(text, vocabulary), training_settings(recipe)
    training_encoder = encoder if cut == text else Encoder(cut, vocabulary)
    prepared = Prepared(
        dataset=dataset,
        fitting=fitting,
        validation=validation,
        text=text,
        vocabulary=vocabulary,
        encoder=encoder,
        training_encoder=training_encoder,
        fitting_texts=encode_with_bar(training_encoder, texts_of(fitting), "encoding reviews"),
        targets=targets_of(fitting),
        validation_texts=encode_with_bar(encoder, texts_of(validation), "encoding validation"),
        class_weights=class_weights(fitting, recipe.class_weight, len(dataset.labels)),
        overlap=overlap,
    )
    _check_parts(prepared)
    return prepared


def _load(request: Request, saved: Begun | None) -> tuple[Dataset, pa.Table, pa.Table]:
    """Load the reviews; return the rows to train on and those to validate by besides."""
    # Older versions, whose recipes have no `select`, drew parts in which labels varied more.
    near = USUAL_NEAR if saved is None or "select" in saved.record.recipe else OLD_NEAR
    dataset = load_dataset(
        request.data, request.parts_seed, columns_of(request), request.label_rules, near
    )
    for note in dataset.notes:
        say(note)
    _check_score_column(request, dataset)
    _check_threshold(request.recipe, dataset)
    fitting, validation = _parts(request, dataset, near)
    fitting = pa.concat_tables([fitting, dataset.scored])
    say(
        f"{counted(fitting.num_rows, 'review')} to train on, {validation.num_rows:,} to choose "
        f"the epoch, {dataset.test.num_rows:,} to test on at the end"
    )
    _tell_of_few_judges(validation.num_rows, dataset.test.num_rows)
    return dataset, fitting, validation


def _tell_of_few_judges(validation: int, test: int) -> None:
    """Warn where so few reviews judge that figures say little."""
    parts = {"choose the epoch": validation, "test": test}
    if few := [f"{rows:,} to {what}" for what, rows in parts.items() if rows < FEW_JUDGES]:
        say(
            f"Warning: only {' and '.join(few)}: by chance figures of so few are off by ten points "
            "and more, and so is the comparison with the linear model. Label more, or hold out "
            "more (--validation)"
        )


def _check_threshold(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse a threshold where the label with the greatest probability is predicted."""
    if recipe.threshold != NO_THRESHOLD and len(dataset.labels) > 2:
        raise InputError(
            f"--threshold {recipe.threshold}: {dataset.name} has {len(dataset.labels)} labels, of "
            "which the likeliest is predicted. A threshold is for two; leave it out"
        )


def _parts(request: Request, dataset: Dataset, near: Near) -> tuple[pa.Table, pa.Table]:
    """Return the rows to train on and those to validate by."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    share, seed = request.recipe.validation, request.parts_seed
    with named(f"{dataset.name}, training part"):
        return split_rows(dataset.train, share, seed, dataset.labels, near)


def _check_score_column(request: Request, dataset: Dataset) -> None:
    """Refuse a column of scores that was asked for and is in none of the files that are read."""
    asked = request.score_column
    if asked in (None, NO_COLUMN, dataset.score_column):
        return
    path = unlabelled_path(request, dataset) if request.recipe.self_training else None
    wanted = set(score_columns(asked, dataset.labels))
    if path is None or not wanted & set(read_schema(path, request.delimiter).names):
        places = dataset.name if path is None else f"{dataset.name} and {path}"
        raise InputError(
            f"--score-column {asked}: no such column in {places}, expected one of probabilities. "
            "Name another; scores of an unlabelled file are read with --self-training"
        )


def _check_parts(prepared: Prepared) -> None:
    """Refuse parts without a single token.

    Raises:
        InputError: naming the part.
    """
    test = texts_of(prepared.dataset.test)
    parts = {
        "trained on": (len(prepared.fitting_texts), prepared.fitting_texts.lengths.any()),
        "held out": (len(prepared.validation_texts), prepared.validation_texts.lengths.any()),
        "to test on": (len(test), _has_token(prepared.encoder, test)),
    }
    for name, (reviews, has_token) in parts.items():
        if not has_token:
            raise InputError(
                f"{prepared.dataset.name}: the {reviews:,} reviews that are {name} have no token "
                "(nothing but HTML breaks or white space), expected words"
            )


def _has_token(encoder: Encoder, texts: pa.Array) -> bool:
    """Whether any text has a token; mostly the first ones tell."""
    starts = range(0, len(texts), ENCODED_AT_ONCE)
    return any(encoder.encode(texts.slice(i, ENCODED_AT_ONCE)).lengths.any() for i in starts)


def columns_of(request: Request) -> Columns:
    """Return where texts, labels and scores stand."""
    return Columns(
        request.text_column,
        request.label_column,
        request.score_column,
        request.delimiter,
        request.group_column,
    )


def text_settings(recipe: Recipe) -> TextSettings:
    """Return how the recipe turns text into tokens, with the installed spaCy."""
    return TextSettings(
        language=recipe.language,
        spacy_version=spacy_version(),
        lower=recipe.lower,
        html_breaks=recipe.html_breaks,
        max_tokens=recipe.max_tokens,
        head_tokens=recipe.head_tokens,
    )


def training_settings(recipe: Recipe) -> TextSettings:
    """Return how the texts that are trained on become tokens: cut to `training_tokens`.

    A step takes as long as its sequences are; a network that pools over all tokens has no trouble
    with longer ones afterwards.
    """
    longest = min(recipe.training_tokens, recipe.max_tokens)
    head = recipe.head_tokens * longest // recipe.max_tokens
    return replace(text_settings(recipe), max_tokens=longest, head_tokens=head)


def texts_of(table: pa.Table) -> pa.Array:
    """Return the column `text` as one array: (R,) large_string."""
    return table["text"].combine_chunks()


def labels_of(table: pa.Table) -> Labels:
    """Return the column `label`: (R,) int16 numbers of labels; of two, 1 is the positive one."""
    labels: Labels = table["label"].to_numpy()
    return labels


def targets_of(table: pa.Table) -> npt.NDArray[np.float32]:
    """Return what rows are trained towards, (R,) or (R, K) float32: the scores, else the label."""
    scores = scores_of(table)
    numbers = table["label"].fill_null(NO_LABEL).to_numpy()
    truth = certain(numbers, label_count(scores))
    return np.where(np.isnan(scores), truth, scores)


def truth_of(table: pa.Table) -> npt.NDArray[np.float32]:
    """Return the labels as probabilities, (R,) or (R, K); the scores of rows without a label."""
    scores = scores_of(table)
    numbers = table["label"].fill_null(NO_LABEL).to_numpy()
    truth = certain(numbers, label_count(scores))
    return np.where((numbers == NO_LABEL).reshape(-1, *[1] * (truth.ndim - 1)), scores, truth)


def scores_of(table: pa.Table) -> npt.NDArray[np.float32]:
    """Return a teacher's probabilities, the column `score`: (R,) or (R, K) float32, else NaN."""
    column = table["score"].combine_chunks()
    if not pa.types.is_fixed_size_list(column.type):
        scores: npt.NDArray[np.float32] = column.to_numpy(zero_copy_only=False)
        return scores
    scores = np.full((len(column), column.type.list_size), np.nan, np.float32)
    is_scored = column.is_valid().to_numpy(zero_copy_only=False)
    scores[is_scored] = column.flatten().to_numpy().reshape(-1, column.type.list_size)
    return scores


def class_weights(fitting: pa.Table, rule: str, classes: int) -> npt.NDArray[np.float64]:
    """Return what a row of each class counts: (K,) float64, 1 in the mean over the labelled rows.

    Args:
        fitting: (R,) `label`, perhaps with gaps.
        rule: `none`, or `balanced`: the rows of each class count as much as those of any other.
        classes: K.
    """
    if rule == "none":
        return np.ones(classes)
    counts = np.bincount(fitting["label"].drop_null().to_numpy(), minlength=classes)
    return np.asarray(counts.sum() / (classes * np.maximum(counts, 1)), np.float64)


def row_weights(prepared: Prepared) -> npt.NDArray[np.float64]:
    """Return what each text that is trained on counts, (R,): by its probability of each label."""
    targets = of_each_label(prepared.targets.astype(np.float64))  # (R, K)
    weights: npt.NDArray[np.float64] = targets @ prepared.class_weights
    return weights


def validates_alike(kept: pa.Table, prepared: Prepared) -> bool:
    """Tell whether the validation reviews that a checkpoint keeps are the first of this run's."""
    now = prepared.validation["text"].slice(0, kept.num_rows)
    return bool(kept["text"].to_pylist() == now.to_pylist())


def ids_of(table: pa.Table) -> list[str]:
    """Return what tells the reviews apart, the column `id`: R strings."""
    ids: list[str] = table["id"].to_pylist()
    return ids


def _vocabulary(fitting: pa.Table, text: TextSettings, recipe: Recipe) -> Vocabulary:
    """Take the most frequent tokens of the reviews that are trained on, and of no other."""
    return Vocabulary.from_counts(Tokenizer(text).count(texts_of(fitting)), recipe.vocabulary)


def _check_same_data(saved: Begun, dataset: Dataset, text: TextSettings) -> None:
    """Refuse to go on with other data or another tokenizer than the run began with."""
    before = saved.record.data.sha256
    if before != dataset.sha256:
        raise InputError(
            f"--resume: the data's SHA-256 is {dataset.sha256[:12]}…, the run began with "
            f"{before[:12]}…. Start anew without --resume"
        )
    if saved.text != text:
        raise InputError(
            f"--resume: the run began with spaCy {saved.text.spacy_version}, installed is "
            f"{text.spacy_version}. Install that version, or start anew without --resume"
        )


def read_unlabelled_texts(request: Request, dataset: Dataset) -> pa.Array | None:
    """Return the texts that have no label, (U,) large_string, where there are any.

    Raises:
        InputError: the file cannot be read.
    """
    path = unlabelled_path(request, dataset)
    texts = read_unlabelled(path, columns_of(request)) if path else None
    return texts if texts is not None and len(texts) else None


def read_scored_texts(
    request: Request, dataset: Dataset
) -> tuple[pa.Table | None, tuple[str, ...]]:
    """Return the same texts with their scores (`text`, `score`), and what there is to say of them.

    Raises:
        InputError: the file cannot be read, or the score column holds no probabilities.
    """
    path = unlabelled_path(request, dataset)
    table, notes = read_scored(path, columns_of(request), dataset.labels) if path else (None, ())
    return (table if table is not None and table.num_rows else None), notes


def _unlabelled_in_use(request: Request, dataset: Dataset) -> pa.Array | None:
    """Return the unlabelled texts where the recipe learns anything from them."""
    recipe = request.recipe
    if not (recipe.self_training or recipe.vectors == "corpus"):
        return None
    return read_unlabelled_texts(request, dataset)


def unlabelled_path(request: Request, dataset: Dataset) -> Path | None:
    """Return the file of unlabelled texts: the one asked for, else the data folder's."""
    return request.unlabelled or dataset.unlabelled


def initial_vectors(request: Request, prepared: Prepared) -> Vectors | None:
    """Return the vectors that the recipe starts the embedding from, if any.

    Raises:
        InputError: the vectors cannot be read.
    """
    recipe = request.recipe
    if recipe.vectors == "none":
        return None
    if recipe.vectors == "corpus":
        vectors = _corpus_vectors(request, prepared)
    else:
        vectors = load_vectors(recipe.vectors, prepared.vocabulary, recipe.embedding, request.seed)
    say(f"vectors: {vectors.coverage:.1%} of the vocabulary found in {vectors.source}")
    return vectors


def _corpus_vectors(request: Request, prepared: Prepared) -> Vectors:
    """Fit word2vec on the reviews that are trained on and on those without a label."""
    texts = [texts_of(prepared.fitting)]
    if (further := read_unlabelled_texts(request, prepared.dataset)) is not None:
        texts.append(further)
    return fit_vectors(
        pa.concat_arrays(texts),
        prepared.text,
        prepared.vocabulary,
        request.recipe.embedding,
        request.seed,
        torch.get_num_threads(),
    )


def begin_record(request: Request, prepared: Prepared, device: torch.device) -> TrainingRecord:
    """Write down what is known of a run before it starts."""
    dataset = prepared.dataset
    return TrainingRecord(
        recipe=request.recipe.to_json(),
        seed=request.seed,
        split_seed=request.split_seed,
        device=str(device),
        threads=torch.get_num_threads(),
        data=DataRecord(
            name=dataset.name,
            sha256=dataset.sha256,
            text_column=request.text_column,
            label_column=request.label_column,
            score_column=request.score_column,
            delimiter=request.delimiter,
            group_column=request.group_column,
            positive=request.positive,
            labels=request.labels,
            ordinal=request.ordinal,
            found_text_column=dataset.text_column,
            training_reviews=prepared.fitting.num_rows,
            unlabelled=str(request.unlabelled) if request.unlabelled else None,
        ),
        teacher=tuple(map(str, request.teacher)),
        versions={
            "sent-toolkit": infer.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
            "spacy": spacy_version(),
        },
    )

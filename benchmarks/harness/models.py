"""Models to measure with: trained ones where they are given, else with random weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import onnx
import pyarrow as pa

from benchmarks.harness import SEED
from benchmarks.harness.contract import Settings
from benchmarks.harness.reviews import reviews
from infer.model.card import ModelCard
from infer.model.file import read_model_file, stamp
from infer.text.batching import pad, plan_batches
from infer.text.encoding import EncodedTexts, Encoder
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer
from infer.text.vocabulary import Vocabulary

VOCABULARY_ROWS: Final = 5_000
Batch = tuple[Any, Any]


@dataclass(frozen=True)
class Subject:
    """A PyTorch model with what it takes to make a model file of it."""

    model: Any
    vocabulary: Vocabulary
    text: TextSettings


def model_path(settings: Settings, name: str) -> Path:
    """Return a model file: the trained one that was given, or one made on the spot.

    Args:
        settings: trained models, and the work folder.
        name: `article`, `small` or `tiny`, a space, and a precision.
    """
    if name in settings.models:
        return settings.models[name]
    path = settings.work / f"{name.replace(' ', '-')}.onnx"
    if not path.exists():
        size, precision = name.split()
        base = f"{size} fp32"
        if precision != "fp32":
            convert(model_path(settings, base), precision, path)
        else:
            write_model(untrained(settings, size), path)
    return path


def is_trained(settings: Settings, size: str) -> bool:
    """Whether a trained model of this size was given."""
    return f"{size} fp32" in settings.models


def untrained(settings: Settings, size: str) -> Subject:
    """Return a recipe's model with random weights, and a vocabulary of the training reviews."""
    import torch

    from trainer.network.model import ModelConfig, SentimentLSTM
    from trainer.settings.recipe import RECIPES

    recipe = RECIPES["small" if size == "tiny" else size]
    if size == "tiny" or settings.mode == "tiny":
        recipe = replace(recipe, hidden=8, embedding=16, vocabulary=1_000)
    text = TextSettings(
        lower=recipe.lower, html_breaks=recipe.html_breaks, max_tokens=recipe.max_tokens,
        head_tokens=recipe.head_tokens,
    )  # fmt: skip
    texts = reviews(settings, "train", 300 if settings.mode == "tiny" else VOCABULARY_ROWS)
    counts = Tokenizer(text).count(texts["text"].combine_chunks())
    vocabulary = Vocabulary.from_counts(counts, recipe.vocabulary)
    torch.manual_seed(SEED)
    config = ModelConfig(
        len(vocabulary), recipe.embedding, recipe.hidden, recipe.layers, recipe.pooling
    )
    return Subject(SentimentLSTM(config).eval(), vocabulary, text)


def write_model(subject: Subject, path: Path) -> None:
    """Export a subject as an fp32 model file, without a parity check."""
    from exporter.graph.build import build_graph

    labels = ("negative", "positive")
    card = ModelCard(subject.text, subject.vocabulary, labels, "fp32", {}, {}, "benchmark")
    path.write_bytes(stamp(build_graph(subject.model, 17), card))


def convert(source: Path, precision: str, path: Path) -> None:
    """Write an fp32 model file in another precision, its card otherwise the same."""
    from exporter.graph.precision import apply_precision

    file = read_model_file(source)
    graph = apply_precision(onnx.ModelProto.FromString(file.data), precision)
    path.write_bytes(stamp(graph, replace(file.card, precision=precision)))


def encode_with(model: Path, texts: pa.Array) -> EncodedTexts:
    """Encode texts as a model file says."""
    card = read_model_file(model).card
    return Encoder(card.text, card.vocabulary).encode(texts)


def padded_batches(encoded: EncodedTexts, budget: int) -> list[Batch]:
    """Sort all rows by length and pad them in batches: as good as batches can be."""
    return [pad(encoded, rows) for rows in plan_batches(encoded.lengths, budget)]

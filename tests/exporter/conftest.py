"""Tiny checkpoints with weights large enough that a wrong one shows."""

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from exporter.graph.build import build_graph
from exporter.parity.known_answers import TEXTS
from infer.text.settings import TextSettings
from infer.text.tokenizer import Tokenizer, spacy_version
from infer.text.vocabulary import Vocabulary
from trainer.checkpoint.folder import Checkpoint, save_checkpoint
from trainer.checkpoint.record import DataRecord, TrainingRecord
from trainer.network.model import ModelConfig, SentimentLSTM

WORDS = tuple(f"word{i}" for i in range(60))
MAX_TOKENS = 60
RECORD = TrainingRecord(
    recipe={},
    seed=1,
    device="cpu",
    threads=1,
    data=DataRecord("made up", "0", None, None, 1, None),
    teacher=(),
    versions={},
)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny models gain nothing from threads, and lose much to waiting on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def run_in_numpy():
    """The numpy evaluator that stands beside these tests."""
    path = Path(__file__).with_name("numpy_onnx.py")
    spec = importlib.util.spec_from_file_location("numpy_onnx", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run_graph


@pytest.fixture(scope="session")
def new_model():
    """Make an untrained model of the sizes given."""
    return make_model


def make_model(layers=2, pooling="last", hidden=8, seed=1, ngrams=0):
    """Return an untrained model whose logits spread over some units, its n-grams' too."""
    torch.manual_seed(seed)
    config = ModelConfig(
        len(WORDS) + 2, 6, hidden, layers, pooling, ngrams=ngrams, ngram_buckets=997
    )
    model = SentimentLSTM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
        if model.ngrams is not None:
            model.ngrams.weight.normal_()
            model.ngrams.bias.fill_(0.5)
            model.ngrams.mix.copy_(torch.tensor([1.25, 0.75]))
    return model


def make_validation(rows=60, seed=2):
    """Return reviews of 1 to 90 words (some are truncated), labels at random."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, n)) for n in random.integers(1, 90, rows)]
    labels = random.integers(0, 2, rows)
    return pa.table({"text": texts, "label": pa.array(labels, pa.int8())})


def make_checkpoint(model):
    return Checkpoint(
        model=model,
        vocabulary=Vocabulary(("<pad>", "<unk>", *WORDS)),
        text=TextSettings(lower=True, max_tokens=MAX_TOKENS, head_tokens=20),
        labels=("negative", "positive"),
        metrics={"validation": {"accuracy": 0.5}, "data": {"sha256": "0"}},
        record=RECORD,
        validation=make_validation(),
    )


@pytest.fixture(scope="session")
def model_and_graph():
    """Return `model_and_graph(opset, layers, pooling, ngrams)`: an untrained model, its fp32 graph.

    Each is made once; copy before changing it.
    """

    @cache
    def export(opset=17, layers=2, pooling="last", ngrams=0):
        model = make_model(layers, pooling, ngrams=ngrams)
        return model, build_graph(model, opset)

    return export


@pytest.fixture(scope="session")
def checkpoint(model_and_graph):
    """The article's model, small: two layers, last states."""
    return make_checkpoint(model_and_graph()[0])


@pytest.fixture(scope="session")
def pooled_checkpoint(model_and_graph):
    """One layer, maximum and mean."""
    return make_checkpoint(model_and_graph(17, 1, "max_mean")[0])


@pytest.fixture(scope="session")
def wide_checkpoint(model_and_graph):
    """The pooled one with n-grams of up to three tokens."""
    return make_checkpoint(model_and_graph(17, 1, "max_mean", 3)[0])


@pytest.fixture(scope="session")
def folder(checkpoint, tmp_path_factory):
    """The checkpoint on disk."""
    place = tmp_path_factory.mktemp("checkpoint") / "checkpoint"
    save_checkpoint(place, checkpoint, [])
    return place


@pytest.fixture(scope="session")
def graph(model_and_graph):
    """The checkpoint's fp32 graph at opset 17; copy before changing it."""
    return model_and_graph()[1]


@pytest.fixture(scope="session")
def pooled_graph(model_and_graph):
    """The pooled checkpoint's; copy before changing it."""
    return model_and_graph(17, 1, "max_mean")[1]


@pytest.fixture
def with_other_words(checkpoint):
    """The checkpoint with the vocabulary in another order: what a stale file would hold."""
    words = checkpoint.vocabulary.tokens
    return replace(checkpoint, vocabulary=Vocabulary((*words[:2], *reversed(words[2:]))))


@pytest.fixture
def speaking(tmp_path):
    """Return `speaking(labels, settings)`: a checkpoint folder whose words are those of texts."""

    def make(labels, settings):
        text = TextSettings(
            spacy_version=spacy_version(), **{"max_tokens": 40, "head_tokens": 10} | settings
        )
        counts = Tokenizer(text).count(pa.array([text for _, text in TEXTS]))
        tokens = [*sorted(counts)[::2], "good", "film", "the", "bad"]
        vocabulary = Vocabulary(("<pad>", "<unk>", *dict.fromkeys(tokens)))
        torch.manual_seed(labels)
        model = SentimentLSTM(ModelConfig(len(vocabulary), 6, 8, 1, "max_mean", labels=labels))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2.5)
        names = ("negative", "positive") if labels == 2 else ("a", "b", "c", "d")[:labels]
        table = pa.table({"text": ["good film", "a film"] * 9, "label": [0, 1] * 9})
        checkpoint = Checkpoint(
            model=model.eval(),
            vocabulary=vocabulary,
            text=text,
            labels=names,
            metrics={},
            record=RECORD,
            validation=table,
            temperature=1.5,
            threshold=0.25 if labels == 2 else 0.5,
        )
        save_checkpoint(tmp_path / "speaking", checkpoint, [])
        return tmp_path / "speaking"

    return make

"""Figures from logits, and logits in the order of the texts."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from infer.text.encoding import Encoder
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.network.evaluate import measure, predict
from trainer.network.model import ModelConfig, SentimentLSTM


def test_figures_by_hand() -> None:
    logits = np.array([2.0, -1.0, 0.5, -3.0, np.nan], np.float32)
    figures = measure(logits, np.array([1, 1, 0, 0, 1], np.int8))
    assert figures["accuracy"] == 0.5
    assert (figures["reviews"], figures["without_text"]) == (4, 1)
    assert set(figures["confusion"].values()) == {1}
    p = 1 / (1 + np.exp(-logits[:4].astype(float)))
    truth = np.array([1, 1, 0, 0])
    assert figures["loss"] == pytest.approx(-np.log(np.where(truth, p, 1 - p)).mean())


def test_large_logits_do_not_overflow() -> None:
    figures = measure(np.array([5000.0, -5000.0], np.float32), np.array([0, 0], np.int8))
    assert figures["loss"] == 2500.0


@pytest.mark.parametrize("batch_tokens", [1, 10, 8192])
def test_logits_come_in_the_order_of_the_texts(batch_tokens: int) -> None:
    torch.manual_seed(0)
    model = SentimentLSTM(ModelConfig(5, embedding=4, hidden=3, layers=1)).train()
    texts = ["a b", "", "c", "a a a a a b c", None, "b c"]
    encoder = Encoder(TextSettings(), Vocabulary(("<pad>", "<unk>", "a", "b", "c")))
    logits = predict(model, encoder.encode(pa.array(texts)), batch_tokens=batch_tokens)
    assert model.training
    assert np.isnan(logits).tolist() == [False, True, False, False, True, False]
    for i in (0, 2, 3, 5):
        alone = predict(model, encoder.encode(pa.array([texts[i]])))
        assert logits[i] == pytest.approx(alone[0], abs=1e-6)

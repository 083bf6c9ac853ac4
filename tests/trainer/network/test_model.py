"""The model is torch's packed bidirectional LSTM, whatever stands in the padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from infer.text.vocabulary import PAD_ID
from trainer.network.model import Dropout, ModelConfig, SentimentLSTM, reorder, reversal

V, B, T = 40, 7, 23


def make(pooling: str = "last", **changes: float) -> SentimentLSTM:
    torch.manual_seed(5)
    config = ModelConfig(V, embedding=9, hidden=11, layers=2, pooling=pooling, dropout=0.0)
    return SentimentLSTM(ModelConfig(**{**vars(config), **changes}))


def batch(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make input_ids (B, T) int64, padded, and lengths (B,) int32."""
    random = np.random.default_rng(seed)
    ids = random.integers(1, V, (len(lengths), max(lengths)))
    ids[np.arange(max(lengths)) >= np.array(lengths)[:, None]] = PAD_ID
    return torch.from_numpy(ids), torch.tensor(lengths, dtype=torch.int32)


def packed_twin(model: SentimentLSTM) -> nn.LSTM:
    """Make torch's own bidirectional LSTM with the same weights."""
    sizes = model.config
    twin = nn.LSTM(
        sizes.embedding, sizes.hidden, sizes.layers, batch_first=True, bidirectional=True
    )
    for layer in range(sizes.layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            for layers, suffix in ((model.forward_layers, ""), (model.backward_layers, "_reverse")):
                source = getattr(layers[layer], f"{name}_l0")
                getattr(twin, f"{name}_l{layer}{suffix}").data.copy_(source)
    return twin


def packed_logits(model: SentimentLSTM, twin: nn.LSTM, ids: Tensor, lengths: Tensor) -> Tensor:
    embedded = model.embedding(ids)
    packed = pack_padded_sequence(embedded, lengths.long(), batch_first=True, enforce_sorted=False)
    output, (last, _) = twin(packed)
    if model.config.pooling == "last":
        pooled = torch.cat((last[-2], last[-1]), dim=1)
    else:
        states, _ = pad_packed_sequence(output, batch_first=True)
        rows = [states[i, :n] for i, n in enumerate(lengths.tolist())]
        pooled = torch.stack([torch.cat((row.amax(0), row.mean(0))) for row in rows])
    return model.classifier(pooled)[:, 0]


@pytest.mark.parametrize("pooling", ["last", "max_mean"])
def test_equals_packed_lstm_forwards_and_backwards(pooling: str) -> None:
    model = make(pooling)
    twin = packed_twin(model)
    ids, lengths = batch([23, 1, 2, 17, 5, 23, 9])
    ours, theirs = model(ids, lengths), packed_logits(model, twin, ids, lengths)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)

    ours.square().sum().backward()
    own = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    theirs.square().sum().backward()
    for name in ("embedding.weight", "classifier.weight", "classifier.bias"):
        assert torch.allclose(own[name], model.get_parameter(name).grad, rtol=0, atol=1e-5)
    for layer in range(2):
        for layers, suffix in (("forward_layers", ""), ("backward_layers", "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                reference = getattr(twin, f"{name}_l{layer}{suffix}").grad
                mine = own[f"{layers}.{layer}.{name}_l0"]
                assert torch.allclose(mine, reference, rtol=0, atol=1e-5), (layers, layer, name)


@pytest.mark.parametrize("pooling", ["last", "max_mean"])
def test_what_stands_in_the_padding_does_not_matter(pooling: str) -> None:
    model = make(pooling).eval()
    ids, lengths = batch([6, 3, 1])
    other = ids.clone()
    other[1, 3:], other[2, 1:] = 7, 8
    assert torch.equal(model(ids, lengths), model(other, lengths))
    wider = torch.nn.functional.pad(ids, (0, 10), value=PAD_ID)
    assert torch.allclose(model(ids, lengths), model(wider, lengths), rtol=0, atol=1e-6)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=9), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_row_alone_scores_as_among_batch_mates(lengths: list[int], seed: int) -> None:
    for pooling in ("last", "max_mean"):
        model = make(pooling).eval()
        ids, sizes = batch(lengths, seed)
        together = model(ids, sizes)
        alone = [model(ids[i : i + 1, :n], sizes[i : i + 1]) for i, n in enumerate(lengths)]
        assert torch.allclose(together, torch.cat(alone), rtol=0, atol=1e-6)


def test_reversal_turns_each_row_within_its_length_and_undoes_itself() -> None:
    flip = reversal(torch.tensor([3, 1, 4]), 4)
    assert flip.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3], [3, 2, 1, 0]]
    states = torch.randn(3, 4, 2)
    assert torch.equal(reorder(reorder(states, flip), flip), states)


def test_embedding_dropout_drops_whole_tokens_in_training_only() -> None:
    model = make(embedding_dropout=0.5)
    ids = torch.arange(1, V)[None, :].repeat(2, 1)
    dropped = (model.train().embed(ids) == 0).all(dim=2)
    assert dropped.any() and not dropped.all()
    assert torch.equal(dropped[0], dropped[1])
    assert torch.equal(model.eval().embed(ids), model.embedding(ids))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.95])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(1)
    ones = torch.ones(333, 1001, requires_grad=True)
    dropped = Dropout(rate)(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=0.003)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped)
    assert torch.equal(Dropout(rate).eval()(ones), ones)

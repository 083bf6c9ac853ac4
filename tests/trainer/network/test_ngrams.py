"""Hashed n-grams: each has its bucket, a text's logit is the sum of its own, whatever is beside."""

import numpy as np
import pytest
import torch

from infer.text.encoding import EncodedTexts
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.ngrams import FACTORS, PRIME, SHIFTS, NGrams, bucket_of, sums_of, text_sums

BUCKETS = 1009
TEXTS = [[5, 9, 5], [7], [], [5, 9, 11, 2, 40_000]]


def encode(texts: list[list[int]]) -> EncodedTexts:
    ids = np.array([i for text in texts for i in text], np.int32)
    offsets = np.cumsum([0, *map(len, texts)])
    return EncodedTexts(ids, offsets, np.zeros(len(texts), np.uint8))


def by_hand(text: list[int], n: int) -> list[int]:
    """Return the buckets of the n-grams that end in each token, in Python's own numbers."""
    padded = [0] * (n - 1) + text
    grams = [padded[i : i + n][::-1] for i in range(len(text))]
    return [
        (sum(f * i for f, i in zip(FACTORS, gram, strict=False)) + SHIFTS[n - 1]) % PRIME % BUCKETS
        for gram in grams
    ]


@pytest.fixture
def model() -> NGrams:
    torch.manual_seed(3)
    model = NGrams(3, BUCKETS)
    model.weight.normal_()
    model.bias.fill_(0.25)
    return model


def test_buckets_are_those_of_the_formula() -> None:
    found = bucket_of(text_sums(encode(TEXTS), 5), BUCKETS)
    assert [n.tolist() for n in found] == [
        [bucket for text in TEXTS for bucket in by_hand(text, n)] for n in range(1, 6)
    ]


def test_numpy_and_pytorch_hash_alike_up_to_the_largest_ids() -> None:
    ids = np.random.default_rng(1).integers(0, 2**24, (5, 1000))
    arrays = bucket_of(np.stack(sums_of(list(ids))), 2**20)
    tensors = bucket_of(torch.stack(sums_of(list(torch.from_numpy(ids)))), 2**20)
    assert np.array_equal(arrays, tensors.numpy())
    assert arrays.min() >= 0 and arrays.max() < 2**20


def test_few_n_grams_share_a_bucket() -> None:
    """As many as chance would have it: of 50,000 in 2^20 buckets about 2.3 % find theirs taken."""
    random = np.random.default_rng(2)
    pairs = np.unique(random.integers(1, 30_000, (50_000, 2)), axis=0).T
    for sums in sums_of(list(pairs))[1:]:
        hashed = bucket_of(sums, 2**20)
        taken = 1 - len(np.unique(hashed)) / len(hashed)
        assert 0.018 < taken < 0.03


def test_a_logit_is_the_sum_of_the_texts_own_n_grams(model: NGrams) -> None:
    weight = model.weight.double().numpy()
    for text in filter(None, TEXTS):
        padded = torch.tensor([[*text, 99, 98, 97]])
        found = model(padded, torch.tensor([len(text)], dtype=torch.int32))
        expected = sum(weight[by_hand(text, n)].sum() for n in (1, 2, 3)) + 0.25
        assert found.shape == (1, 1)
        assert float(found) == pytest.approx(expected, rel=1e-6)


def test_a_text_has_the_same_bits_in_any_batch(model: NGrams) -> None:
    random = np.random.default_rng(4)
    lengths = torch.from_numpy(random.integers(1, 300, 40, np.int32))
    ids = torch.from_numpy(random.integers(1, 30_000, (40, 700)))
    together = model(ids, lengths)
    for row in range(40):
        alone = model(ids[row : row + 1, : lengths[row]], lengths[row : row + 1])
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("pooling", ["last", "max_mean"])
def test_the_model_adds_both_logits_as_they_are_weighed(pooling: str) -> None:
    torch.manual_seed(5)
    config = ModelConfig(50, 8, 6, 1, pooling, ngrams=2, ngram_buckets=BUCKETS)
    model = SentimentLSTM(config).eval()
    assert model.ngrams is not None
    model.ngrams.weight.normal_()
    model.ngrams.mix.copy_(torch.tensor([1.5, 0.5]))
    ids, lengths = torch.randint(1, 50, (4, 9)), torch.tensor([9, 1, 4, 7])
    with torch.inference_mode():
        deep, wide = model.deep(ids, lengths), model.wide(ids, lengths)
        assert wide.shape == (4,) and not torch.equal(deep, wide)
        assert torch.allclose(model(ids, lengths), 1.5 * deep + 0.5 * wide)


def test_a_training_step_leaves_the_n_grams_alone() -> None:
    model = SentimentLSTM(ModelConfig(50, 8, 6, 1, ngrams=2, ngram_buckets=BUCKETS))
    names = {name for name, _ in model.named_parameters()}
    assert not any(name.startswith("ngrams") for name in names)
    assert {"ngrams.weight", "ngrams.bias", "ngrams.mix"} <= model.state_dict().keys()

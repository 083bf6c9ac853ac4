"""Batches hold every row once, within both bounds, in an order that (seed, epoch) decides."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from infer.text.batching import padding_share
from infer.text.encoding import ENCODED_AT_ONCE, Encoder
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary
from trainer.data.epoch_batches import encode_with_bar, epoch_batches


@given(
    lengths=st.lists(st.integers(0, 90), max_size=200),
    batch_size=st.integers(1, 20),
    batch_tokens=st.integers(1, 400),
)
def test_each_row_with_tokens_once_within_the_bounds(
    lengths: list[int], batch_size: int, batch_tokens: int
) -> None:
    sizes = np.array(lengths, np.int64)
    batches = epoch_batches(sizes, batch_size, batch_tokens, seed=1, epoch=1)
    rows = np.concatenate([np.zeros(0, np.int64), *batches])
    assert sorted(rows) == list(np.flatnonzero(sizes))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * sizes[batch].max() <= batch_tokens


def test_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 500)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(lengths, 30, 30_000, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_padding_stays_small() -> None:
    lengths = np.random.default_rng(0).geometric(1 / 270, 20_000).clip(10, 1000)
    assert padding_share(lengths, epoch_batches(lengths, 30, 30_000, 1, 1)) < 0.06


def test_encoding_in_blocks_equals_encoding_at_once() -> None:
    texts = pa.array([f"a b{i % 7} c" if i % 11 else None for i in range(ENCODED_AT_ONCE + 5)])
    encoder = Encoder(TextSettings(), Vocabulary(("<pad>", "<unk>", "a", "b3")))
    parts, whole = encode_with_bar(encoder, texts, "encoding"), encoder.encode(texts)
    for name in ("ids", "offsets", "statuses"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name
        assert getattr(parts, name).dtype == getattr(whole, name).dtype
    assert len(encode_with_bar(encoder, texts.slice(0, 0), "encoding")) == 0

"""The model: embedding → bidirectional LSTM layers → pooling → linear → logits.

Beside this deep part there may be a wide one, `trainer.network.ngrams`, whose logit is added.

Lengths are honoured in both directions without packing. The backward direction reads each row
reversed within its own length (a gather), so padding comes after the row's last token in both
directions and never reaches a state that is used. That computes what
`torch.nn.utils.rnn.pack_padded_sequence` computes, in a fifteenth of the time on a CPU, and leaves
cuDNN its fast kernels, which packing shuts out.

Two labels have one logit, that of the positive one; K labels, K > 2, have K.

Legend: B batch, T tokens, E embedding, H hidden size of one direction.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch
from torch import Tensor, nn

from infer.model.probability import row_shape
from infer.text.vocabulary import PAD_ID
from trainer.network.ngrams import NGrams

POOLINGS: Final = ("last", "max_mean")


@dataclass(frozen=True)
class ModelConfig:
    """The sizes that decide the weights' shapes.

    Attributes:
        vocabulary_size: ids, the two special ones included.
        embedding: size E of a token's vector.
        hidden: size H of each direction's state.
        layers: stacked bidirectional layers.
        pooling: `last` (the final state of each direction) or `max_mean` (the maximum beside the
            mean over the tokens, of both directions).
        dropout: probability with which activations are dropped in training.
        embedding_dropout: probability with which a token's vector is dropped in training,
            wherever the token stands in the batch.
        ngrams: longest n-gram that has a weight of its own; 0: there is no wide part.
        ngram_buckets: size of the table that n-grams are hashed into.
        labels: how many the texts are told apart by. A checkpoint has their names, so it is not
            written beside these sizes.
    """

    vocabulary_size: int
    embedding: int = 100
    hidden: int = 256
    layers: int = 2
    pooling: str = "last"
    dropout: float = 0.5
    embedding_dropout: float = 0.0
    ngrams: int = 0
    ngram_buckets: int = 2**20
    labels: int = 2

    @property
    def pooled(self) -> int:
        """Size of the pooled vector that the linear layer reads."""
        return 2 * self.hidden * (2 if self.pooling == "max_mean" else 1)

    @property
    def logits(self) -> int:
        """Logits of a text: 1 for two labels, else one a label."""
        return math.prod(row_shape(self.labels))


class Dropout(nn.Module):
    """`nn.Dropout` with a fifth of its time on the CPU.

    Drawing one number an element took 9 % of a training step there; this draws 16 bits an element,
    so the rate is right to 1 / 65,536.
    """

    def __init__(self, rate: float) -> None:
        """Drop each element with probability `rate` in training."""
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape, scale the others; in evaluation do nothing."""
        if not self.training or self.rate == 0.0:
            return values
        if values.device.type != "cpu":
            return nn.functional.dropout(values, self.rate)
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        bits = words.view(torch.int16)[: values.numel()].view(values.shape)
        kept = bits >= round(self.rate * 2**16) - 2**15
        return values * kept * (1.0 / (1.0 - self.rate))


class SentimentLSTM(nn.Module):
    """The BiLSTM classifier: embedding, bidirectional layers, pooling, logits; and its n-grams.

    Its `state_dict` is what `weights.safetensors` holds; PyTorch's gate order is i, f, g, o.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Make the layers with PyTorch's default initialisation; the padding vector is zero."""
        super().__init__()
        self.config, self.labels = config, config.labels
        inputs = [config.embedding, *[2 * config.hidden] * (config.layers - 1)]
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding, padding_idx=PAD_ID)
        self.forward_layers = nn.ModuleList(
            nn.LSTM(size, config.hidden, batch_first=True) for size in inputs
        )
        self.backward_layers = nn.ModuleList(
            nn.LSTM(size, config.hidden, batch_first=True) for size in inputs
        )
        self.dropout = Dropout(config.dropout)
        self.classifier = nn.Linear(config.pooled, config.logits)
        self.ngrams = (
            NGrams(config.ngrams, config.ngram_buckets, config.labels) if config.ngrams else None
        )
        self.generator: torch.Generator | None = None

    def draw_from(self, generator: torch.Generator) -> None:
        """Draw what training drops on the CPU from a generator other than PyTorch's own one."""
        self.generator = self.dropout.generator = generator

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute the logits, of the positive label or of each.

        Args:
            input_ids: (B, T) int64 or int32, padded behind each row.
            lengths: (B,) integers from 1 to T.

        Returns:
            (B,) or (B, K) float32 logits. A row's logits do not depend on its batch-mates.
        """
        deep = self.deep(input_ids, lengths)
        if self.ngrams is None:
            return deep
        mix = self.ngrams.mix
        return mix[0] * deep + mix[1] * self.wide(input_ids, lengths)

    def deep(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute the network's own logits, what a training step improves."""
        return self.classify(self.embed(input_ids), lengths)

    def wide(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Compute the logits of the n-grams alone, where there are some."""
        if self.ngrams is None:
            raise AssertionError("a network without n-grams was asked for theirs")
        return as_logits(self.ngrams(input_ids, lengths))

    def embed(self, input_ids: Tensor) -> Tensor:
        """Look the token vectors up: (B, T) → (B, T, E); in training some tokens are dropped."""
        embedded: Tensor = self.embedding(input_ids)
        rate = self.config.embedding_dropout
        if not self.training or rate == 0.0:
            return embedded
        drawn = torch.rand(
            self.config.vocabulary_size, generator=self.generator, device=embedded.device
        )
        kept = drawn >= rate  # (V,)
        return embedded * (kept / (1.0 - rate))[input_ids][:, :, None]

    def classify(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Compute the deep logits from token vectors (B, T, E); perturbations go in between."""
        pooled = self.pool(self.encode(embedded, lengths), lengths)
        return as_logits(self.classifier(self.dropout(pooled)))

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Run the LSTM layers: (B, T, E) → (B, T, 2H); positions behind a row are undefined."""
        states = embedded
        flip = reversal(lengths, embedded.shape[1])  # (B, T)
        for forward, backward in zip(self.forward_layers, self.backward_layers, strict=True):
            states = self.dropout(states)
            with second_stream(states, flip) as second:
                behind = reorder(backward(reorder(states, flip))[0], flip)  # (B, T, H)
            ahead = forward(states)[0]  # (B, T, H)
            wait_for(second, behind)
            states = torch.cat((ahead, behind), dim=2)  # (B, T, 2H)
        return states

    def flatten(self) -> None:
        """Lay each LSTM's weights in one block, as cuDNN wants them; a copied network's are not."""
        for layer in (*self.forward_layers, *self.backward_layers):
            layer.flatten_parameters()

    def pool(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Reduce the states (B, T, 2H) over each row's own tokens: (B, 2H) or (B, 4H)."""
        hidden = self.config.hidden
        if self.config.pooling == "last":
            rows = torch.arange(len(states), device=states.device)
            return torch.cat((states[rows, lengths - 1, :hidden], states[:, 0, hidden:]), dim=1)
        padding = positions(states.shape[1], states.device) >= lengths[:, None]  # (B, T)
        highest = states.masked_fill(padding[:, :, None], -torch.inf).amax(dim=1)
        total = states.masked_fill(padding[:, :, None], 0.0).sum(dim=1)
        return torch.cat((highest, total / lengths[:, None]), dim=1)


def as_logits(columns: Tensor) -> Tensor:
    """Return the linear layer's columns as logits: (B, 1) → (B,) of two labels, else (B, K)."""
    return columns.squeeze(1) if columns.shape[1] == 1 else columns


@contextmanager
def second_stream(*read: Tensor) -> Iterator[torch.cuda.Stream | None]:
    """On a GPU, compute the block on a stream beside the current one; elsewhere do nothing.

    A step of one direction leaves most of a GPU idle. Gradients take the same two streams, which
    PyTorch itself makes wait for each other.

    Args:
        read: what the block reads; its memory is not given away before the block is done.
    """
    device = read[0].device
    if device.type != "cuda":
        yield None
        return
    stream = _stream_of(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    for tensor in read:
        tensor.record_stream(stream)
    with torch.cuda.stream(stream):
        yield stream


def wait_for(stream: torch.cuda.Stream | None, made: Tensor) -> None:
    """Let the current stream wait for another, on which `made` was computed."""
    if stream is not None:
        current = torch.cuda.current_stream(made.device)
        current.wait_stream(stream)
        made.record_stream(current)


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """Return the one further stream that is used on a GPU."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def positions(length: int, device: torch.device) -> Tensor:
    """Return the positions 0 … length-1 as a row: (1, T) int64."""
    return torch.arange(length, device=device)[None, :]


def reversal(lengths: Tensor, length: int) -> Tensor:
    """Return where each position's opposite stands: (B, T) int64, padding stays in its place."""
    place = positions(length, lengths.device)
    opposite = lengths[:, None] - 1 - place
    return torch.where(opposite >= 0, opposite, place)


def reorder(states: Tensor, places: Tensor) -> Tensor:
    """Gather (B, T, F) along the tokens by (B, T) places."""
    return states.gather(1, places[:, :, None].expand(-1, -1, states.shape[2]))

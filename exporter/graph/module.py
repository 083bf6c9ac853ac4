"""The export-only module: `SentimentLSTM` stated in ONNX's operators, weights in ONNX's order.

PyTorch's exporter has no translation for packed sequences, and the trainer's reversal by gather
would leave shape arithmetic in the graph. Here the LSTM is the ONNX operator itself, which takes
the lengths. https://onnx.ai/onnx/operators/onnx__LSTM.html

Legend: B batch, T tokens, E embedding, H hidden size of one direction, P pooled size, K labels.
"""

from typing import Final

import torch
from torch import Tensor, nn

from trainer.network.model import SentimentLSTM, as_logits

# PyTorch stacks the gates as input, forget, cell, output; ONNX as input, output, forget, cell.
ONNX_GATES: Final = (0, 3, 1, 2)


class Embedding(nn.Module):
    """Look token vectors up and lay the tokens first, as the LSTM operator wants them."""

    def __init__(self, embedding: nn.Embedding) -> None:
        """Keep the table (vocabulary, E)."""
        super().__init__()
        self.register_buffer("weight", embedding.weight.detach())
        self.weight: Tensor

    def forward(self, input_ids: Tensor) -> Tensor:
        """Token ids (B, T) int64 → vectors (T, B, E)."""
        return nn.functional.embedding(input_ids.transpose(0, 1), self.weight)


class BidirectionalLayer(nn.Module):
    """Both directions of one layer as a single ONNX `LSTM`."""

    def __init__(self, directions: tuple[nn.Module, nn.Module], hidden: int) -> None:
        """Stack the weights of the forward and the backward direction in ONNX's order."""
        super().__init__()
        self.hidden = hidden
        self.register_buffer("W", stack_gates(directions, "weight_ih_l0"))  # (2, 4H, E)
        self.register_buffer("R", stack_gates(directions, "weight_hh_l0"))  # (2, 4H, H)
        biases = [stack_gates(directions, name) for name in ("bias_ih_l0", "bias_hh_l0")]
        self.register_buffer("B", torch.cat(biases, dim=1))  # (2, 8H)
        self.W: Tensor
        self.R: Tensor
        self.B: Tensor

    def forward(self, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States (T, B, E), lengths (B,) int32 → all states (T, 2, B, H), last ones (2, B, H)."""
        tokens, rows, _ = states.shape
        every, last = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (states, self.W, self.R, self.B, lengths),
            attrs={"direction": "bidirectional", "hidden_size": self.hidden},
            dtypes=(states.dtype, states.dtype),
            shapes=((tokens, 2, rows, self.hidden), (2, rows, self.hidden)),
        )
        return every, last


class Reshape(nn.Module):
    """ONNX's `Reshape`, where 0 keeps a size: no shape is computed in the graph."""

    def __init__(self, *sizes: int) -> None:
        """Keep the sizes; 0 copies the input's. In the graph the last one is whatever is left."""
        super().__init__()
        self.sizes = sizes
        self.register_buffer("shape", torch.tensor([*sizes[:-1], -1]))
        self.shape: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """Reshape to `sizes`."""
        shape = [size or kept for size, kept in zip(self.sizes, states.shape, strict=False)]
        return torch.onnx.ops.symbolic(
            "Reshape", (states, self.shape), dtype=states.dtype, shape=shape
        )


class Join(nn.Module):
    """Lay the two directions side by side: what the next layer reads."""

    def __init__(self, hidden: int) -> None:
        """Know the size H of one direction."""
        super().__init__()
        self.reshape = Reshape(0, 0, 2 * hidden)

    def forward(self, states: Tensor) -> Tensor:
        """States (T, 2, B, H) → (T, B, 2H)."""
        joined: Tensor = self.reshape(states.transpose(1, 2))  # (T, B, 2, H) → (T, B, 2H)
        return joined


class Pooling(nn.Module):
    """Reduce the last layer's states over each row's own tokens."""

    def __init__(self, pooling: str, pooled: int) -> None:
        """Know the kind, `last` or `max_mean`, and the pooled size P."""
        super().__init__()
        self.pooling = pooling
        self.reshape = Reshape(0, pooled)

    def forward(self, every: Tensor, last: Tensor, lengths: Tensor) -> Tensor:
        """All states (T, 2, B, H), last ones (2, B, H), lengths (B,) int32 → (B, P)."""
        parts = last if self.pooling == "last" else max_mean(every, lengths)
        pooled: Tensor = self.reshape(parts.transpose(0, 1))  # (B, P / H, H) → (B, P)
        return pooled


def max_mean(states: Tensor, lengths: Tensor) -> Tensor:
    """Maximum above mean over each row's tokens: (T, 2, B, H) → (4, B, H).

    Behind a row's end ONNX Runtime's `LSTM` leaves zeros, on the CPU and (cuDNN's `paddingFill`) on
    CUDA: a sum takes no harm, a maximum does. States lie between -1 and 1, so one that is lowered
    by 2 is no maximum. On the CPU a maximum over the last axis, with the transposition that it
    takes, and a mask that is broadcast along it take a third of the time that they take over the
    first. The sum stays there: it adds token after token, so that padding changes no bit of it.
    """
    tokens = lengths.float()[:, None]  # (B, 1)
    place = torch.arange(states.shape[0], dtype=torch.float32)  # (T,)
    lowered = torch.where(place < tokens, 0.0, -2.0)[:, None]  # (B, 1, T)
    highest = (states.permute(1, 2, 3, 0) + lowered).amax(dim=3)  # (2, B, H)
    return torch.cat((highest, states.sum(dim=0) / tokens), dim=0)


class ExportableLSTM(nn.Module):
    """Computes what `SentimentLSTM` computes in evaluation, in ONNX's operators."""

    def __init__(self, model: SentimentLSTM) -> None:
        """Take the weights over; the scopes' names become the names of the graph's nodes."""
        super().__init__()
        config = model.config
        self.embedding = Embedding(model.embedding)
        self.layer = nn.ModuleList(
            BidirectionalLayer(directions, config.hidden)
            for directions in zip(model.forward_layers, model.backward_layers, strict=True)
        )
        self.join = nn.ModuleList(Join(config.hidden) for _ in range(config.layers - 1))
        self.pooling = Pooling(config.pooling, config.pooled)
        self.classifier = model.classifier
        self.ngrams = model.ngrams
        self.mix = [1.0, 1.0] if model.ngrams is None else model.ngrams.mix.tolist()

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B, T) int64, lengths (B,) int32 → logits (B,) or (B, K) float32."""
        every, last = self.layer[0](self.embedding(input_ids), lengths)
        for join, layer in zip(self.join, self.layer[1:], strict=True):
            every, last = layer(join(every), lengths)
        logits: Tensor = self.classifier(self.pooling(every, last, lengths))  # (B, 1) or (B, K)
        if self.ngrams is not None:
            logits = self.mix[0] * logits + self.mix[1] * self.ngrams(input_ids, lengths)
        return as_logits(logits)


def stack_gates(directions: tuple[nn.Module, nn.Module], name: str) -> Tensor:
    """Stack one parameter of both directions, its gates in ONNX's order: (2, 4H, …)."""
    parameters = (getattr(direction, name).detach().chunk(4) for direction in directions)
    return torch.stack([torch.cat([gates[i] for i in ONNX_GATES]) for gates in parameters])

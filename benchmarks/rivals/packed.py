"""The same network the usual way: `torch.nn.LSTM` over `pack_padded_sequence`.

Legend: B batch, T tokens, H hidden size of one direction.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from trainer.network.model import ModelConfig, SentimentLSTM


class PackedLSTM(nn.Module):
    """The article's model, lengths honoured by packing; reads each direction's last state."""

    def __init__(self, config: ModelConfig) -> None:
        """Make the layers."""
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding, padding_idx=0)
        self.lstm = nn.LSTM(
            config.embedding, config.hidden, config.layers, batch_first=True, bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(2 * config.hidden, 1)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (B, T), lengths (B,) → logits (B,)."""
        return self.classify(self.embed(input_ids), lengths)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Look the token vectors up: (B, T) → (B, T, E)."""
        embedded: Tensor = self.embedding(input_ids)
        return embedded

    def flatten(self) -> None:
        """Lay the LSTM's weights out as one block, which is what cuDNN takes (see the trainer)."""
        self.lstm.flatten_parameters()

    def classify(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Compute the logits (B,) from token vectors (B, T, E)."""
        packed = pack_padded_sequence(
            self.dropout(embedded), lengths.cpu().long(), batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)  # (2 layers, B, H)
        logits: Tensor = self.classifier(self.dropout(torch.cat((last[-2], last[-1]), dim=1)))
        return logits[:, 0]


def pack_model(model: SentimentLSTM) -> PackedLSTM:
    """Return the packed network with the same weights; only `last` pooling has one."""
    packed = PackedLSTM(model.config)
    weights = {"embedding.weight": model.embedding.weight}
    weights |= {f"classifier.{n}": p for n, p in model.classifier.named_parameters()}
    for i, forward in enumerate(model.forward_layers):
        for suffix, layer in (("", forward), ("_reverse", model.backward_layers[i])):
            for name, parameter in layer.named_parameters():
                weights[f"lstm.{name.removesuffix('_l0')}_l{i}{suffix}"] = parameter
    packed.load_state_dict(weights)
    return packed

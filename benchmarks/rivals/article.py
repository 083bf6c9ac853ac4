"""The article's way: PyTorch, spaCy a review at a time, padded batches of 30 as they come."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import spacy
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.rivals.command import run

BATCH = 30


class ArticleLSTM(nn.Module):
    """Embedding, two-layer BiLSTM over the padding too, the last states, a linear layer."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, bidirectional=True)
        self.classifier = nn.Linear(2 * hidden, 1)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Token ids (T, B) → logits (B,)."""
        _, (last, _) = self.lstm(self.embedding(input_ids))
        logits: Tensor = self.classifier(torch.cat((last[-2], last[-1]), dim=1))
        return logits[:, 0]


@torch.inference_mode()
def score(texts: list[str], model: Path, by_length: bool = False) -> npt.NDArray[np.float32]:
    """Tokenize one by one, pad batches, run."""
    words = (model / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    index = {word: i for i, word in enumerate(words)}
    tokenizer = spacy.blank("en").tokenizer
    ids = [[index.get(token.text, 1) for token in tokenizer(text)] or [1] for text in texts]
    network = load(model)
    scores = np.zeros(len(texts), np.float32)
    order = list(range(len(ids)))
    if by_length:
        order.sort(key=lambda row: len(ids[row]))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        padded = nn.utils.rnn.pad_sequence([torch.tensor(ids[row]) for row in rows])  # (T, B)
        scores[rows] = torch.sigmoid(network(padded)).numpy()
    return scores


def load(model: Path) -> ArticleLSTM:
    """Read the weights, whose shapes tell the sizes."""
    weights = load_file(model / "weights.safetensors")
    vocabulary, embedding = weights["embedding.weight"].shape
    hidden = weights["lstm.weight_hh_l0"].shape[1]
    layers = sum(name.startswith("lstm.weight_hh") for name in weights) // 2
    network = ArticleLSTM(vocabulary, embedding, hidden, layers)
    network.load_state_dict(weights)
    return network.eval()


if __name__ == "__main__":
    run(score, __doc__ or "")

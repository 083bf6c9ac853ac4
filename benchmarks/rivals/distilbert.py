"""DistilBERT's architecture through ONNX Runtime on the CPU: 256 tokens, random weights.

Words are hashed to ids, which costs less than word pieces do; accuracy is not what is measured.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.rivals.command import run

BATCH = 16
TOKENS = 256


def score(texts: list[str], model: Path) -> npt.NDArray[np.float32]:
    """Hash, cut or fill to 256 tokens, run."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    vocabulary = int((model.parent / "distilbert-vocabulary.txt").read_text(encoding="utf-8"))
    logits = [
        session.run(None, {"input_ids": encode(texts[start : start + BATCH], vocabulary)})[0]
        for start in range(0, len(texts), BATCH)
    ]
    both = np.concatenate(logits)  # (R, 2)
    scores: npt.NDArray[np.float32] = 1 / (1 + np.exp(both[:, 0] - both[:, 1]))
    return scores


def encode(texts: list[str], vocabulary: int) -> npt.NDArray[np.int64]:
    """Return ids (B, 256) int64."""
    ids = np.zeros((len(texts), TOKENS), np.int64)
    for row, text in enumerate(texts):
        hashed = [zlib.crc32(word.encode()) % vocabulary for word in text.split()[:TOKENS]]
        ids[row, : len(hashed)] = hashed
    return ids


def export(path: Path, layers: int = 6, width: int = 768, vocabulary: int = 30_522) -> None:
    """Write the graph: DistilBERT's sizes, random weights."""
    import torch

    from exporter.graph.build import quiet_exporter

    torch.backends.mha.set_fastpath_enabled(False)  # the fast path is one opaque operator
    torch.manual_seed(0)
    example = torch.ones(3, TOKENS, dtype=torch.int64)
    with quiet_exporter():
        program: Any = torch.onnx.export(
            _network(layers, width, vocabulary).eval(), (example,), dynamo=True,
            external_data=False, opset_version=18, input_names=["input_ids"],
            output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )  # fmt: skip
    path.write_bytes(program.model_proto.SerializeToString())
    (path.parent / "distilbert-vocabulary.txt").write_text(str(vocabulary), encoding="utf-8")


def _network(layers: int, width: int, vocabulary: int) -> Any:
    from torch import Tensor, nn

    class Encoder(nn.Module):
        """Word and position vectors, encoder layers, a classifier over the first token."""

        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(vocabulary, width)
            self.places = nn.Embedding(512, width)
            self.norm = nn.LayerNorm(width)
            layer = nn.TransformerEncoderLayer(
                width, width // 64, 4 * width, activation="gelu", batch_first=True
            )
            self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.hidden = nn.Linear(width, width)
            self.classifier = nn.Linear(width, 2)

        def forward(self, input_ids: Tensor) -> Tensor:
            vectors = self.words(input_ids) + self.places.weight[: input_ids.shape[1]]
            first = self.layers(self.norm(vectors))[:, 0]  # (B, width)
            logits: Tensor = self.classifier(nn.functional.relu(self.hidden(first)))
            return logits

    return Encoder()


if __name__ == "__main__":
    run(score, __doc__ or "")

"""Where two models part: the values inside, stage by stage, PyTorch against the exported graph.

Legend: B batch, T tokens, E embedding, H hidden size of one direction, P pooled size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from exporter.graph.int8 import STORED_RANGE, quantize_columns, without_spare
from infer.model.interface import INPUT_IDS, LENGTHS, LOGITS
from trainer.network.model import SentimentLSTM, reorder, reversal

# The last thing added to the sum over the n-grams.
NGRAM_BIAS: Final = "ngrams.bias"
Values = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Stage:
    """One part of the model, in the order of computing, and how far its values are apart.

    Attributes:
        name: `embedding`, `layer 1 forward`, `layer 1 backward`, …, `pooling`, `n-grams` where
            there are some, `logits`.
        largest: largest absolute difference over the rows' own tokens; infinite when a value is
            not finite on one side alone, or the shapes differ.
        differs: whether that is more than the tolerance.
    """

    name: str
    largest: float
    differs: bool


def compare_stages(
    model: SentimentLSTM,
    data: bytes,
    providers: list[Any],
    batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]],
    bound: float,
) -> list[Stage]:
    """Run both models on one batch and compare each stage.

    Args:
        model: PyTorch's, on the CPU.
        data: the model file.
        providers: ONNX Runtime's providers to run on, with their options.
        batch: `input_ids` (B, T) and `lengths` (B,).
        bound: largest difference that counts as agreement, besides as much of each value.
    """
    expected = pytorch_stages(model, *batch)
    found = in_float(onnx_stages(data, providers, *batch), model)
    lengths = batch[1]
    stages = []
    for name, values in expected.items():
        largest, excess = _apart(values, found.get(name), lengths, bound)
        stages.append(Stage(name, largest, excess > 0))
    return stages


def in_float(stages: Values, model: SentimentLSTM) -> Values:
    """Bring an int8 graph's stages to the shapes and units of PyTorch's, others as they are."""
    embedding = model.embedding.weight.detach().numpy()
    if stages["embedding"].shape[2] == embedding.shape[1]:
        return stages
    _, scales = quantize_columns(embedding, 0, STORED_RANGE)  # (1, E)
    hidden = model.config.hidden
    changed = {"embedding": stages["embedding"][..., : embedding.shape[1]] * scales}
    for name, values in stages.items():
        if name == "pooling" or name.startswith("layer"):
            changed[name] = without_spare(values, hidden)
    return stages | changed


def first_difference(stages: list[Stage]) -> str | None:
    """Return the name of the first stage that differs."""
    return next((stage.name for stage in stages if stage.differs), None)


def _apart(
    expected: npt.NDArray[np.float32],
    found: npt.NDArray[np.float32] | None,
    lengths: npt.NDArray[np.int32],
    bound: float,
) -> tuple[float, float]:
    """Return the largest difference, and the largest excess over bound × max(1, |value|)."""
    if found is None or expected.shape != found.shape:
        return float("inf"), float("inf")
    if expected.ndim == 3:  # (B, T, F): what stands behind a row is undefined
        own = np.arange(expected.shape[1]) < lengths[:, None]
        expected, found = expected[own], found[own]
    with np.errstate(invalid="ignore"):
        gaps = np.abs(found.astype(np.float64) - expected)
    gaps[~np.isfinite(gaps)] = np.inf
    gaps[(found == expected) | (np.isnan(found) & np.isnan(expected))] = 0.0
    excess = gaps - bound * np.maximum(1.0, np.nan_to_num(np.abs(expected)))
    return float(gaps.max()), float(excess.max())


@torch.inference_mode()
def pytorch_stages(
    model: SentimentLSTM, input_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
) -> Values:
    """Run PyTorch's model and return each stage's values: (B, T, E or H), (B, P), logits."""
    ids, tokens = torch.from_numpy(input_ids), torch.from_numpy(lengths)
    flip = reversal(tokens, ids.shape[1])
    seen: dict[str, Tensor] = {}
    parts: dict[str, nn.Module] = {"embedding": model.embedding}
    for i, layer in enumerate(model.forward_layers, 1):
        parts[f"layer {i} forward"] = layer
        parts[f"layer {i} backward"] = model.backward_layers[i - 1]
    wide: dict[str, nn.Module] = {} if model.ngrams is None else {"n-grams": model.ngrams}
    with (
        _watching(parts | wide, seen),
        _watching({"pooling": model.classifier}, seen, inputs=True),
    ):
        seen["logits"] = model(ids, tokens)
    for name in parts:
        if name.endswith("backward"):
            seen[name] = reorder(seen[name], flip)  # computed over the reversed row
    order = [*parts, "pooling", *wide, "logits"]
    return {name: seen[name].numpy() for name in order}


@contextmanager
def _watching(
    parts: dict[str, nn.Module], seen: dict[str, Tensor], inputs: bool = False
) -> Iterator[None]:
    """Keep what each module gives (of an LSTM, its states), or is given, under its name."""

    def watch(name: str) -> Any:
        def keep(module: nn.Module, given: tuple[Tensor, ...], output: Any) -> None:
            value = given if inputs else output
            seen[name] = value[0] if isinstance(value, tuple) else value

        return keep

    handles = [module.register_forward_hook(watch(name)) for name, module in parts.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def onnx_stages(
    data: bytes,
    providers: list[Any],
    input_ids: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
) -> Values:
    """Run the graph with its stages' values as further outputs; shapes as `pytorch_stages`."""
    model = onnx.ModelProto.FromString(data)
    names = _expose_stages(model.graph)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # one small batch: threads would only wait for each other
    options.log_severity_level = 4  # every error is raised
    session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
    outputs = session.run(list(names.values()), {INPUT_IDS: input_ids, LENGTHS: lengths})
    values: Values = {}
    for name, output in zip(names, outputs, strict=True):
        if name.startswith("layer"):  # (T, 2, B, H)
            values[f"{name} forward"] = output[:, 0].swapaxes(0, 1)
            values[f"{name} backward"] = output[:, 1].swapaxes(0, 1)
        else:
            values[name] = output.swapaxes(0, 1) if name == "embedding" else output
    return values


def _expose_stages(graph: onnx.GraphProto) -> dict[str, str]:
    """Make the stages' values outputs of the graph: stage → name of its value."""
    layers = [node for node in graph.node if node.op_type in ("LSTM", "DynamicQuantizeLSTM")]
    names = {"embedding": layers[0].input[0]}  # (T, B, E)
    for i, layer in enumerate(layers, 1):
        layer.output[0] = layer.output[0] or f"{layer.name}/every"
        names[f"layer {i}"] = layer.output[0]
    classifier = next(node for node in graph.node if node.op_type in ("Gemm", "MatMul"))
    names["pooling"] = classifier.input[0]
    bias = next((node for node in graph.node if NGRAM_BIAS in node.input), None)
    if bias is not None:
        names["n-grams"] = bias.output[0]
    names["logits"] = LOGITS
    graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names.values()
        if name != LOGITS
    )
    return names

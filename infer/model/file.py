"""The model file's contract: names, version, metadata, and what a file may hold at all.

One `.onnx` file is the whole model. Before ONNX Runtime sees a byte of it, the file is parsed as
plain protocol buffers and refused unless it is exactly what `sent-export` writes: ONNX Runtime and
the `onnx` package have both followed external-data paths out of hostile files (CVE-2024-27318,
CVE-2026-27489), so neither is trusted with that.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from infer.base.errors import ModelFileError
from infer.text.settings import TextSettings
from infer.text.vocabulary import Vocabulary

FORMAT: Final = "1"
INPUT_IDS, LENGTHS, LOGITS = "input_ids", "lengths", "logits"
PRECISIONS: Final = ("fp32", "fp16", "int8")
OPSETS: Final = range(17, 24)
MAX_BYTES: Final = 1 << 30
# The largest graph that the exporter writes has some hundred nodes. ONNX Runtime's time grows with
# the square of a chain's length: 16,000 nodes took 17 seconds.
MAX_NODES: Final = 2_000
# Room for a vocabulary of a million words; read, it takes 30 times its size.
MAX_REST_BYTES: Final = 16 << 20

_FORMAT, _VOCABULARY, _CARD, _DIGEST = (
    "sent.format",
    "sent.vocabulary",
    "sent.card",
    "sent.digest",
)
_KEYS: Final = frozenset((_FORMAT, _VOCABULARY, _CARD, _DIGEST))

# Operators without subgraphs, files or code: what the exporter's graphs are made of.
ALLOWED_OPERATORS: Final = frozenset(
    [("", name) for name in (
        "Add", "And", "Cast", "Clip", "Concat", "Constant", "DequantizeLinear", "Div",
        "DynamicQuantizeLinear", "Flatten", "Gather", "GatherElements", "GatherND", "Gemm",
        "GreaterOrEqual", "Identity", "LSTM", "Less", "MatMul", "MatMulInteger", "Max", "Mul",
        "Not", "Range", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape", "Shape", "Slice",
        "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
    )]
    + [("com.microsoft", name) for name in (
        "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
    )]
)  # fmt: skip
_DOMAINS: Final = frozenset(("", "com.microsoft"))
_ELEMENT_BYTES: Final[dict[int, int]] = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.INT64: 8,
    TensorProto.INT32: 4,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.BOOL: 1,
}


@dataclass(frozen=True)
class ModelCard:
    """What rides in the file beside the graph.

    Attributes:
        text: how text becomes tokens.
        vocabulary: which token has which id; its size is the embedding's.
        labels: names of the negative and the positive label.
        precision: `fp32`, `fp16` (weights stored in half) or `int8`.
        metrics: the trainer's metrics, with the hash of the data.
        parity: the exporter's certificate.
        toolkit_version: version that exported the file.
        temperature: what logits are divided by before the sigmoid (1 = uncalibrated).
        text_column: the column that the texts it was trained on stood in; None where that is not
            known.
    """

    text: TextSettings
    vocabulary: Vocabulary
    labels: tuple[str, str]
    precision: str
    metrics: dict[str, Any]
    parity: dict[str, Any]
    toolkit_version: str
    temperature: float = 1.0
    text_column: str | None = None

    def __post_init__(self) -> None:
        """Refuse what scoring could not use."""
        if self.precision not in PRECISIONS:
            raise ModelFileError(
                f"model card: precision {self.precision!r}, expected one of {PRECISIONS}"
            )
        if len(self.labels) != 2 or len(set(self.labels)) != 2 or not all(self.labels):
            raise ModelFileError(f"model card: labels {self.labels}, expected two different names")
        if not 0 < self.temperature < math.inf:
            raise ModelFileError(f"model card: temperature {self.temperature}, expected > 0")


@dataclass(frozen=True)
class ModelFile:
    """A model file that keeps the contract, in memory; nothing else is opened later.

    Attributes:
        path: where it was read from.
        data: its bytes.
        sha256: hash of `data`, hexadecimal.
        card: what its metadata says.
    """

    path: Path
    data: bytes
    sha256: str
    card: ModelCard


def stamp(model: ModelProto, card: ModelCard) -> bytes:
    """Write the card into a copy of the graph's metadata and serialise the model file.

    Raises:
        ModelFileError: the graph or the card breaks the contract.
    """
    stamped = ModelProto()
    stamped.CopyFrom(model)
    del stamped.metadata_props[:]
    values = {
        _FORMAT: FORMAT,
        _VOCABULARY: card.vocabulary.to_text(),
        _CARD: json.dumps(
            {
                "text": card.text.to_json(),
                "labels": list(card.labels),
                "precision": card.precision,
                "metrics": card.metrics,
                "parity": card.parity,
                "toolkit_version": card.toolkit_version,
                "temperature": card.temperature,
                # Files of before have none; without it they come out as they did.
                **({"text_column": card.text_column} if card.text_column is not None else {}),
            },
            sort_keys=True,
        ),
    }
    for key, value in values.items():
        stamped.metadata_props.add(key=key, value=value)
    stamped.metadata_props.add(key=_DIGEST, value=_digest(stamped))
    data = bytes(stamped.SerializeToString(deterministic=True))
    check_model(stamped, len(data))
    return data


def read_model_file(path: Path) -> ModelFile:
    """Read and check a model file; exactly one file is opened, once.

    Raises:
        ModelFileError: it is missing, damaged, foreign, or holds what the contract forbids.
    """
    data = _read_regular_file(path)
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelFileError(
            f"{path}: not an ONNX file, or cut short ({len(data):,} bytes). Export it again with "
            "sent-export"
        ) from error
    try:
        card = check_model(model, len(data))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return ModelFile(path, data, hashlib.sha256(data).hexdigest(), card)


def check_model(model: ModelProto, size: int) -> ModelCard:
    """Check everything that the contract says about a model file and return its card.

    Args:
        model: the file's content.
        size: the file's bytes; what of them is not in the model is foreign.

    Raises:
        ModelFileError: with the first thing found wrong.
    """
    _check_size(model, size)
    metadata = _metadata(model)
    _check_container(model, size)
    _check_graph(model.graph)
    card = _read_card(metadata)
    _check_embedding(model.graph, card.vocabulary)
    if metadata[_DIGEST] != _digest(model):
        raise ModelFileError(
            "the content does not match its own digest: the file was changed after sent-export "
            "wrote it. Export it again"
        )
    return card


def graph_summary(model: ModelProto) -> dict[str, int]:
    """Count the operators of a graph by name."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items()))


def _read_regular_file(path: Path) -> bytes:
    try:
        # O_NONBLOCK: a FIFO must be refused, not waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ModelFileError(f"{path}: not a regular file. Name a model file")
            if status.st_size > MAX_BYTES:
                raise ModelFileError(
                    f"{path}: {status.st_size:,} bytes, a model file has at most {MAX_BYTES:,}"
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(handle)
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read ({error.strerror}). Make a model file with sent-export, or "
            "name one with --model"
        ) from error


def _check_size(model: ModelProto, size: int) -> None:
    """Refuse what would take minutes or gigabytes to look at any further."""
    graph = model.graph
    for name, entries in (
        ("nodes", graph.node),
        ("tensors", graph.initializer),
        ("described values", graph.value_info),
    ):
        if len(entries) > MAX_NODES:
            raise ModelFileError(
                f"{len(entries):,} {name} in its graph, expected at most {MAX_NODES:,}"
            )
    constants = (attribute.t for node in graph.node for attribute in node.attribute)
    weights = sum(len(tensor.raw_data) for tensor in (*graph.initializer, *constants))
    if size - weights > MAX_REST_BYTES:
        raise ModelFileError(
            f"{size - weights:,} bytes beside the weights, expected at most {MAX_REST_BYTES:,} of "
            "graph, card and vocabulary"
        )


def _metadata(model: ModelProto) -> dict[str, str]:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get(_FORMAT) is None:
        raise ModelFileError(
            f"no {_FORMAT} in its metadata: not a model file of this toolkit. Export it with "
            "sent-export"
        )
    if metadata[_FORMAT] != FORMAT:
        raise ModelFileError(
            f"model file format {metadata[_FORMAT]!r}, this version reads {FORMAT!r}. Export it "
            "again with this version of sent-export"
        )
    if metadata.keys() != _KEYS or len(model.metadata_props) != len(_KEYS):
        # A key that is not UTF-8 comes as bytes.
        keys = sorted(str(entry.key) for entry in model.metadata_props)
        raise ModelFileError(f"metadata keys {keys}, expected {sorted(_KEYS)}")
    return metadata


def _check_container(model: ModelProto, size: int) -> None:
    if model.functions:
        raise ModelFileError(f"{len(model.functions)} model-local functions, expected none")
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        raise ModelFileError("fields inside that ONNX does not define, expected none")
    if model.training_info:
        raise ModelFileError("training information inside, expected none")
    for field in ("configuration", "device_configurations"):
        if getattr(model, field, None):
            raise ModelFileError(f"{field} inside, expected none")
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if unknown := opsets.keys() - _DOMAINS:
        name = min(map(str, unknown))
        raise ModelFileError(f"operator domain {name!r}, expected only {sorted(_DOMAINS)}")
    if opsets.get("") not in OPSETS:
        raise ModelFileError(
            f"opset {opsets.get('')}, expected {OPSETS.start} to {OPSETS.stop - 1}"
        )


def _check_graph(graph: GraphProto) -> None:
    if graph.sparse_initializer:
        raise ModelFileError("sparse tensors inside, expected none")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    for node in graph.node:
        if (node.domain, node.op_type) not in ALLOWED_OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ModelFileError(f"operator {name!r} is not on the list of allowed ones")
        for attribute in node.attribute:
            _check_attribute(node.op_type, attribute)
    _check_interface(graph)


def _check_attribute(operator: str, attribute: AttributeProto) -> None:
    if attribute.HasField("g") or attribute.graphs:
        raise ModelFileError(f"a subgraph in {operator}.{attribute.name}, expected none")
    if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
        raise ModelFileError(f"a sparse tensor in {operator}.{attribute.name}, expected none")
    if attribute.ref_attr_name:
        raise ModelFileError(f"a reference in {operator}.{attribute.name}, expected none")
    for tensor in (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors):
        _check_tensor(tensor)


def _check_tensor(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ModelFileError(f"tensor {tensor.name!r} lies in another file, expected all inside")
    size = _ELEMENT_BYTES.get(tensor.data_type)
    if size is None:
        raise ModelFileError(
            f"tensor {tensor.name!r} has element type {tensor.data_type}, expected a plain number"
        )
    expected = size
    for length in tensor.dims:
        expected *= length
    if min(tensor.dims, default=1) < 0 or tensor.segment.ByteSize():
        raise ModelFileError(f"tensor {tensor.name!r} has shape {list(tensor.dims)} or segments")
    if len(tensor.raw_data) != expected:
        raise ModelFileError(
            f"tensor {tensor.name!r} holds {len(tensor.raw_data):,} bytes, its shape "
            f"{list(tensor.dims)} needs {expected:,}"
        )


def _check_interface(graph: GraphProto) -> None:
    found = [_signature(value) for value in (*graph.input, *graph.output)]
    expected = [
        (INPUT_IDS, TensorProto.INT64, 2),
        (LENGTHS, TensorProto.INT32, 1),
        (LOGITS, TensorProto.FLOAT, 1),
    ]
    if found != expected or len(graph.input) != 2:
        raise ModelFileError(f"inputs and outputs {found}, expected {expected} (name, type, rank)")
    for value in (*graph.input, *graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if not axis.dim_param:
                raise ModelFileError(
                    f"{value.name} has a fixed axis of {axis.dim_value}, expected a dynamic one"
                )


def _signature(value: onnx.ValueInfoProto) -> tuple[str, int, int]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, len(tensor.shape.dim)


def _read_card(metadata: dict[str, str]) -> ModelCard:
    try:
        values = json.loads(metadata[_CARD])
        return ModelCard(
            text=TextSettings.from_json(values["text"]),
            vocabulary=Vocabulary.from_text(metadata[_VOCABULARY]),
            labels=_two_names(values["labels"]),
            precision=str(values["precision"]),
            metrics=dict(values["metrics"]),
            parity=dict(values["parity"]),
            toolkit_version=str(values["toolkit_version"]),
            temperature=float(values["temperature"]),
            text_column=_name(values.get("text_column")),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFileError(
            f"the model card is damaged ({type(error).__name__}: {error}). Export it again"
        ) from error


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"text_column is {value!r}, expected a name")
    value.encode()  # JSON can hold half a surrogate pair, which no output can
    return value


def _two_names(labels: Iterable[Any]) -> tuple[str, str]:
    negative, positive = labels
    names = str(negative), str(positive)
    "".join(names).encode()  # JSON can hold half a surrogate pair, which no output can
    return names


def _check_embedding(graph: GraphProto, vocabulary: Vocabulary) -> None:
    """Check that the table which `input_ids` index has one row for each token."""
    rows = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    turned = (n for n in graph.node if n.op_type == "Transpose" and list(n.input) == [INPUT_IDS])
    indices = {INPUT_IDS, *(name for node in turned for name in node.output)}
    tables = [
        rows.get(node.input[0])
        for node in graph.node
        if node.op_type == "Gather" and len(node.input) == 2 and node.input[1] in indices
    ]
    if tables != [len(vocabulary)]:
        raise ModelFileError(
            f"the vocabulary has {len(vocabulary)} tokens, the embedding {tables[:1] or 'none'}: "
            "they do not belong together. Export it again"
        )


def _digest(model: ModelProto) -> str:
    """Hash the file's content, the digest entry itself left out."""
    content = hashlib.sha256()
    for entry in sorted(model.metadata_props, key=lambda entry: entry.key):
        if entry.key != _DIGEST:
            content.update(f"{entry.key}\0{len(entry.value)}\0{entry.value}".encode())
    content.update(model.graph.SerializeToString(deterministic=True))
    return content.hexdigest()

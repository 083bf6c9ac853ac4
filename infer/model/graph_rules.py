"""What a model file's graph may be: names and types of its ends, operators, and nothing outside it.

Anything that the exporter does not write is refused before ONNX Runtime sees it.
"""

from typing import Final

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from infer.base.errors import ModelFileError
from infer.base.words import counted
from infer.model.interface import INPUT_IDS, LENGTHS, LOGITS
from infer.model.probability import row_shape
from infer.text.vocabulary import Vocabulary

OPSETS: Final = range(17, 24)
# The largest graph that the exporter writes has some hundred nodes. ONNX Runtime's time grows with
# the square of a chain's length: 16,000 nodes took 17 seconds.
MAX_NODES: Final = 2_000

# Operators without subgraphs, files or code: what the exporter's graphs are made of, and small
# networks of others.
ALLOWED_OPERATORS: Final = frozenset(
    [("", name) for name in (
        "Add", "And", "Cast", "Clip", "Concat", "Constant", "Conv", "DequantizeLinear", "Div",
        "DynamicQuantizeLinear", "Equal", "Expand", "Flatten", "GRU", "Gather", "GatherElements",
        "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Identity", "LSTM", "Less", "MatMul",
        "MatMulInteger", "Max", "Mod", "Mul", "Not", "Or", "Range", "ReduceMax", "ReduceMean",
        "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Squeeze", "Sub",
        "Tanh", "Transpose", "Unsqueeze", "Where",
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


def check_container(model: ModelProto, size: int) -> None:
    """Refuse what stands beside the graph in a file of `size` bytes, and other opsets.

    Raises:
        ModelFileError: with the first thing found wrong.
    """
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


def check_graph(graph: GraphProto) -> None:
    """Refuse operators, attributes and tensors that the exporter does not write.

    Raises:
        ModelFileError: with the first thing found wrong.
    """
    if graph.sparse_initializer:
        raise ModelFileError("sparse tensors inside, expected none")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    if name := forbidden_operator(graph):
        raise ModelFileError(f"operator {name!r} is not on the list of allowed ones")
    for node in graph.node:
        for attribute in node.attribute:
            _check_attribute(node.op_type, attribute)


def forbidden_operator(graph: GraphProto) -> str | None:
    """Return the name of the first operator that a model file must not hold, None without one."""
    for node in graph.node:
        if (node.domain, node.op_type) not in ALLOWED_OPERATORS:
            return f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)
    return None


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
            f"tensor {tensor.name!r} holds {counted(len(tensor.raw_data), 'byte')}, its shape "
            f"{list(tensor.dims)} needs {expected:,}"
        )


def check_interface(graph: GraphProto, labels: int) -> None:
    """Refuse other inputs and outputs than those of a model of so many labels.

    Raises:
        ModelFileError: a name, type, rank or axis is another one.
    """
    shape = row_shape(labels)
    found = [_signature(value) for value in (*graph.input, *graph.output)]
    expected = [
        (INPUT_IDS, TensorProto.INT64, 2),
        (LENGTHS, TensorProto.INT32, 1),
        (LOGITS, TensorProto.FLOAT, 1 + len(shape)),
    ]
    if found != expected or len(graph.input) != 2:
        raise ModelFileError(f"inputs and outputs {found}, expected {expected} (name, type, rank)")
    fixed = {INPUT_IDS: (None, None), LENGTHS: (None,), LOGITS: (None, *shape)}
    for value in (*graph.input, *graph.output):
        for axis, size in zip(value.type.tensor_type.shape.dim, fixed[value.name], strict=True):
            if size is None and not axis.dim_param:
                raise ModelFileError(
                    f"{value.name} has a fixed axis of {axis.dim_value}, expected a dynamic one"
                )
            if size is not None and axis.dim_value != size:
                raise ModelFileError(
                    f"{value.name} has {axis.dim_value or 'any number of'} columns, expected "
                    f"{size}, one for each label"
                )


def _signature(value: onnx.ValueInfoProto) -> tuple[str, int, int]:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, len(tensor.shape.dim)


def check_embedding(graph: GraphProto, vocabulary: Vocabulary) -> None:
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


def graph_summary(model: ModelProto) -> dict[str, int]:
    """Count the operators of a graph by name."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items()))

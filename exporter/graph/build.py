"""A checkpoint's model → a small ONNX graph: dynamic axes, named nodes, the opset asked for."""

import ast
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Final

import onnx
import onnx.numpy_helper
import onnx.version_converter
import torch

from exporter.graph.foreign import Foreign
from exporter.graph.module import ExportableLSTM
from infer.base.errors import ParityError
from infer.model.graph_rules import forbidden_operator
from infer.model.interface import INPUT_IDS, LENGTHS, LOGITS
from infer.model.probability import row_shape
from trainer.network.model import SentimentLSTM

# torch.onnx has no translations below 18. It would convert down itself, but keeps 18 with a log
# line where that fails (pytorch#161056); here the conversion is a step of its own, and asserted.
FIRST_TORCH_OPSET: Final = 18
# The oldest file format that may hold each opset: an older ONNX Runtime loads it too.
IR_VERSIONS: Final = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}
BATCH: Final = "batch"

OWN_WARNINGS: Final = (
    (r"`isinstance\(treespec, LeafSpec\)`", FutureWarning),
    (r"# The axis name: batch will not be used", UserWarning),
)

# Sizes that the tracer cannot take for constants (0 and 1 it would) nor for each other.
EXAMPLE_SHAPE: Final = (3, 5)


def build_graph(model: SentimentLSTM | Foreign, opset: int) -> onnx.ModelProto:
    """Export a model in evaluation mode as an fp32 ONNX graph.

    Args:
        model: on the CPU, in evaluation mode; the trainer's, or somebody's own.
        opset: version of ONNX's operators, one of `infer.model.file.OPSETS`.

    Returns:
        `input_ids` (batch, sequence) int64, `lengths` (batch,) int32 → `logits` float32, (batch,)
        or of K labels, K > 2, (batch, K); without shapes of intermediate values, source lines or
        metadata.

    Raises:
        ParityError: the graph is of another opset, an axis came out fixed, or PyTorch or a model
            file has no place for what the network does.
    """
    traced = trace(model, max(opset, FIRST_TORCH_OPSET))
    drop_unread(traced)
    name_values(traced)
    strip(traced)
    converted = onnx.version_converter.convert_version(traced, opset)
    strip(converted)
    if opset < FIRST_TORCH_OPSET:
        drop_newer_attribute(converted)
    name_nodes(converted)
    converted.ir_version = IR_VERSIONS[opset]
    check_contract(converted, opset, model.labels)
    return converted


def trace(model: SentimentLSTM | Foreign, opset: int) -> onnx.ModelProto:
    """Run `torch.onnx.export` on the export-only module, or on somebody's own."""
    if isinstance(model, Foreign):
        return trace_foreign(model, opset)
    with quiet_exporter():
        return run_exporter(ExportableLSTM(model).eval(), opset)


def trace_foreign(model: Foreign, opset: int) -> onnx.ModelProto:
    """Trace a network that is not known, and say so where that cannot be done.

    Raises:
        ParityError: PyTorch cannot export it, or a model file must not hold an operator.
    """
    name = type(model.network).__name__
    forget_recurrent_kernels()
    try:
        with quiet_exporter(), warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            traced = run_exporter(model, opset)
    except Exception as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ParityError(
            f"PyTorch cannot export {name} ({type(error).__name__}: {reason}). Write it without "
            "branches on values, packed sequences and loops over tokens"
        ) from error
    if operator := forbidden_operator(traced.graph):
        raise ParityError(
            f"{name} needs the operator {operator!r}, which a model file must not hold. Write it "
            "with others: the list is ALLOWED_OPERATORS in infer/model/graph_rules.py"
        )
    return traced


def forget_recurrent_kernels() -> None:
    """Let PyTorch look again for what traces a recurrent layer (there is no public way).

    While it exports, PyTorch 2.13 puts in a kernel that keeps the sequence axis dynamic, but not
    into the cache that the first export has filled: the second GRU would come out with a fixed one.
    """
    for operator in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        operator._dispatch_cache.clear()


def run_exporter(module: torch.nn.Module, opset: int) -> onnx.ModelProto:
    """Run `torch.onnx.export` on a module of `(input_ids, lengths)`, both axes dynamic."""
    rows, tokens = EXAMPLE_SHAPE
    batch, sequence = torch.export.Dim(BATCH), torch.export.Dim("sequence")
    program = torch.onnx.export(
        module,
        (torch.ones(rows, tokens, dtype=torch.int64), torch.full((rows,), tokens).int()),
        dynamo=True,
        external_data=False,
        optimize=True,
        opset_version=opset,
        input_names=[INPUT_IDS, LENGTHS],
        output_names=[LOGITS],
        dynamic_shapes={INPUT_IDS: {0: batch, 1: sequence}, LENGTHS: {0: batch}},
        verbose=False,
    )
    if program is None:
        raise ParityError("torch.onnx.export returned nothing, expected an ONNXProgram")
    return program.model_proto


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence what PyTorch 2.9 to 2.13 says about itself on every export.

    Warnings about its own use of `LeafSpec` and about two axes that are both called batch, which
    is what is meant; log lines about torchvision being absent.
    """
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message, category in OWN_WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        logger.setLevel(level)


def drop_unread(model: onnx.ModelProto) -> None:
    """Take away the outputs of a node that nothing reads: the operator then computes less.

    `last` pooling reads no state but each direction's last one, inner layers hand none on.
    """
    graph = model.graph
    read = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    for node in graph.node:
        node.output[:] = [name if name in read else "" for name in node.output]
        while node.output and not node.output[-1]:
            del node.output[-1]


def drop_newer_attribute(model: onnx.ModelProto) -> None:
    """Take away what onnx's converter leaves of opset 18 on reductions, but for sums: a default."""
    for node in model.graph.node:
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum":
            kept = [a for a in node.attribute if a.name != "noop_with_empty_axes"]
            del node.attribute[:]
            node.attribute.extend(kept)


def name_values(model: onnx.ModelProto) -> None:
    """Name each value after the part of the model that computes it: `layer.0/LSTM`.

    Inputs, outputs and weights have their names already; small constants become `constant_0` ….
    """
    graph = model.graph
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        is_weight = "." in tensor.name
        names[tensor.name] = tensor.name if is_weight else _free("constant", names)
        tensor.name = names[tensor.name]
    for node in graph.node:
        for output in filter(None, node.output):
            names.setdefault(output, _free(f"{_scope(node)}{node.op_type}", names))
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]


def _free(name: str, names: dict[str, str]) -> str:
    """Return `name`, or `name_1`, `name_2` … when it is taken."""
    taken = set(names.values())
    choices = (name, *(f"{name}_{i}" for i in range(1, len(taken) + 1)))
    return next(choice for choice in choices if choice not in taken)


def _scope(node: onnx.NodeProto) -> str:
    """Return the submodule that a node comes from with a slash behind it, else `sequence/`."""
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    scopes = ast.literal_eval(metadata.get("pkg.torch.onnx.name_scopes", "[]"))
    modules = [scope for scope in scopes[:-1] if scope and not scope.startswith("_")]
    return f"{modules[0]}/" if modules else "sequence/"


def name_nodes(model: onnx.ModelProto) -> None:
    """Give each node the name of the first value that it computes."""
    for node in model.graph.node:
        node.name = next(filter(None, node.output))


def strip(model: onnx.ModelProto) -> None:
    """Remove what the computation does not need: source lines with this machine's paths, shapes.

    Weights are stored as raw bytes, the one form that a model file may hold.
    """
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    model.producer_name, model.producer_version, graph.name = "sent-export", "", "sentiment"
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    for i, tensor in enumerate(graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        graph.initializer[i].CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def check_contract(model: onnx.ModelProto, opset: int, labels: int) -> None:
    """Check what was asked of the exporter: the opset, and axes that nothing has fixed.

    Raises:
        ParityError: the opset is another one, or an axis is a number or has the wrong name.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != opset:
        raise ParityError(
            f"the exported graph is of opset {opsets.get('')}, expected {opset}, which was asked "
            "for. Use another --opset"
        )
    axes = {value.name: _axes(value) for value in (*model.graph.input, *model.graph.output)}
    expected = {
        INPUT_IDS: (BATCH, "sequence"),
        LENGTHS: (BATCH,),
        LOGITS: (BATCH, *row_shape(labels)),
    }
    if axes != expected:
        raise ParityError(f"the exported graph's axes are {axes}, expected {expected}")


def _axes(value: onnx.ValueInfoProto) -> tuple[str | int, ...]:
    """Return a value's axes: the name of a dynamic one, the size of a fixed one."""
    dimensions = value.type.tensor_type.shape.dim
    return tuple(axis.dim_param or axis.dim_value for axis in dimensions)

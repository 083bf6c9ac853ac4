"""Which node of a graph runs on which provider, as ONNX Runtime itself records it."""

from collections import Counter
from typing import Any

import onnxruntime as ort

from infer.model.cuda import CUDA
from infer.model.session import CPU

RECORD = "session.record_ep_graph_assignment_info"
# What a GPU is there for; shape arithmetic may stay on the CPU.
HEAVY = ("LSTM", "Gather", "MatMul", "Gemm", "DynamicQuantizeLSTM")


def make_session(data: bytes, device: str, tf32: bool = True) -> Any:
    """Return an ONNX Runtime session that records its assignments; errors are its own."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(RECORD, "1")
    index = int(device.partition(":")[2] or 0)
    cuda = (CUDA, {"device_id": index, "use_tf32": int(tf32)})
    providers = [CPU] if device == "cpu" else [cuda, CPU]
    return ort.InferenceSession(data, options, providers=providers)


def assignments(session: Any) -> dict[str, str]:
    """Return each node's provider: `name (operator)` → provider.

    Nodes that ONNX Runtime has folded or fused appear under what they became.
    """
    return {
        f"{node.name} ({node.op_type})": part.ep_name
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    }


def by_provider(assigned: dict[str, str]) -> dict[str, dict[str, int]]:
    """Count the operators on each provider."""
    counts: dict[str, Counter[str]] = {}
    for name, provider in assigned.items():
        counts.setdefault(provider, Counter())[name.rpartition("(")[2].rstrip(")")] += 1
    return {provider: dict(sorted(found.items())) for provider, found in counts.items()}


def heavy_elsewhere(assigned: dict[str, str], provider: str) -> list[str]:
    """Return the heavy nodes that are not on the provider."""
    return [
        name
        for name, found in assigned.items()
        if name.rpartition("(")[2].rstrip(")") in HEAVY and found != provider
    ]

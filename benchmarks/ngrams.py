"""What n-grams give and cost a trained network: `python -m benchmarks.ngrams CHECKPOINT`.

On the checkpoint's own validation reviews, which chose its epoch and its shares.
"""

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.harness.formats import markdown
from benchmarks.harness.machine import machine
from benchmarks.harness.timing import interleave, ratios
from infer.text.batching import run_in_batches
from infer.text.encoding import EncodedTexts, Encoder

FIGURES: Final = ("validation reviews", "loss at its best temperature", "accuracy")
COSTS: Final = ("graph", "CPU s of session.run", "times the network alone")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print two tables."""
    given = parse(arguments)
    from trainer.checkpoint.folder import load_checkpoint

    checkpoint = load_checkpoint(given.checkpoint)
    if checkpoint.model.ngrams is None:
        print(f"{given.checkpoint}: this network has no n-grams", file=sys.stderr)
        return 2
    texts = checkpoint.validation["text"].combine_chunks()
    encoded = Encoder(checkpoint.text, checkpoint.vocabulary).encode(texts)
    print(markdown(FIGURES, list(figures(checkpoint, encoded))))
    print()
    print(markdown(COSTS, list(costs(checkpoint.model, encoded, given))))
    facts = machine()
    print(f"\n{len(encoded):,} reviews; {facts['cpu']}; one thread; {given.precision}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ngrams", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--precision", default="int8", choices=["fp32", "fp16", "w8", "int8"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-tokens", type=int, default=2_048)
    return parser.parse_args(arguments)


def figures(checkpoint: Any, encoded: EncodedTexts) -> Iterator[tuple[Any, ...]]:
    """Yield what either part and both together get right."""
    from trainer.network.calibration import fit_temperature
    from trainer.network.evaluate import measure, predict

    model, labels = checkpoint.model, checkpoint.validation["label"].to_numpy()
    parts = {"the network alone": model.deep, "the n-grams alone": model.wide, "both": model}
    for name, part in parts.items():
        logits = predict(model, encoded, name, compute=part)
        found = measure(logits / np.float32(fit_temperature(logits, labels)), labels)
        yield name, f"{found['loss']:.4f}", f"{found['accuracy']:.2%}"


def costs(model: Any, encoded: EncodedTexts, given: argparse.Namespace) -> Iterator[Any]:
    """Yield the CPU seconds of the graph with n-grams and without, run in turn."""
    alone = copy.copy(model)
    alone.config, alone.ngrams = replace(model.config, ngrams=0), None
    graphs = {"the network alone": alone, "with n-grams": model}
    sessions = {name: open_session(graph, given.precision) for name, graph in graphs.items()}

    def seconds(session: ort.InferenceSession) -> float:
        began = time.process_time()
        run_in_batches(
            encoded,
            given.batch_tokens,
            lambda ids, lengths: session.run(None, {"input_ids": ids, "lengths": lengths})[0],
        )
        return time.process_time() - began

    tasks = {name: lambda s=session: seconds(s) for name, session in sessions.items()}
    found = interleave(tasks, given.rounds)
    for name, values in found.items():
        apart = median(ratios(values, found["the network alone"]))
        yield name, f"{median(values):.3f}", f"{apart:.3f}"


def open_session(model: Any, precision: str) -> ort.InferenceSession:
    """Make a graph of a network and open it with one thread."""
    from exporter.graph.build import build_graph
    from exporter.graph.precision import apply_precision

    graph: onnx.ModelProto = build_graph(model, 17)
    if precision != "fp32":
        graph = apply_precision(graph, precision)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


if __name__ == "__main__":
    sys.exit(main())

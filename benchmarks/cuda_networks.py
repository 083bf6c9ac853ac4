"""CUDA evidence in which PyTorch takes part: training steps, the same card's peer, opsets."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import onnx
import torch

from benchmarks.batching import run_batches
from benchmarks.cuda_parts import Context, Found, found
from benchmarks.harness.contract import Table, ratio_goal
from benchmarks.harness.models import Batch, Subject, padded_batches, untrained, write_model
from benchmarks.harness.providers import assignments, by_provider, heavy_elsewhere, make_session
from benchmarks.harness.reviews import reviews
from benchmarks.harness.timing import interleave, timed
from benchmarks.rivals.packed import pack_model
from benchmarks.training import BATCH, article_model, precision_of, random_batch, stepper
from exporter.graph.build import build_graph
from infer.model.file import read_model_file
from infer.model.session import Session
from infer.text.encoding import Encoder
from trainer.settings.recipe import RECIPES, Recipe


def training(context: Context) -> Found:
    """Steps a second in fp32 and TF32, ours against packing."""
    recipe = RECIPES["article"] if context.mode != "tiny" else replace(RECIPES["article"], hidden=8)
    batch = random_batch(
        context.pick(4, 64), context.pick(12, 256), recipe.vocabulary, torch.device(context.device)
    )
    goals, rows = [], []
    for precision in ("fp32", "tf32"):
        with precision_of(precision):
            seconds = step_seconds(context, replace(recipe, precision=precision), batch)
        rows.append((precision, *(1 / median(values) for values in seconds.values())))
        goals.append(ratio_goal(f"training step against packing, {precision}", 1.0,
                                seconds["packed"], seconds["ours"]))  # fmt: skip
    shape = f"{batch[0].shape[0]} x {batch[0].shape[1]}"
    columns = ("precision", "ours, steps/s", "packed, steps/s")
    return found(*goals, Table(f"Training steps, batch {shape}", columns, tuple(rows)))


def step_seconds(context: Context, recipe: Recipe, batch: BATCH) -> dict[str, list[float]]:
    """Return seconds of training steps, ours and packed, in turn."""
    model = article_model(recipe)
    networks = {"ours": model, "packed": pack_model(model)}
    tasks = {n: stepper(m.to(context.device), recipe, batch) for n, m in networks.items()}
    interleave(tasks, context.pick(1, 3))
    return interleave(tasks, context.pick(1, 15))


def pytorch(context: Context) -> Found:
    """Run the same batches of the article's model through ONNX Runtime and through PyTorch."""
    subject = untrained(context, "article")
    path = context.work / "article.onnx"
    write_model(subject, path)
    data = read_model_file(path).data
    texts = reviews(context, "test", context.pick(20, 6_000))["text"].combine_chunks()
    encoded = Encoder(subject.text, subject.vocabulary).encode(texts)
    goals, body = [], []
    for kind in ("tf32", "fp32"):
        session = Session(data, context.device, tf32=kind == "tf32")
        batches = padded_batches(encoded, min(session.batch_tokens, 131_072))
        with precision_of(kind):
            seconds = network_seconds(context, subject, session, batches)
        body += [(f"{n}, {kind}", len(encoded) / median(s)) for n, s in seconds.items()]
        goals.append(ratio_goal(f"ONNX Runtime against PyTorch with packing, {kind}", 3.0,
                                seconds["PyTorch, packing"], seconds["ONNX Runtime"]))  # fmt: skip
    return found(*goals, Table("The model alone", ("what", "reviews/s"), tuple(body)))


def network_seconds(
    context: Context, subject: Subject, session: Session, batches: list[Batch]
) -> dict[str, list[float]]:
    """Return seconds of the batches in ONNX Runtime and in PyTorch's two networks, in turn."""
    networks = {"PyTorch, packing": pack_model(subject.model), "PyTorch, ours": subject.model}
    tasks: dict[str, Callable[[], float]] = {
        "ONNX Runtime": lambda: timed(lambda: run_batches(session, batches))
    }
    for name, network in networks.items():
        moved = network.eval().to(context.device)
        tasks[name] = lambda m=moved: timed(lambda: run_torch(m, batches, context.device))  # type: ignore[misc]
    interleave(tasks, 1)
    return interleave(tasks, context.pick(1, 3))


@torch.inference_mode()
def run_torch(model: Any, batches: list[Batch], device: str) -> None:
    """Run batches through PyTorch, from the host's memory and back."""
    for input_ids, lengths in batches:
        model(torch.from_numpy(input_ids).to(device), torch.from_numpy(lengths).to(device)).cpu()


def opsets(context: Context) -> Found:
    """Export at each opset and look where each node runs; one that fails is a row like others."""
    subject = untrained(context, "article")
    rows, failed = [], []
    for opset in (17, 21, 22, 23):
        try:
            row, elsewhere, apart = placed(build_graph(subject.model, opset), context)
            rows.append((f"opset {opset}", *row))
            if elsewhere and opset == 17:
                failed.append(f"opset 17: {', '.join(elsewhere)} not on the device")
            if apart > 1e-3:
                failed.append(f"opset {opset}: logits {apart:.1e} from the CPU's")
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            rows.append((f"opset {opset}", f"failed: {said}", "", ""))
    columns = ("graph", "operators by provider", "heavy nodes elsewhere",
               "largest difference from the CPU")  # fmt: skip
    return found(Table("Where nodes run", columns, tuple(rows)), failed=failed)


def placed(
    graph: onnx.ModelProto, context: Context
) -> tuple[tuple[str, str, str], list[str], float]:
    """Make a session, read its assignments, compare a mixed batch with the CPU."""
    data = graph.SerializeToString()
    session = make_session(data, context.device, tf32=False)
    reference = make_session(data, "cpu")
    assigned = assignments(session)
    elsewhere = heavy_elsewhere(assigned, session.get_providers()[0])
    logits = [one.run(None, mixed_batch(context))[0] for one in (session, reference)]
    counts = "; ".join(
        f"{provider.removesuffix('ExecutionProvider')}: "
        + ", ".join(f"{count} {operator}" for operator, count in operators.items())
        for provider, operators in by_provider(assigned).items()
    )
    apart = float(np.abs(logits[0] - logits[1]).max())
    return (counts, ", ".join(elsewhere) or "none", f"{apart:.1e}"), elsewhere, apart


def mixed_batch(context: Context) -> dict[str, Any]:
    """Return ids (B, T) and lengths (B,) from one token to the whole."""
    rows, tokens = context.pick(4, 32), context.pick(9, 300)
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, tokens + 1, rows).astype(np.int32)
    lengths[:2] = tokens, 1
    ids = draw.integers(2, 100, (rows, tokens))
    ids[np.arange(tokens) >= lengths[:, None]] = 0
    return {"input_ids": ids.astype(np.int64), "lengths": lengths}

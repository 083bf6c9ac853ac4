"""One training step: the trainer's two-way-reversed LSTM against `pack_padded_sequence`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import SEED
from benchmarks.harness.contract import Result, Settings, Table, ratio_goal
from benchmarks.harness.timing import interleave, ratios
from benchmarks.rivals.packed import pack_model
from trainer.network.device import set_precision
from trainer.network.model import ModelConfig, SentimentLSTM
from trainer.network.objective import add_gradients
from trainer.network.replicas import Gradients, gradients_of, share_generators
from trainer.run.epochs import take_step
from trainer.run.state import start
from trainer.settings.recipe import RECIPES, Recipe

TITLE = "Training step"
EXPLANATION = (
    "Forward, backward and Adam's step of the article's model, by `trainer.run.epochs.take_step`: "
    "the trainer's own network against `torch.nn.LSTM` over `pack_padded_sequence`, started "
    "from the same weights, whose logits are compared first. Row lengths are drawn from half to "
    "the whole of the batch's length. Both with denormals flushed, as the trainer sets it. Then "
    "the recipes for real data, a batch whole (all cores within an operator) against in shares (a "
    "core each), as the trainer computes it."
)


@dataclass(frozen=True)
class Sizes:
    """Batch, tokens, hidden size, steps, and recipes that are computed in shares."""

    batch: int
    tokens: int
    hidden: int
    repeats: int
    recipes: int = 2


SIZES = {
    "tiny": Sizes(4, 12, 8, 1, 1),
    "quick": Sizes(32, 128, 256, 1, 1),
    "full": Sizes(64, 256, 256, 5),
}
IN_SHARES = ("small", "strong")
BATCH = tuple[Tensor, Tensor, Tensor, Tensor]


def measure(settings: Settings) -> Result:
    """Time a step of each, in turn."""
    sizes = settings.sizes("training", SIZES)
    recipe = replace(RECIPES["article"], hidden=sizes.hidden)
    with precision_of(recipe.precision):
        return compare(sizes, recipe)


def compare(sizes: Sizes, recipe: Recipe) -> Result:
    """Time both networks' steps."""
    own = article_model(recipe)
    batch = random_batch(sizes.batch, sizes.tokens, recipe.vocabulary, torch.device("cpu"))
    models = {"ours": own, "packed": pack_model(own)}
    apart = difference(models, batch)
    steps = {name: stepper(model, recipe, batch) for name, model in models.items()}
    steps["ours"]()
    seconds = interleave(steps, sizes.repeats)
    shape = f"{sizes.batch} x {sizes.tokens}"
    goal = ratio_goal(f"a training step against packing, {shape}", 10, seconds["packed"],
                      seconds["ours"], note=f"logits differ by {apart:.1e} at most")  # fmt: skip
    body = tuple((name, median(values)) for name, values in seconds.items())
    table = Table(f"A step, batch {shape}, CPU", ("network", "seconds"), body)
    raw: dict[str, Any] = {"seconds": seconds, "difference": apart}
    tables = (table, shares(sizes, raw))
    return Result(TITLE, EXPLANATION, (goal,), tables, raw)


def shares(sizes: Sizes, raw: dict[str, Any]) -> Table:
    """Time steps of the recipes for real data, their batch whole and in shares, in turn."""
    rows = []
    for name in IN_SHARES[: sizes.recipes]:
        recipe = RECIPES[name]
        model = article_model(recipe)
        batch = random_batch(sizes.batch, sizes.tokens, recipe.vocabulary, torch.device("cpu"))
        generators = share_generators(model, sizes.batch, SEED, epoch=1)
        with gradients_of(model, generators) as in_shares:
            steps = {
                "whole": stepper(model, recipe, batch),
                "in shares": stepper(model, recipe, batch, in_shares),
            }
            interleave(steps, 1)
            seconds = raw[name] = interleave(steps, sizes.repeats)
        tokens = int(batch[1].sum())
        whole, shared = (tokens / median(values) for values in seconds.values())
        rows.append((name, whole, shared, median(ratios(*seconds.values()))))
    columns = ("recipe", "whole, tokens/s", "in shares, tokens/s", "times as fast")
    title = f"A batch in shares, {sizes.batch} x {sizes.tokens}, {torch.get_num_threads()} threads"
    return Table(title, columns, tuple(rows))


@contextmanager
def precision_of(precision: str) -> Iterator[None]:
    """Compute as the trainer does in this precision; what it sets holds for a whole process."""
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    set_precision(precision)
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value
        torch.set_flush_denormal(False)


def article_model(recipe: Recipe) -> SentimentLSTM:
    """Return the recipe's network with random weights."""
    torch.manual_seed(SEED)
    return SentimentLSTM(
        ModelConfig(
            recipe.vocabulary, recipe.embedding, recipe.hidden, recipe.layers, recipe.pooling,
            recipe.dropout, recipe.embedding_dropout,
        )
    )  # fmt: skip


def random_batch(rows: int, tokens: int, vocabulary: int, device: torch.device) -> BATCH:
    """Return ids (B, T) int64, lengths (B,) int32, labels and weights (B,) float32."""
    draw = torch.Generator().manual_seed(SEED)
    lengths = torch.randint(tokens // 2, tokens + 1, (rows,), generator=draw, dtype=torch.int32)
    lengths[0] = tokens
    ids = torch.randint(2, vocabulary, (rows, tokens), generator=draw)
    ids[torch.arange(tokens) >= lengths[:, None]] = 0
    labels = torch.randint(0, 2, (rows,), generator=draw).float()
    weights = torch.full((rows,), 1 / rows)
    return ids.to(device), lengths.to(device), labels.to(device), weights.to(device)


@torch.no_grad()
def difference(models: dict[str, Any], batch: BATCH) -> float:
    """Return the largest difference of the two networks' logits in evaluation."""
    logits = [model.eval()(*batch[:2]) for model in models.values()]
    return float((logits[0] - logits[1]).abs().max())


def stepper(
    model: nn.Module, recipe: Recipe, batch: BATCH, gradients: Gradients | None = None
) -> Callable[[], float]:
    """Return what takes one training step and gives its seconds; a loss read back ends it."""
    state = start(model.train(), recipe)  # type: ignore[arg-type]
    gradients = gradients or partial(add_gradients, state.model)

    def step() -> float:
        began = time.perf_counter()
        take_step(state, gradients, recipe, *batch, recipe.learning_rate)
        if batch[0].is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return step

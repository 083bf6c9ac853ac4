"""Padding at default settings, and the token budget: the default against the best of a sweep."""

from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.harness.contract import Goal, Result, Settings, Table
from benchmarks.harness.models import Batch, encode_with, model_path
from benchmarks.harness.reviews import reviews
from benchmarks.harness.timing import interleave, timed
from infer.job.scoring import PART_ROWS
from infer.model.cuda import CUDA
from infer.model.file import read_model_file
from infer.model.session import CPU, DEFAULT_BATCH_TOKENS, Session
from infer.text.batching import pad, padding_share, plan_batches
from infer.text.encoding import EncodedTexts

TITLE = "Batching"
EXPLANATION = (
    "Padding: the share of the tokens run that is padding, over windows of 16,384 rows at the "
    "default token budget. Sweep: batches of such a window, some of them evenly "
    "spread from the longest to the shortest, run through the model at each budget in turn; real "
    "tokens a second, and the default's rate as a share of the best one's."
)
BUDGETS = {
    "cpu": (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536),
    "cuda": (8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576),
}
FEWEST = 4  # batches run at each budget
# What int8 has no kernels for is left out on CUDA.
MODELS = {
    "cpu": ("article fp32", "article int8", "small fp32", "small int8"),
    "cuda": ("article fp32", "article fp16", "small fp32"),
}


@dataclass(frozen=True)
class Sizes:
    """How much is planned and run.

    Attributes:
        rows: reviews that are planned.
        tokens: run at each budget by the article's size; eight times as many by the small model.
        repeats: rounds.
        every: take every n-th budget.
        models: take so many models.
    """

    rows: int
    tokens: int
    repeats: int
    every: int = 1
    models: int = 4


SIZES = {
    "tiny": Sizes(200, 2_000, 1, every=3, models=2),
    "quick": Sizes(8_192, 30_000, 1, every=2, models=2),
    "full": Sizes(25_000, 90_000, 3),
}


def measure(settings: Settings) -> Result:
    """Measure the padding, then sweep the budget for each model."""
    sizes = settings.sizes("batching", SIZES)
    kind = settings.device.partition(":")[0]
    provider = CUDA if kind == "cuda" else CPU
    texts = reviews(settings, "test", sizes.rows)["text"].combine_chunks()
    goals: list[Goal] = []
    tables: list[Table] = []
    raw: dict[str, object] = {}
    for name in MODELS[kind][: sizes.models]:
        encoded = encode_with(model_path(settings, name), texts)
        if name.endswith("fp32"):
            goals.append(padding_goal(name, encoded, provider))
        rates = sweep(settings, name, encoded, sizes)
        goals.append(budget_goal(name, rates))
        tables.append(sweep_table(name, rates, encoded, provider))
        raw[name] = rates
    return Result(TITLE, EXPLANATION, tuple(goals), tuple(tables), raw)


def window_batches(encoded: EncodedTexts, budget: int, provider: str) -> list[np.ndarray]:
    """Plan window by window, as `sent-score` does on the provider."""
    lengths = encoded.lengths
    batches = []
    window = PART_ROWS[provider]
    for start in range(0, len(lengths), window):
        planned = plan_batches(lengths[start : start + window], budget)
        batches += [start + rows for rows in planned]
    return batches


def padding_goal(name: str, encoded: EncodedTexts, provider: str) -> Goal:
    """Return the padding at the provider's default budget, in percent."""
    budget = DEFAULT_BATCH_TOKENS[provider]
    share = 100 * padding_share(encoded.lengths, window_batches(encoded, budget, provider))
    note = f"{len(encoded):,} reviews, budget {budget:,}"
    label = f"padding at default settings, {name.split()[0]} recipe's text settings"
    return Goal(label, 3.0, share, "lower", "%", floor=0.0, runs=(share,), note=note)


def sweep(
    settings: Settings, name: str, encoded: EncodedTexts, sizes: Sizes
) -> dict[int, list[float]]:
    """Return real tokens a second at each budget, one figure a round."""
    path = model_path(settings, name)
    file = read_model_file(path)
    session = Session(file.data, settings.device, precision=file.card.precision)
    kind = settings.device.partition(":")[0]
    tokens = sizes.tokens * (8 if name.startswith("small") else 1) * (40 if kind == "cuda" else 1)
    default = DEFAULT_BATCH_TOKENS[session.provider]
    budgets = sorted({*BUDGETS[kind][:: sizes.every], default})
    samples = {str(b): sample_batches(encoded, b, tokens, session.provider) for b in budgets}
    for batches in samples.values():
        run_batches(session, batches[:1])
    tasks = {b: lambda batches=batches: rate(session, batches) for b, batches in samples.items()}
    return {int(b): values for b, values in interleave(tasks, sizes.repeats).items()}


def sample_batches(encoded: EncodedTexts, budget: int, tokens: int, provider: str) -> list[Batch]:
    """Pad some batches of the plan, evenly spread, so that long and short ones come alike."""
    planned = window_batches(encoded, budget, provider)
    count = min(len(planned), max(FEWEST, tokens // budget))
    places = ((np.arange(count) + 0.5) * len(planned) / count).astype(int)
    return [pad(encoded, planned[place]) for place in places]


def run_batches(session: Session, batches: list[Batch]) -> None:
    """Run batches, as many side by side as `sent-score` does."""
    with session.side_by_side() as executor:
        deque(executor.map(lambda batch: session.run(*batch), batches), maxlen=0)


def rate(session: Session, batches: list[Batch]) -> float:
    """Return the real tokens a second over some batches."""
    tokens = sum(int(lengths.sum()) for _, lengths in batches)
    return tokens / timed(lambda: run_batches(session, batches))


def budget_goal(name: str, rates: dict[int, list[float]]) -> Goal:
    """Return the default's rate as a share of the best one's."""
    medians = {budget: median(values) for budget, values in rates.items()}
    best = max(medians, key=lambda budget: medians[budget])
    default = next(b for b in DEFAULT_BATCH_TOKENS.values() if b in medians)
    note = f"default {default:,}, best {best:,}"
    share = medians[default] / medians[best]
    return Goal(f"default budget against the best, {name}", 0.95, share, floor=1.0, note=note)


def sweep_table(
    name: str, rates: dict[int, list[float]], encoded: EncodedTexts, provider: str
) -> Table:
    """Show tokens and reviews a second, and the padding, by budget."""
    length = encoded.lengths.mean()
    rows = tuple(
        (
            budget,
            median(values),
            median(values) / length,
            100 * padding_share(encoded.lengths, window_batches(encoded, budget, provider)),
        )
        for budget, values in rates.items()
    )
    columns = ("budget", "tokens/s", "reviews/s", "padding %")
    return Table(f"Token budget, {name}", columns, rows)

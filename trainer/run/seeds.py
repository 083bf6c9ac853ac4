"""Runs that differ in their seed alone: how much of a figure is chance."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from infer.base.console import say, say_table
from trainer.checkpoint.folder import Checkpoint, load_checkpoint
from trainer.checkpoint.series import Series, publish
from trainer.run.series import NAMES, carry_out_one, demerit, judging_figures, under_way
from trainer.teaching.beside import in_words

FIGURES: Final = tuple((part, name) for part in ("validation", "test") for name in NAMES)


def carry_out_seeds(series: Series) -> Checkpoint:
    """Train with one seed after the other, on the same parts of the data.

    Returns:
        The checkpoint that is the best on validation (`--select`), which stands over the others'
        folders; its metrics have a table of all under `seeds`.

    Raises:
        SentError: as `carry_out`.
    """
    request = series.request
    with under_way(series):
        runs = []
        for i in range(series.number):
            seed = request.seed + i
            say(f"seed {seed}, {i + 1} of {series.number}")
            one = replace(request, seed=seed, split_seed=request.parts_seed)
            runs.append(_row(seed, carry_out_one(series, seed, one)))
        figures = summary(runs, request.recipe.select)
        publish(series, figures["kept"], figures)
        _tell(figures)
        kept = load_checkpoint(series.folder)
        # The same for every seed: one split, and what is fitted on it hangs on no seed.
        for part in ("validation", "test"):
            say(f"to beat, {part}: {in_words(kept.metrics[part]['beside'])}")
        return kept


def _row(seed: int, checkpoint: Checkpoint) -> dict[str, Any]:
    metrics = checkpoint.metrics
    return {
        "seed": seed,
        "epoch": metrics["epoch"],
        "validation": judging_figures(checkpoint),
        "test": {name: metrics["test"][name] for name in NAMES},
    }


def summary(runs: Sequence[dict[str, Any]], select: str) -> dict[str, Any]:
    """Put runs, their mean and their spread together.

    Args:
        runs: `seed`, `epoch`, and the figures of `validation` and `test`, for two at least.
        select: what the best run is the best in.

    Returns:
        `runs`; `mean` and `spread` (standard deviation of such a run, from n - 1) of the figures;
        `kept`, the seed of the best run.
    """
    mean: dict[str, Any] = {"validation": {}, "test": {}}
    spread: dict[str, Any] = {"validation": {}, "test": {}}
    for part, name in FIGURES:
        values = [run[part][name] for run in runs]
        mean[part][name] = statistics.fmean(values)
        spread[part][name] = statistics.stdev(values)
    kept = min(runs, key=lambda run: demerit(run["validation"], select))["seed"]
    return {"runs": list(runs), "mean": mean, "spread": spread, "kept": kept}


def _tell(figures: dict[str, Any]) -> None:
    """Show the table."""
    rows = [_cells(str(run["seed"]), run) for run in figures["runs"]]
    rows += [_cells(name, figures[name]) for name in ("mean", "spread")]
    header = ("seed", *(f"{part} {name.replace('_', ' ')}" for part, name in FIGURES))
    say_table(f"{len(figures['runs'])} seeds", rows, header)
    say(f"kept: seed {figures['kept']}, the best on validation")


def _cells(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    values = [(figures[part][figure], figure) for part, figure in FIGURES]
    return (name, *(f"{v:.4f}" if figure == "loss" else f"{v:.2%}" for v, figure in values))

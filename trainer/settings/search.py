"""The settings that a search tries, and between which values. Nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from infer.base.errors import UsageError
from trainer.settings.recipe import Recipe


@dataclass(frozen=True)
class Span:
    """Values from `low` to `high`, whole numbers if both are; `log`: by their logarithm."""

    low: float
    high: float
    log: bool = False


SPANS: Final[Mapping[str, Span]] = MappingProxyType(
    {
        "learning_rate": Span(3e-4, 1e-2, log=True),
        "dropout": Span(0.1, 0.7),
        "embedding_dropout": Span(0.0, 0.4),
        "batch_size": Span(8, 128, log=True),
    }
)


def searched_settings(fixed: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the settings that are searched: those that were not asked for.

    Raises:
        UsageError: none is left.
    """
    names = tuple(name for name in SPANS if name not in fixed)
    if not names:
        raise UsageError(
            f"--trials: {', '.join(SPANS)} are all given, so nothing is left to search. Leave one "
            "out"
        )
    return names


def span_of(name: str, recipe: Recipe) -> Span:
    """Return between which values a setting is searched; the recipe's own is one of them."""
    span, own = SPANS[name], getattr(recipe, name)
    return Span(min(span.low, own), max(span.high, own), span.log)

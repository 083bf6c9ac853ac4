"""Fair timing: tasks in turn, medians, ratios of pairs."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleave(tasks: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Run each task once a round, in an order that turns, so that drift hits all alike.

    Returns:
        The values of each task, one a round; values of the same round are a pair.
    """
    names = list(tasks)
    values: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            values[name].append(tasks[name]())
    return values


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Divide pair by pair."""
    return tuple(a / b for a, b in zip(above, below, strict=True))


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start

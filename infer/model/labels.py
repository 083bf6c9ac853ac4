"""The labels that a model tells texts apart by: an ordered tuple of different names.

Of two, the second is the positive one, whose probability is the score.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

# More are no labels but something else that a column holds, such as ids.
MOST_LABELS: Final = 1_000


def label_names(values: Iterable[Any]) -> tuple[str, ...]:
    """Return names of labels that were read from a file.

    Raises:
        ValueError: they are too few or too many, not different, or no names.
    """
    names = tuple(values)
    if not 2 <= len(names) <= MOST_LABELS or len(set(names)) < len(names):
        raise ValueError(
            f"labels {names[:10]}, expected two different names or more, up to {MOST_LABELS:,}"
        )
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"labels {names[:10]}, expected different names, {name!r} is none")
        name.encode()  # JSON can hold half a surrogate pair, which no output can
    return names


def label_numbers(names: Iterable[str]) -> tuple[float, ...] | None:
    """Return the numbers that labels are called by, such as stars; None where one is no number."""
    try:
        numbers = tuple(map(float, names))
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def format_version(labels: int) -> int:
    """Return the version of a checkpoint or model file: readers of version 1 know two labels."""
    return 1 if labels == 2 else 2

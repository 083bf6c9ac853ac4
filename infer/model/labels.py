"""The labels that a model tells texts apart by: an ordered tuple of different names.

Of two, the second is the positive one, whose probability is the score.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

# How two classes are called in files, folded: (negative, positive).
KNOWN_PAIRS: Final = (("negative", "positive"), ("neg", "pos"))
# How numbers and truth values that mean the two classes are written.
PLAIN_PAIRS: Final = (("0", "1"), ("false", "true"))
# More are no labels but something else that a column holds, such as ids.
MOST_LABELS: Final = 1_000
# A whole number that is written as if it had a fraction.
WHOLE: Final = re.compile(r"([+-]?\d+)\.0+\Z")


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


def fold(text: str) -> str:
    """Return what is the same for labels that are one: no blanks at the ends, no capitals.

    A whole number is the same with `.0` behind it, as a column with a gap writes it.
    """
    folded = text.strip().casefold()
    return WHOLE.sub(r"\1", folded)


def spellings(names: tuple[str, ...], positive: str | None = None) -> dict[str, int]:
    """Return how files may write these labels: folded → the number of the label.

    Of two that are called negative and positive, or so in short, they may write any that mean
    these: 0 and 1, false and true.

    Args:
        names: the labels.
        positive: the plain one that was asked for as the positive one, such as `0`.

    Example:
        >>> spellings(("neg", "pos"))["1"]
        1
    """
    numbers: dict[str, int] = {}
    if tuple(map(fold, names)) in KNOWN_PAIRS:
        plain = [pair[::-1] if positive == pair[0] else pair for pair in PLAIN_PAIRS]
        numbers = {text: n for pair in (*KNOWN_PAIRS, *plain) for n, text in enumerate(pair)}
    return numbers | {fold(name): number for number, name in enumerate(names)}


def format_version(labels: int) -> int:
    """Return the version of a checkpoint or model file: readers of version 1 know two labels."""
    return 1 if labels == 2 else 2

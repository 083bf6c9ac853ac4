"""How sure a share is that was counted on few rows or many."""

import math
from typing import Final

# Of a normal distribution, 95 % lie within so many on each side of its mean.
_DEVIATIONS: Final = 1.959963984540054


def interval(right: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), which holds for few rows too.

    Args:
        right: how many are right, 0 to `rows`.
        rows: how many there are, at least 1.

    Returns:
        The lowest and highest share, 0 <= low <= right / rows <= high <= 1.

    Example:
        >>> [round(bound, 2) for bound in interval(9, 10)]
        [0.6, 0.98]
    """
    share, square = right / rows, _DEVIATIONS**2
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = math.sqrt(share * (1 - share) / rows + square / (4 * rows**2)) * _DEVIATIONS
    half /= 1 + square / rows
    # Rounding may put a bound a hair beyond the share.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))

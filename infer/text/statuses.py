"""What became of a row: names, and the numbers that arrays hold in their place."""

from typing import Final

STATUSES: Final = ("ok", "truncated", "null", "empty", "invalid")
OK, TRUNCATED, NULL, EMPTY, INVALID = range(5)

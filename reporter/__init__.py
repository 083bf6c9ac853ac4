"""Show people what was scored: one page of figures, and rows to label next.

Example:
    >>> import reporter
    >>> figures = reporter.report("scores.parquet", "report.html", over="date")  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["report", "sample"]

if TYPE_CHECKING:
    from reporter.api import report, sample


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `sent-report --help` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'reporter' has no attribute {name!r}")
    return getattr(importlib.import_module("reporter.api"), name)

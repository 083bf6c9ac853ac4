"""Score texts with an exported sentiment model, without torch.

Example:
    >>> import infer
    >>> model = infer.load("imdb-small", device="cpu")
    >>> model.score(["A wonderful film.", None])["prediction"].to_pylist()
    ['positive', None]

Whole files go through `infer.score_files`, which is what the command `sent-score` does. Engines
(Ray, Spark, DuckDB, Polars) call an `infer.Scorer` in their worker processes.
Nothing is printed: what there is to say goes to the logger `sent_toolkit`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Model", "Scorer", "SentError", "Summary", "check_complete", "load", "score_files"]

if TYPE_CHECKING:
    from infer.api import Model, check_complete, load, score_files
    from infer.base.errors import SentError
    from infer.job.summary import Summary
    from infer.workers import Scorer

_HOMES = {
    "Scorer": "infer.workers",
    "SentError": "infer.base.errors",
    "Summary": "infer.job.summary",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for: `sent-score --help` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'infer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "infer.api")), name)


def __dir__() -> list[str]:
    """List them as well, so that a notebook completes their names."""
    return sorted({*globals(), *__all__})

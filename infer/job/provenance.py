"""What an output says that it was made of: written by the job that makes it, read by who finds it.

Nothing heavy is imported here: a report reads it too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infer.job.plan import ScoreOptions, Task

# Of an output's metadata: what it was made of, whose hash is the fingerprint.
TASK_KEY: Final = "sent.task"
Made = Mapping[str, Any]


def made_of(options: "ScoreOptions", task: "Task", settings: Mapping[str, Any]) -> str:
    """Tell everything that a task's output depends on, as JSON."""
    whole = {
        **settings,
        "content": task.content,
        "columns": list(task.columns.carried),
        "prefix": options.prefix,
    }
    # The scores are the same, so that parts stay of use: it is no part of the settings.
    if options.abstain_below is not None:
        whole["abstain below"] = options.abstain_below
    return json.dumps(whole, sort_keys=True)


def fingerprint(options: "ScoreOptions", task: "Task", settings: Mapping[str, Any]) -> str:
    """Hash everything that a task's output depends on."""
    return hashlib.sha256(made_of(options, task, settings).encode()).hexdigest()


def read_made(told: str | bytes | None) -> Made | None:
    """Return what `made_of` told; None where it is something else.

    Its `content` is a mapping; where that has `rows`, these are two whole numbers.
    """
    try:
        made = json.loads(told or "")
        start, end = made["content"].get("rows", (0, 0))
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    return made if isinstance(start, int) and isinstance(end, int) else None

"""`--explain`: why the first rows of a job have the scores that they have."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa

from infer.job.parts import job_errors
from infer.job.plan import Plan, Task
from infer.model.explain import Explanation, explain
from infer.model.scorer import Scorer
from infer.table.parquet import open_parquet, text_windows

_ROWS_AT_ONCE: Final = 1_024
_WORDS_TOLD: Final = 8


@dataclass(frozen=True)
class Explained:
    """A row and why it has its score.

    Attributes:
        input: the file that it stands in.
        row: its number there, from 0.
        explanation: the words that move the score.
    """

    input: str
    row: int
    explanation: Explanation

    def in_words(self) -> str:
        """Say in a line what moves the score most."""
        why = self.explanation
        words = (f"{word.word} {word.change:+.2f}" for word in why.strongest(_WORDS_TOLD))
        told = ", ".join(words) or "no word can be left out"
        return f"row {self.row:,} of {self.input}: {why.label} {why.score:.3f}: {told}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready mapping."""
        return {"input": self.input, "row": self.row, **self.explanation.to_json()}


def explain_first(plan: Plan, scorer: Scorer, count: int) -> list[Explained]:
    """Explain the first rows of a job that have a score.

    Args:
        plan: what was scored.
        scorer: the model on its device.
        count: how many rows.

    Raises:
        JobError: an input cannot be read any more; the scores are complete.
    """
    with job_errors():
        found = (one for task in plan.tasks for one in _explained(task, scorer))
        return list(islice(found, count))


def _explained(task: Task, scorer: Scorer) -> Iterator[Explained]:
    with open_parquet(task.source) as file:
        row = task.start
        windows = text_windows(file, task.columns.text, _ROWS_AT_ONCE, row, end=task.end)
        for texts in windows:
            for place in np.flatnonzero(scorer.encode(texts).lengths).tolist():
                text = texts[place].cast(pa.large_binary()).as_py()
                if explanation := explain(scorer, text):
                    yield Explained(task.source.name, row + place, explanation)
            row += len(texts)

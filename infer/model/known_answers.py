"""Texts whose ids and logits are known: by them a program in another language finds its mistakes.

A model file carries twenty, as its card's `test_vectors`.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

# A run of one id that is shorter than this is written out.
_SHORTEST_RUN: Final = 8

Text = tuple[tuple[str, int], ...]
Ids = tuple[tuple[tuple[int, ...], int], ...]


@dataclass(frozen=True)
class KnownAnswer:
    """A text and what becomes of it.

    Attributes:
        shows: which rule it is there for.
        text: parts, each with how many times it stands there.
        ids: the ids that the network is given, likewise; none where the text has no token.
        logits: one of two labels, else one a label; none where there are no ids.
        score: probability of the positive of two labels, or of the predicted one; None without ids.
        prediction: name of the predicted label; None without ids.
    """

    shows: str
    text: Text
    ids: Ids
    logits: tuple[float, ...]
    score: float | None
    prediction: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready mapping."""
        return {
            "shows": self.shows,
            "text": [list(part) for part in self.text],
            "ids": [[list(block), times] for block, times in self.ids],
            "logits": list(self.logits),
            "score": self.score,
            "prediction": self.prediction,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "KnownAnswer":
        """Read `to_json` back.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        score, prediction = values["score"], values["prediction"]
        return cls(
            shows=str(values["shows"]),
            text=tuple((str(part), int(times)) for part, times in values["text"]),
            ids=tuple((tuple(map(int, block)), int(times)) for block, times in values["ids"]),
            logits=tuple(map(float, values["logits"])),
            score=None if score is None else float(score),
            prediction=None if prediction is None else str(prediction),
        )


def in_blocks(ids: list[int]) -> Ids:
    """Write ids down as blocks, each with how many times it stands there.

    Example:
        >>> in_blocks([7, 5, 5, 5, 5, 5, 5, 5, 5, 9])
        (((7,), 1), ((5,), 8), ((9,), 1))
    """
    blocks: list[tuple[tuple[int, ...], int]] = []
    for number, run in groupby(ids):
        times = len(list(run))
        if times >= _SHORTEST_RUN:
            blocks.append(((number,), times))
        elif blocks and blocks[-1][1] == 1:
            blocks[-1] = ((*blocks[-1][0], *[number] * times), 1)
        else:
            blocks.append((((number,) * times), 1))
    return tuple(blocks)

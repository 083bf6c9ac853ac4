"""What texts and their scores are like, as counts that add up; and how far two such are apart.

Training counts the validation reviews, and the model card carries that. Scoring counts what it
scores, window by window: the counts of any split, resumed or not, add up to the same. Legend: R
rows, K labels.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from infer.base.words import counted
from infer.text.statuses import OK, STATUSES, TRUNCATED
from infer.text.vocabulary import UNK_ID

if TYPE_CHECKING:
    from infer.model.results import Scores
    from infer.text.encoding import EncodedTexts

# A score is in the bin `floor(20 * score)`, 1 in the last one.
SCORE_BINS: Final = 20
# In tokens, before a long text loses its middle: bins begin at these, the last one has no end.
LENGTH_EDGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# Share of unknown tokens among those that the model reads, in per cent: bins end with these, the
# first one has no unknown token at all.
UNKNOWN_ENDS: Final = (0, 1, 2, 5, 10, 20, 50, 100)
# Another number where rows are counted otherwise: such counts do not add up.
PROFILE_VERSION: Final = 1
# Of an output's or a part's metadata.
PROFILE_KEY: Final = "sent.profile"
_MOST: Final = 1 << 53  # what JSON can hold to the number


@dataclass(frozen=True)
class Profile:
    """Counts of R rows.

    Attributes:
        statuses: rows by status, those of `infer.text.statuses.STATUSES`.
        labels: scored rows by predicted label, in the order of the model's.
        scores: (20,) scored rows by score: the probability of the positive label, or of the
            predicted one where there are more than two.
        lengths: (13,) scored rows by their tokens; see `LENGTH_EDGES`.
        unknown: (8,) scored rows by their share of unknown tokens; see `UNKNOWN_ENDS`.
        tokens: that the model read.
        unknown_tokens: those of them that it does not know.

    Example:
        >>> nothing = Profile.nothing(("negative", "positive"))
        >>> (nothing + nothing).scored
        0
    """

    statuses: Mapping[str, int]
    labels: Mapping[str, int]
    scores: tuple[int, ...]
    lengths: tuple[int, ...]
    unknown: tuple[int, ...]
    tokens: int
    unknown_tokens: int

    def __post_init__(self) -> None:
        """Refuse counts that no rows can have.

        Raises:
            ValueError: saying which.
        """
        for name, counts, bins in (
            ("scores", self.scores, SCORE_BINS),
            ("lengths", self.lengths, len(LENGTH_EDGES)),
            ("unknown", self.unknown, len(UNKNOWN_ENDS)),
            ("labels", tuple(self.labels.values()), len(self.labels)),
            ("statuses", tuple(self.statuses.values()), len(STATUSES)),
            ("tokens", (self.tokens, self.unknown_tokens), 2),
        ):
            if len(counts) != bins or not all(map(_is_count, counts)):
                raise ValueError(f"profile: {name} {counts!s:.80}, expected {bins} counts")
            if name not in ("statuses", "tokens") and sum(counts) != self.scored:
                raise ValueError(
                    f"profile: {name} of {counted(sum(counts), 'row')}, expected {self.scored} as "
                    "by status"
                )
        if not self.unknown_tokens <= self.tokens >= self.scored:
            raise ValueError(
                f"profile: {self.unknown_tokens} unknown of {self.tokens} tokens in {self.scored} "
                "rows, expected at least a token in each and no more unknown ones"
            )

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.statuses.values())

    @property
    def scored(self) -> int:
        """Rows that have a score."""
        return self.statuses["ok"] + self.statuses["truncated"]

    @property
    def unknown_share(self) -> float:
        """Share of all tokens that the model does not know, 0 to 1; 0 where there are none."""
        return self.unknown_tokens / self.tokens if self.tokens else 0.0

    @classmethod
    def nothing(cls, labels: Iterable[str]) -> "Profile":
        """Return the counts of no rows, by a model with these labels."""
        return cls(
            statuses=dict.fromkeys(STATUSES, 0),
            labels=dict.fromkeys(labels, 0),
            scores=(0,) * SCORE_BINS,
            lengths=(0,) * len(LENGTH_EDGES),
            unknown=(0,) * len(UNKNOWN_ENDS),
            tokens=0,
            unknown_tokens=0,
        )

    @classmethod
    def of(cls, encoded: "EncodedTexts", scores: "Scores", labels: tuple[str, ...]) -> "Profile":
        """Count rows that were scored.

        Args:
            encoded: R texts.
            scores: what is said of them.
            labels: names of the model's.
        """
        scored = (scores.status == OK) | (scores.status == TRUNCATED)
        unknown = _in_each(encoded.ids == UNK_ID, encoded.offsets)[scored]
        lengths = encoded.lengths[scored]
        return cls(
            statuses=dict(zip(STATUSES, _counts(scores.status, len(STATUSES)), strict=True)),
            labels=dict(zip(labels, _counts(scores.prediction[scored], len(labels)), strict=True)),
            scores=_counts(_score_bins(scores.score[scored]), SCORE_BINS),
            lengths=_counts(_length_bins(encoded.written[scored]), len(LENGTH_EDGES)),
            unknown=_counts(_unknown_bins(unknown, lengths), len(UNKNOWN_ENDS)),
            tokens=int(lengths.sum()),
            unknown_tokens=int(unknown.sum()),
        )

    def __add__(self, other: "Profile") -> "Profile":
        """Return the counts of the rows of both.

        Raises:
            ValueError: they are of models with other labels.
        """
        if tuple(self.labels) != tuple(other.labels):
            raise ValueError(
                f"profiles of labels {[*self.labels]} and {[*other.labels]}, expected the same"
            )
        return Profile(
            statuses={name: n + other.statuses[name] for name, n in self.statuses.items()},
            labels={name: n + other.labels[name] for name, n in self.labels.items()},
            scores=_added(self.scores, other.scores),
            lengths=_added(self.lengths, other.lengths),
            unknown=_added(self.unknown, other.unknown),
            tokens=self.tokens + other.tokens,
            unknown_tokens=self.unknown_tokens + other.unknown_tokens,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the counts as a JSON-ready mapping."""
        return {
            "statuses": dict(self.statuses),
            "labels": dict(self.labels),
            "scores": list(self.scores),
            "lengths": list(self.lengths),
            "unknown": list(self.unknown),
            "tokens": self.tokens,
            "unknown_tokens": self.unknown_tokens,
        }

    def to_text(self) -> str:
        """Return the counts as JSON, for a file's metadata."""
        return json.dumps(self.to_json())

    @classmethod
    def from_text(cls, text: str | bytes, labels: Iterable[str] | None = None) -> "Profile":
        """Read `to_text` back; see `from_json`."""
        try:
            return cls.from_json(json.loads(text), labels)
        except (TypeError, RecursionError) as error:
            raise ValueError(f"profile: {error}") from error

    @classmethod
    def from_json(cls, values: object, labels: Iterable[str] | None = None) -> "Profile":
        """Read `to_json` back.

        Args:
            values: what JSON held.
            labels: of the model that it has to be of (None: any).

        Raises:
            ValueError: it is no profile, or one of other labels.
        """
        if not isinstance(values, dict) or values.keys() != _KINDS.keys():
            found = sorted(values) if isinstance(values, dict) else type(values).__name__
            raise ValueError(f"profile: {found}, expected an object of {sorted(_KINDS)}")
        for name, kind in _KINDS.items():
            if type(values[name]) is not kind:
                raise ValueError(f"profile: {name} is {values[name]!r:.80}, expected {kind}")
        names = values["labels"] if labels is None else labels
        return cls(
            # The names of a JSON object come in any order.
            statuses=_in_order(values["statuses"], STATUSES),
            labels=_in_order(values["labels"], tuple(names)),
            scores=tuple(values["scores"]),
            lengths=tuple(values["lengths"]),
            unknown=tuple(values["unknown"]),
            tokens=values["tokens"],
            unknown_tokens=values["unknown_tokens"],
        )


_KINDS: Final = {
    "statuses": dict, "labels": dict, "scores": list, "lengths": list, "unknown": list,
    "tokens": int, "unknown_tokens": int,
}  # fmt: skip


def _in_order(counts: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    if counts.keys() != set(names):
        raise ValueError(f"profile: {[*counts][:10]}, expected {[*names][:10]}")
    return {name: counts[name] for name in names}


def _added(ours: Sequence[int], theirs: Sequence[int]) -> tuple[int, ...]:
    return tuple(one + other for one, other in zip(ours, theirs, strict=True))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _in_each(marks: npt.NDArray[np.bool_], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the marks (N,) of each row: (R,)."""
    before = np.concatenate(([0], np.cumsum(marks)))
    counts: npt.NDArray[np.int64] = np.diff(before[offsets])
    return counts


def _counts(bins: npt.NDArray[Any], number: int) -> tuple[int, ...]:
    counts: list[int] = np.bincount(bins, minlength=number).tolist()
    return tuple(counts)


def _score_bins(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    bins = np.floor(scores.astype(np.float64) * SCORE_BINS).astype(np.int64)
    return np.minimum(bins, SCORE_BINS - 1)


def _length_bins(tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(LENGTH_EDGES, tokens, side="right") - 1


def _unknown_bins(
    unknown: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    # Upwards and in whole numbers: 1 of 100 is 1 per cent, 1 of 99 is more.
    return np.searchsorted(UNKNOWN_ENDS, -(-unknown * 100 // tokens), side="left")

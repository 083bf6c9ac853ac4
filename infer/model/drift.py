"""Whether texts are like those that a model learned from: two profiles against each other.

The population stability index is the measure, as credit scoring has it: below 0.1 little has
changed, from 0.1 to 0.25 something has, above 0.25 much has (Siddiqi, Credit Risk Scorecards,
2006). Few rows differ by chance alone: what chance explains is called little, whatever the index.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from infer.model.profile import LENGTH_EDGES, Profile

LITTLE: Final = 0.1
MUCH: Final = 0.25
# Added to each count, so that an empty bin has a share whose logarithm exists.
_PRIOR: Final = 0.5
# Of a normal distribution, one value in a thousand lies above so many deviations.
_SELDOM: Final = 3.0902
# A smaller change of a label's share is none that a sentence should tell.
_TOLD: Final = 0.05
_MORE_UNKNOWN: Final = 2


@dataclass(frozen=True)
class Shift:
    """How far two distributions are apart.

    Attributes:
        index: the population stability index, 0 where they are the same.
        chance: what it exceeds once in a thousand times where both are of the same kind.
    """

    index: float
    chance: float

    @property
    def in_words(self) -> str:
        """`little`, `some` or `much`."""
        if self.index <= max(LITTLE, self.chance):
            return "little"
        return "some" if self.index <= MUCH else "much"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready mapping; `index` has four decimals."""
        return {"index": round(self.index, 4), "in_words": self.in_words}


@dataclass(frozen=True)
class Drift:
    """How far scored texts are from those that the model learned from; see `Shift`."""

    labels: Shift
    scores: Shift
    lengths: Shift
    unknown: Shift

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready mapping."""
        return {name: shift.to_json() for name, shift in vars(self).items()}


def drift(learned: Profile, seen: Profile) -> Drift | None:
    """Hold what was scored against what the model learned from.

    Args:
        learned: of the validation reviews.
        seen: of what was scored.

    Returns:
        None where either has no scored row.

    Raises:
        ValueError: they are of models with other labels.
    """
    together = learned + seen
    if not (learned.scored and seen.scored):
        return None
    return Drift(
        labels=shift(
            [learned.labels[name] for name in together.labels],
            [seen.labels[name] for name in together.labels],
        ),
        scores=shift(learned.scores, seen.scores),
        lengths=shift(learned.lengths, seen.lengths),
        unknown=shift(learned.unknown, seen.unknown),
    )


def shift(expected: Sequence[int], found: Sequence[int]) -> Shift:
    """Compute the population stability index of two histograms with the same bins.

    Args:
        expected: counts, at least one row.
        found: likewise.

    Example:
        >>> shift([500, 500], [500, 500]).index
        0.0
        >>> shift([900, 100], [100, 900]).in_words
        'much'
    """
    bins, rows = len(expected), (sum(expected), sum(found))
    index = 0.0
    for one, other in zip(expected, found, strict=True):
        p, q = (
            (count + _PRIOR) / (of + _PRIOR * bins)
            for count, of in zip((one, other), rows, strict=True)
        )
        index += (q - p) * math.log(q / p)
    return Shift(index, _by_chance(bins, *rows))


def _by_chance(bins: int, expected: int, found: int) -> float:
    """Return what the index of two samples of one population seldom exceeds.

    It is about (1/n + 1/m) times a chi-square of one degree less than bins (Yurdakul 2018), whose
    quantile is Wilson and Hilferty's.
    """
    degrees = bins - 1
    part = 2 / (9 * degrees)
    quantile = degrees * (1 - part + _SELDOM * math.sqrt(part)) ** 3
    return (1 / expected + 1 / found) * quantile


def differences(learned: Profile, seen: Profile) -> list[str]:
    """Say in what the scored texts are much unlike those that the model learned from.

    Returns:
        A phrase for each, such as `shorter, around 8 to 15 tokens against 128 to 255`. None where
        all is alike, or too little was scored to tell.
    """
    found = drift(learned, seen)
    if found is None:
        return []
    phrases = []
    if found.lengths.in_words == "much":
        phrases.append(_of_lengths(learned, seen))
    # Short texts have no unknown token or many: their bins are others, and nothing is amiss.
    more = seen.unknown_share >= _MORE_UNKNOWN * learned.unknown_share
    if found.unknown.in_words == "much" and seen.unknown_tokens and more:
        phrases.append(_of_unknown(learned, seen))
    if (found.labels if len(seen.labels) > 2 else found.scores).in_words == "much":
        phrases.append(_of_labels(learned, seen))
    return phrases


def _of_lengths(learned: Profile, seen: Profile) -> str:
    there, here = (_middle(profile.lengths) for profile in (learned, seen))
    noun = "token" if LENGTH_EDGES[here] == 1 else "tokens"
    if there == here:
        return f"of other lengths, though as often around {_tokens(here)} {noun}"
    how = "shorter" if here < there else "longer"
    return f"{how}, around {_tokens(here)} {noun} against {_tokens(there)}"


def _of_unknown(learned: Profile, seen: Profile) -> str:
    return f"{seen.unknown_share:.1%} unknown tokens against {learned.unknown_share:.1%}"


def _of_labels(learned: Profile, seen: Profile) -> str:
    """Name the label whose share has changed most; where none has, the scores have."""
    shares = {
        name: (seen.labels[name] / seen.scored, count / learned.scored)
        for name, count in learned.labels.items()
    }
    # Of two labels both change as much: the positive one is named.
    name = max(reversed(shares), key=lambda one: round(abs(shares[one][0] - shares[one][1]), 9))
    here, there = shares[name]
    if abs(here - there) < _TOLD:
        sure, before = (_sure(profile) for profile in (seen, learned))
        return f"{sure:.0%} scored below 5 % or above 95 % against {before:.0%}"
    return f"{here:.0%} {name} against {there:.0%}"


def _sure(profile: Profile) -> float:
    return (profile.scores[0] + profile.scores[-1]) / profile.scored


def _middle(counts: Sequence[int]) -> int:
    """Return the bin of the median row."""
    below, half = 0, sum(counts) / 2
    for number, count in enumerate(counts):
        below += count
        if below >= half:
            return number
    return len(counts) - 1


def _tokens(number: int) -> str:
    """Return a bin of lengths in words."""
    first = LENGTH_EDGES[number]
    if number + 1 == len(LENGTH_EDGES):
        return f"{first:,} and more"
    last = LENGTH_EDGES[number + 1] - 1
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"

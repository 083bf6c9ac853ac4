"""The labels of scored rows: which there are, whose probability a score is, what truth means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infer.base.errors import InputError
from infer.base.words import counted
from infer.model.labels import KNOWN_PAIRS, MOST_LABELS, fold, label_numbers, spellings
from reporter.figures.counts import Range

# What a file tells nothing of, where all its rows have the negative one of two labels.
OTHER: Final = "the other label"
_SHOWN: Final = 10
_LONGEST: Final = 60  # characters


@dataclass(frozen=True)
class Labels:
    """The labels that rows were told apart by.

    Attributes:
        names: in the model's order where that is known; of two, (negative, positive).
        positive: the label whose probability every score is; None: a score is the probability of
            the row's own prediction.
        are_known: whether there can be no others: the model or its columns name them.
    """

    names: tuple[str, ...]
    positive: str | None
    are_known: bool

    def surety(self) -> str:
        """Return SQL for the probability of a row's own prediction."""
        score = "score::DOUBLE"
        if self.positive is None:
            return score
        return f"CASE WHEN prediction = {quoted(self.positive)} THEN {score} ELSE 1 - {score} END"


def quoted(text: str) -> str:
    """Return a string as SQL has it."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def find_labels(
    ranges: Mapping[str | None, Range], known: Sequence[str], name: str, source: str
) -> Labels:
    """Find the labels of rows.

    Args:
        ranges: of the scores of each prediction.
        known: the labels by the model or by the columns of probabilities; () without either.
        name: the files, for messages.
        source: where the known ones are known from.

    Raises:
        InputError: rows have another label, or scores are no probabilities.
    """
    _check_scores(ranges, name)
    seen = [label for label in ranges if label is not None]
    if strange := [label for label in seen if known and label not in known]:
        raise InputError(
            f"{name}: prediction {_listed(strange)}, expected {_listed(known)}, the labels of "
            f"{source}. Name the model that scored these files with --model"
        )
    if len(seen) > MOST_LABELS:
        raise InputError(
            f"{name}: {len(seen):,} different predictions, expected at most {MOST_LABELS:,} labels"
        )
    if known:
        return Labels(tuple(known), known[1] if len(known) == 2 else None, True)
    return _by_looks(in_order(seen), ranges)


def _by_looks(names: tuple[str, ...], ranges: Mapping[str | None, Range]) -> Labels:
    """Tell the positive one of two labels by the scores: all of its own are above the other's."""
    for pair in KNOWN_PAIRS:
        if set(map(fold, names)) <= set(pair) and names:
            called = {fold(name): name for name in names}
            low, high = (called.get(name, name) for name in pair)
            if _above(ranges.get(high), ranges.get(low)):
                return Labels((low, high), high, True)
    if len(names) == 1 and ranges[names[0]].most < 0.5:
        return Labels((names[0], OTHER), OTHER, False)
    if len(names) == 2:
        for low, high in (names, names[::-1]):
            if _above(ranges[high], ranges[low]):
                return Labels((low, high), high, False)
    return Labels(names, None, False)


def _above(one: Range | None, other: Range | None) -> bool:
    return one is None or other is None or one.least >= other.most


def _check_scores(ranges: Mapping[str | None, Range], name: str) -> None:
    for found in ranges.values():
        if found.scores and not 0 <= found.least <= found.most <= 1:
            wrong = found.least if found.least < 0 else found.most
            raise InputError(
                f"{name}: a score is {wrong:.7g}, expected probabilities from 0 to 1, as "
                "sent-score writes them"
            )
    if (bare := ranges.get(None)) is not None and bare.scores:
        raise InputError(f"{name}: {counted(bare.scores, 'row')} with a score and no prediction")


def read_truth(
    written: Iterable[tuple[str | None, int]], labels: Labels, name: str
) -> tuple[dict[str, str], Labels]:
    """Find which labels the values of a truth column mean.

    Args:
        written: the values, and how many rows have each; None is no truth.
        labels: of the rows.
        name: the column, for messages.

    Returns:
        A value → the name of its label; and the labels, with those that were never predicted where
        nothing tells that there are no others.

    Raises:
        InputError: a value means none of the labels.
    """
    known = spellings(labels.names)
    found: dict[str, str] = {}
    strange: dict[str, int] = {}
    for value, rows in written:
        if value is None or not fold(value):
            continue
        number = known.get(fold(_whole(value)), known.get(fold(value)))
        if number is None:
            strange[value] = rows
        else:
            found[value] = labels.names[number]
    is_open = not labels.are_known and 2 < len(labels.names) <= MOST_LABELS - len(strange)
    if strange and is_open:
        names = in_order([*labels.names, *strange])
        return found | {value: value for value in strange}, Labels(names, None, False)
    if strange:
        values = sorted(strange, key=lambda value: -strange[value])
        raise InputError(
            f"{name}: {counted(sum(strange.values()), 'row')} with {_listed(values)}, expected "
            f"{_expected(labels)}. "
            "Name the column of the true labels with --label-column, and write them as the model "
            "does"
        )
    return found, labels


def _whole(value: str) -> str:
    """Return 1 for 1.0, as a column of whole numbers with a gap is written."""
    return value.removesuffix(".0")


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return labels in the order of their numbers, else of the alphabet."""
    names = sorted(names)
    numbers = label_numbers(names)
    if numbers is None:
        return tuple(names)
    return tuple(name for _, name in sorted(zip(numbers, names, strict=True)))


def _expected(labels: Labels) -> str:
    numbers = " (or 0 and 1)" if "0" in spellings(labels.names) and len(labels.names) == 2 else ""
    return f"the labels of the predictions, {_listed(labels.names)}{numbers}"


def _listed(names: Sequence[str]) -> str:
    cut = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…" for name in names[:_SHOWN]]
    return ", ".join(map(repr, cut)) + (", …" if len(names) > _SHOWN else "")

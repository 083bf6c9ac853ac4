"""Rows of a table drawn apart, for validation or for the test, with every class in each part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infer.base.errors import InputError
from infer.base.words import counted

GROUP: Final = "group"


@dataclass(frozen=True)
class Near:
    """How near to a class's share of the rows a draw that did not look at the labels has to be.

    Attributes:
        rows: so many rows more or fewer,
        share: or so much of what is expected, whichever is more.
    """

    rows: float
    share: float


USUAL_NEAR: Final = Near(1.0, 0.1)
# Of runs that older versions began.
OLD_NEAR: Final = Near(1.5, 0.5)


def split_rows(
    table: pa.Table,
    share: float,
    seed: int,
    names: Sequence[str] = (),
    near: Near = USUAL_NEAR,
) -> tuple[pa.Table, pa.Table]:
    """Draw `share` of the rows with `seed`: (the others, the drawn ones), both in file order.

    Each class is drawn from by its share, and both parts get at least one row of each. A draw that
    did not look at the labels is kept where it came close to that, as it does where rows are many:
    so drew the versions before. Rows of one group, where the table has groups, stay together.

    Args:
        table: `label` (integers), and `group` where rows hang together; without one (null) a row
            is a group of its own.
        share: of the rows, between 0 and 1.
        seed: decides which.
        names: of the classes, for messages.
        near: how close is close.

    Raises:
        InputError: a class has fewer than two rows, or too few groups to be in both parts.
    """
    labels = table["label"].to_numpy()
    if GROUP in table.column_names:
        is_drawn = _draw_groups(labels, group_numbers(table), share, seed, names)
    else:
        is_drawn = _draw(labels, share, seed, names, near)
    return table.filter(pa.array(~is_drawn)), table.filter(pa.array(is_drawn))


def count_classes(labels: npt.NDArray[np.integer], names: Sequence[str]) -> str:
    """Say how many rows of each class there are, of many of the rarest: "3 'a', 0 'b'"."""
    numbers = range(len(names)) if names else np.unique(labels)
    called = names or [str(number) for number in numbers]
    counts = [int((labels == number).sum()) for number in numbers]
    pairs = list(zip(counts, called, strict=True))
    rest = f" and {len(pairs) - 20} more classes" if len(pairs) > 20 else ""
    shown = sorted(pairs, key=lambda pair: pair[0])[:20] if rest else pairs
    return ", ".join(f"{count:,} {name!r}" for count, name in shown) + rest


def group_numbers(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return a number for each row's group: (R,) int64; a row without a group has its own."""
    groups = pc.dictionary_encode(table[GROUP]).combine_chunks()
    numbers = groups.indices.to_numpy(zero_copy_only=False)
    alone = np.isnan(numbers) if groups.null_count else np.zeros(len(numbers), bool)
    own = len(groups.dictionary) + np.arange(len(numbers))
    found: npt.NDArray[np.int64] = np.where(alone, own, np.nan_to_num(numbers)).astype(np.int64)
    return found


def _draw(
    labels: npt.NDArray[np.integer], share: float, seed: int, names: Sequence[str], near: Near
) -> npt.NDArray[np.bool_]:
    order = np.random.default_rng([seed, 0]).permutation(len(labels))
    classes = [order[labels[order] == label] for label in np.unique(labels)]
    if len(classes) < max(2, len(names)) or min(map(len, classes)) < 2:
        raise InputError(
            f"{counted(len(labels), 'row')} ({count_classes(labels, names)}) cannot be split into "
            "a part to train on and one to judge by: expected at least 2 of each class, one for "
            "each part (of a single file 3, since it is split twice). Add some, or leave rare "
            "classes out with --labels 'RARE='"
        )
    drawn = order[: max(1, round(share * len(labels)))]
    if not all(_is_near(rows, drawn, share, near) for rows in classes):
        counts = [min(max(1, round(share * len(rows))), len(rows) - 1) for rows in classes]
        pairs = zip(classes, counts, strict=True)
        drawn = np.concatenate([rows[:count] for rows, count in pairs])
    is_drawn = np.zeros(len(labels), bool)
    is_drawn[drawn] = True
    return is_drawn


def _is_near(
    rows: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], share: float, near: Near
) -> bool:
    """Whether a draw took about the share of a class, and neither nothing nor all of it."""
    count, expected = int(np.isin(rows, drawn).sum()), share * len(rows)
    return 1 <= count < len(rows) and abs(count - expected) <= max(near.rows, near.share * expected)


def _draw_groups(
    labels: npt.NDArray[np.integer],
    groups: npt.NDArray[np.int64],
    share: float,
    seed: int,
    names: Sequence[str],
) -> npt.NDArray[np.bool_]:
    """Draw whole groups, each where it brings every class nearer to its share.

    scikit-learn's folds of groups differ in size where groups do: a group of 40 rows in 100 leaves
    12 for each of the other four folds of five.
    """
    kinds = np.unique(labels)
    _, numbers = np.unique(groups, return_inverse=True)
    counts = np.zeros((numbers.max(initial=-1) + 1, len(kinds)), np.int64)  # (groups, K) rows
    np.add.at(counts, (numbers, np.searchsorted(kinds, labels)), 1)
    goal = np.maximum(1.0, share * counts.sum(axis=0))  # (K,)
    taken = _take(counts, goal, np.random.default_rng([seed, 0]).permutation(len(counts)))
    in_both = (counts[taken].sum(axis=0) > 0) & (counts[~taken].sum(axis=0) > 0)
    if len(kinds) < max(2, len(names)) or not in_both.all():
        raise InputError(
            f"{counted(len(labels), 'row')} in {counted(len(counts), 'group')} "
            f"({count_classes(labels, names)}) cannot be split by group into a part to train "
            "on and one to judge by, with each class in both. Use another --group-column or none"
        )
    return taken[numbers]


def _take(
    counts: npt.NDArray[np.int64], goal: npt.NDArray[np.float64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Say which groups are taken, in the order given, so that their rows of each class add up."""
    taken, have = np.zeros(len(counts), bool), np.zeros(len(goal))

    def off(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        gaps: npt.NDArray[np.float64] = np.square((rows - goal) / goal)  # rare classes count alike
        return np.asarray(gaps.sum(axis=-1))

    for group in order:
        if off(have + counts[group]) < off(have):
            taken[group], have = True, have + counts[group]
    for missing in np.flatnonzero(have == 0):
        those = order[counts[order, missing] > 0]
        if len(those) > 1 and not taken[those].any():
            group = those[off(have + counts[those]).argmin()]
            taken[group], have = True, have + counts[group]
    return taken

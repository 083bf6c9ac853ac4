"""Rows of a table drawn apart, for validation or for the test, with both classes in each part."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infer.base.errors import InputError


def split_rows(table: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Draw `share` of the rows with `seed`: (the others, the drawn ones), both in file order.

    Each class is drawn from by about its share, and both parts get at least one row of each. A draw
    that did not look at the labels is kept where it came close to that: so drew the versions
    before, whose runs can be taken up.

    Raises:
        InputError: a class has fewer than two rows.
    """
    labels = table["label"].to_numpy()
    order = np.random.default_rng([seed, 0]).permutation(table.num_rows)
    classes = [order[labels[order] == label] for label in np.unique(labels)]
    if (least := min(map(len, classes), default=0)) < 2:
        raise InputError(
            f"{table.num_rows:,} rows cannot be split into a part to train on and one to judge by: "
            f"one of the classes has {least} of them, expected at least 2"
        )
    drawn = order[: max(1, round(share * table.num_rows))]
    if not all(_is_near(rows, drawn, share) for rows in classes):
        counts = [min(max(1, round(share * len(rows))), len(rows) - 1) for rows in classes]
        pairs = zip(classes, counts, strict=True)
        drawn = np.concatenate([rows[:count] for rows, count in pairs])
    is_drawn = np.zeros(table.num_rows, bool)
    is_drawn[drawn] = True
    return table.filter(pa.array(~is_drawn)), table.filter(pa.array(is_drawn))


def _is_near(
    rows: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], share: float, off: float = 0.5
) -> bool:
    """Whether a draw took about the share of a class, and neither nothing nor all of it."""
    count, expected = int(np.isin(rows, drawn).sum()), share * len(rows)
    return 1 <= count < len(rows) and abs(count - expected) <= max(1.5, off * expected)

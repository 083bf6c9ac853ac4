"""Texts and groups that stand in two parts, so that a figure is too good."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.splits import GROUP

# What is counted → what is said of so many of so many.
WORDS: Final = {
    "test_texts_in_training": "test texts stand in the training part too, so the test accuracy is "
    "too high",
    "validation_texts_in_training": "validation texts are trained on too, so the validation "
    "accuracy is too high",
    "test_texts_unlabelled": "test texts stand among the unlabelled ones too, so training sees "
    "them, though not their labels",
    "test_groups_in_training": "groups of the test part stand in the training part too, which "
    "--group-column is there to prevent",
}


def find_overlap(
    fitting: pa.Table, validation: pa.Table, test: pa.Table, unlabelled: pa.Array | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Count what stands in two parts.

    Args:
        fitting: rows that are trained on: `text`, and `group` where rows have one.
        validation: rows that choose the epoch: the same columns.
        test: rows that are tested on: the same columns.
        unlabelled: texts without a label that are trained on.

    Returns:
        The counts that are not 0, by what they count; and what is to be said, a sentence each.
    """
    seen = pa.concat_arrays([_column(part, "text") for part in (fitting, validation)])
    pairs = {
        "test_texts_in_training": (_column(test, "text"), seen),
        "validation_texts_in_training": (_column(validation, "text"), _column(fitting, "text")),
    }
    if unlabelled is not None:
        pairs["test_texts_unlabelled"] = (_column(test, "text"), unlabelled)
    if all(GROUP in part.column_names for part in (fitting, test)):
        own = pc.unique(_column(test, GROUP)).drop_null()
        pairs["test_groups_in_training"] = (own, _column(fitting, GROUP))
    found = {name: (_shared(*pair), len(pair[0])) for name, pair in pairs.items()}
    there = {name: counts for name, counts in found.items() if counts[0]}
    return {name: shared for name, (shared, _) in there.items()}, tuple(_told(there))


def _told(found: dict[str, tuple[int, int]]) -> Iterable[str]:
    for name, (shared, rows) in found.items():
        yield f"Warning: {shared:,} of the {rows:,} {WORDS[name]}."


def _shared(values: pa.Array, among: pa.Array) -> int:
    """Return how many of the values stand among others."""
    return int(pc.sum(pc.is_in(values, pc.unique(among))).as_py() or 0)


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()

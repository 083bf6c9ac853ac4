"""What is counted is said as people say it."""

import pytest

from infer.base.words import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_345, "12,345 rows")]
)
def test_a_number_with_what_it_counts(number: int, words: str) -> None:
    assert counted(number, "row") == words


def test_what_has_no_s_behind_it() -> None:
    assert counted(1, "batch", "batches") == "1 batch"
    assert counted(3, "batch", "batches") == "3 batches"

"""What stands in two parts is counted, once for each row that judges."""

import pyarrow as pa

from trainer.data.overlap import find_overlap


def part(texts: str, groups: list[str | None] | None = None) -> pa.Table:
    table = pa.table({"text": pa.chunked_array([list(texts)], pa.large_string())})
    if groups is None:
        return table
    return table.append_column("group", pa.chunked_array([groups], pa.large_string()))


def test_each_pair_of_parts_is_counted() -> None:
    unlabelled = pa.array(["z", "e", "e"], pa.large_string())
    found, told = find_overlap(part("abcd"), part("dx"), part("aaxez"), unlabelled)
    assert found == {
        "test_texts_in_training": 3,  # twice "a", and "x", which validates
        "validation_texts_in_training": 1,
        "test_texts_unlabelled": 2,
    }
    assert told[0].startswith("Warning: 3 of the 5 test texts stand in the training part too")
    assert len(told) == 3


def test_nothing_shared_is_nothing_said() -> None:
    assert find_overlap(part("ab"), part("c"), part("d"), None) == ({}, ())


def test_groups_are_counted_where_both_parts_have_them() -> None:
    fitting, test = part("ab", ["x", None]), part("cde", ["x", "y", None])
    found, _ = find_overlap(fitting, part("f", [None]), test, None)
    assert found == {"test_groups_in_training": 1}
    assert find_overlap(fitting, part("f", [None]), part("cde"), None)[0] == {}

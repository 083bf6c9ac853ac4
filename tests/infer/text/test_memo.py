"""The memory: each string once, within bounds, and right for threads that share it."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from infer.text.memo import Memo


def spelled(strings: pa.Array) -> pa.LargeListArray:
    """Return the characters' numbers."""
    return pa.array(
        [list(map(ord, text)) for text in strings.to_pylist()], pa.large_list(pa.int32())
    )


class Counting:
    """Spells, and notes what it was asked for."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.asked: list[str] = []

    def __call__(self, strings: pa.Array) -> pa.LargeListArray:
        """Spell."""
        self.asked += strings.to_pylist()
        return spelled(strings)


def strings(*texts: str) -> pa.Array:
    """Return strings as Arrow's."""
    return pa.array(texts, pa.large_string())


def test_only_what_is_new_is_worked_out() -> None:
    compute = Counting()
    memo = Memo(compute, 100, 10_000)
    for texts in (["b", "", "ab"], ["c", "ab", "b"], ["ab"], []):
        assert memo(strings(*texts)).to_pylist() == [list(map(ord, text)) for text in texts]
    assert compute.asked == ["b", "", "ab", "c"]


def test_it_forgets_where_it_would_hold_too_many_strings() -> None:
    memo = Memo(Counting(), 10, 10_000)
    for start in range(0, 100, 4):
        texts = [str(n) for n in range(start, start + 4)]
        assert memo(strings(*texts)).to_pylist() == [list(map(ord, text)) for text in texts]
        assert len(memo) <= 10


def test_it_forgets_where_it_holds_too_many_bytes() -> None:
    memo = Memo(Counting(), 1_000, 10_000)
    for n in range(50):
        memo(strings("x" * 1_000 + str(n)))
        assert len(memo) <= 3  # of 5,000 bytes each


def test_what_could_not_be_worked_out_is_not_remembered() -> None:
    memo = Memo(lambda new: spelled(new) if "bad" not in new.to_pylist() else 1 / 0, 10, 1_000)
    with pytest.raises(ZeroDivisionError):
        memo(strings("good", "bad"))
    assert len(memo) == 0
    assert memo(strings("good")).to_pylist() == [list(map(ord, "good"))]


def test_threads_may_share_it() -> None:
    memo = Memo(spelled, 500, 1 << 20)

    def asked(start: int) -> bool:
        texts = [str(n) for n in range(start, start + 200)]
        return bool(memo(strings(*texts)).to_pylist() == [list(map(ord, text)) for text in texts])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(asked, [n % 700 for n in range(0, 20_000, 50)]))

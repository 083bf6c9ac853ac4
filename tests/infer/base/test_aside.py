"""A call aside."""

import threading

import pytest

from infer.base.aside import aside


def test_what_it_returns_and_raises() -> None:
    assert aside(lambda: 3) == 3
    assert aside(lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 // 0)


def test_a_limit_of_time() -> None:
    ended = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.01 seconds"):
        aside(ended.wait, 0.01)
    ended.set()

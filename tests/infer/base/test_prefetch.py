"""The thread beside the model: same items, same errors, no thread left."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.base.prefetch import prefetch


@given(items=st.lists(st.integers()), ahead=st.integers(1, 4))
def test_the_items_come_in_order(items, ahead):
    with prefetch(iter(items), ahead) as fetched:
        assert list(fetched) == items


def test_an_error_comes_where_the_item_would_have_come():
    def items():
        yield 1
        yield 2
        raise OSError("damaged")

    seen = []
    with pytest.raises(OSError, match="damaged"), prefetch(items()) as fetched:
        while True:
            seen.append(next(fetched))
    assert seen == [1, 2]


def test_leaving_early_ends_the_thread():
    made = []

    def items():
        for i in range(1_000_000):
            made.append(i)
            yield i

    with pytest.raises(KeyboardInterrupt), prefetch(items()) as fetched:
        assert next(fetched) == 0
        raise KeyboardInterrupt
    assert "prefetch" not in [thread.name for thread in threading.enumerate()]
    assert len(made) < 10


def test_it_works_ahead_but_not_far():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    with prefetch(items(), ahead=2) as fetched:
        next(fetched)
        while len(made) < 4:  # one taken, two waiting, one in hand
            time.sleep(0.001)
        assert len(made) == 4


def test_what_is_being_made_can_be_given_up():
    given_up = threading.Event()

    def items():
        yield 1
        given_up.wait(30)
        raise OSError("too late to be told")

    with pytest.raises(KeyboardInterrupt), prefetch(items(), stop=given_up.set) as fetched:
        assert next(fetched) == 1
        raise KeyboardInterrupt
    assert given_up.is_set()

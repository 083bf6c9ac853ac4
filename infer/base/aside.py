"""A call in a thread of its own, whose caller a signal or a limit of time sets free."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def aside(call: Callable[[], T], seconds: float | None = None) -> T:
    """Return what a call returns; where the wait for it ends early, it is left to itself.

    Args:
        call: what may wait for others.
        seconds: how long to wait (None: as long as it takes).

    Raises:
        TimeoutError: it takes longer.
    """
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError(f"no answer within {seconds} seconds")
    if isinstance(answer[0], BaseException):
        raise answer[0]
    found: T = answer[0]
    return found

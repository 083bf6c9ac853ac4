"""Run an iterator in a thread, a few items ahead of whoever reads it."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def prefetch(
    items: Iterator[T], ahead: int = 2, stop: Callable[[], object] = lambda: None
) -> Iterator[Iterator[T]]:
    """Yield an iterator over `items` that are made in a thread.

    An exception in the thread is raised where the item would have come. When the block is left
    early, the thread ends after the item it is making.

    Args:
        items: what to iterate over, in the thread.
        ahead: items that wait at most.
        stop: called when an exception leaves the block: makes `items` give up what it is making.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(ahead)
    left = threading.Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not left.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(item, None)
                if left.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # handed over, not swallowed
            put(None, error)

    def consume() -> Iterator[T]:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        yield consume()
    except BaseException:
        stop()
        raise
    finally:
        left.set()
        thread.join()

"""Doing the next piece of work in a background thread while the present one is used."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["iterate_ahead"]

T = TypeVar("T")


class _End(Generic[T]):
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def iterate_ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """Yield the items in order, with up to ``depth`` of them made ahead in a background thread.

    What making an item raises is raised where it would have been yielded. Closing the iterator stops the thread.
    """
    ready: queue.Queue[T | _End[T]] = queue.Queue(depth)
    stopped = threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as caught:  # handed to the consumer, whatever it is
            error = caught
        put(_End(error))

    def put(item: T | _End[T]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    thread = threading.Thread(target=work, name="frostline-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()

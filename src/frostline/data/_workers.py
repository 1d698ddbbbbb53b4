"""One pool of threads for decoding, shared by everything in this room."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["map_in_threads", "n_workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_workers() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_workers(), thread_name_prefix="frostline-images")


if hasattr(os, "register_at_fork"):
    # a forked child inherits the pool's bookkeeping but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return ``[function(item) for item in items]``, computed in threads, in chunks; the first error is raised."""
    workers = n_workers()
    if workers == 1 or len(items) < 2:
        return [function(item) for item in items]
    # small enough to stop soon after Ctrl-C among large photographs, large enough to make the hand-over cheap
    size = max(1, min(32, -(-len(items) // (2 * workers))))
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    results = _pool().map(lambda chunk: [function(item) for item in chunk], chunks)
    return [result for chunk in results for result in chunk]

"""One run at a time in a process: torch has one number of threads for all of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frostline.errors import FrostlineError
from frostline.execution.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from frostline.execution.events import Listener

__all__ = ["taking_turns"]

_turn = threading.Lock()
_holder: int | None = None


@contextmanager
def taking_turns(emit: Listener, waiting: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Hold the process's only turn, waiting, within what ``waiting`` returns, for another thread to give it back.

    Raises:
        FrostlineError: this very thread is in a run already, so that waiting would never end.
    """
    global _holder
    if _holder == threading.get_ident():
        raise FrostlineError(
            "frostline.run was called from inside another run, by its listener: start it when the first has returned"
        )
    if not _turn.acquire(blocking=False):
        emit(Notice("waiting for another run in this process to end"))
        with waiting():
            _turn.acquire()
    _holder = threading.get_ident()
    try:
        yield
    finally:
        _holder = None
        _turn.release()

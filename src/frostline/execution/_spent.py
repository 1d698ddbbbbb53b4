"""What getting ready has taken of the time that a run takes, by name."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frostline.ledger import Took

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.features import Engines

__all__ = ["Spent"]


class Spent:
    """Counts the seconds of a session of a run that went into waiting and measuring; compiling is counted by engines.

    Args:
        began: when whoever waits for the run began to, in seconds since 1970.
        engines: what is compiled for the run; None where nothing is, as torch runs networks as they are.
    """

    def __init__(self, began: float, engines: Engines | None) -> None:
        self.began, self._engines = began, engines
        self._waiting = self._measuring = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what is waited for another run in this process."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._waiting += time.perf_counter() - started

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count what measuring the machine takes, without what is compiled meanwhile and used afterwards."""
        started, compiled = time.perf_counter(), self._compiling
        try:
            yield
        finally:
            self._measuring += time.perf_counter() - started - (self._compiling - compiled)

    @property
    def parts(self) -> Took:
        """What is known by now, for the ledger, which counts the seconds of all of it."""
        return Took(0.0, self._measuring, self._compiling, self._waiting)

    @property
    def _compiling(self) -> float:
        return 0.0 if self._engines is None else self._engines.compile_seconds

"""A measured figure with its target, and how it reads."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Row", "fastest"]


@dataclass(frozen=True)
class Row:
    """What was measured, and the least or the most that it should be; neither for what is there to compare with.

    ``unit`` comes after the number, with ``digits`` behind the point; ``detail`` says what it is made of.
    """

    what: str
    value: float
    unit: str = ""
    digits: int = 2
    least: float | None = None
    most: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {**asdict(self), "met": self.met}


def fastest(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the seconds of the fastest of some repeats after one that isn't counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)

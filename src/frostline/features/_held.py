"""How much of stored rows is held in memory: as much as there is room for, up to a limit whatever their number."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from frostline.plan import ROWS_KEPT_BYTES, ROWS_KEPT_LEAST_BYTES

if TYPE_CHECKING:
    from frostline.features._features import Features

__all__ = ["HeldMemory"]

AVAILABLE_SHARE = 8
"""More than the least is held where it is at most this part of the memory that is available."""


class HeldMemory:
    """What a process may hold of rows, ``most_bytes`` of all of them together."""

    def __init__(self, most_bytes: int = ROWS_KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._taken: WeakKeyDictionary[Features, int] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def take(self, owner: Features, n_bytes: int) -> bool:
        """Return whether there is room for an owner's rows, and count them for as long as the owner is there."""
        with self._lock:
            others = sum(taken for other, taken in self._taken.items() if other is not owner)
            if others + n_bytes > self._most_bytes:
                return False
            if n_bytes > ROWS_KEPT_LEAST_BYTES and n_bytes > _available_bytes() // AVAILABLE_SHARE:
                return False
            self._taken[owner] = n_bytes
            return True


def _available_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the memory that is available without pushing out anything, 0 where the system doesn't tell."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):  # elsewhere than on Linux
        return 0

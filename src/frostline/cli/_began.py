"""When a command began, as whoever typed it sees it: when its process did, before anything was imported."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["begin", "command_began"]

_IMPORTED = time.time()

LONGEST_START_SECONDS = 60.0
"""A process that is older by more when this is imported did other things before: it became this command (exec)."""

_command_began: float | None = None


def begin() -> None:
    """Note that this process is a command of its own, from its start on."""
    global _command_began
    _command_began = process_began(Path("/proc/self/stat"))


def command_began() -> float | None:
    """Return when the command began, in seconds since 1970; None where it is called within another program."""
    return _command_began


def process_began(stat: Path) -> float:
    """Return when this process began, as far as the system tells, else when this package was imported."""
    try:
        # The second field, a name in brackets, may have any characters; the 22nd is the start, in ticks since boot.
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):  # elsewhere than on Linux
        return _IMPORTED
    began = time.time() - age
    return began if 0 <= _IMPORTED - began <= LONGEST_START_SECONDS else _IMPORTED

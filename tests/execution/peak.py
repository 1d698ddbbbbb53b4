"""Runs a study and prints the process's peak of memory, in bytes: ``python -m tests.execution.peak STUDY CACHE``.

The study is JSON as ``Study`` takes it. The process is to be a fresh one, whose peak is nobody else's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import frostline


def peak_bytes() -> int:
    """Return the peak of resident memory: ru_maxrss, without what it has of the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    frostline.run(frostline.Study(**json.loads(sys.argv[1])), cache=sys.argv[2])  # type: ignore[arg-type]
    print(peak_bytes())

"""An environment for each contestant that needs packages of its own, made on first use.

They see the packages of the environment that runs the benchmark, so that torch is installed once and is the same one.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["python_of"]


def python_of(place: Path, requirements: tuple[str, ...]) -> Path:
    """Return the Python that has these requirements; without any it is this one."""
    if not requirements:
        return Path(sys.executable)
    digest = hashlib.sha256(repr((sys.version, requirements)).encode()).hexdigest()[:12]
    root = place / f"{requirements[0].partition('=')[0]}-{digest}"
    python, ready = root / "bin" / "python", root / ".ready"
    if not ready.exists():
        print(f"setting up an environment with {', '.join(requirements)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", root], check=True)
        (packages,) = root.glob("lib/python*/site-packages")
        (packages / "parent.pth").write_text(sysconfig.get_path("purelib"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        ready.touch()
    return python

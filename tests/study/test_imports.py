"""Asking imports no torch: a command line that only reads a study answers at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import frostline.study
frostline.study.load_study("starter").expand()
heavy = {"torch", "torchvision", "timm", "numpy", "openvino", "pyarrow", "rich", "typer"} & sys.modules.keys()
print(*sorted(heavy))
"""


def test_a_study_is_read_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

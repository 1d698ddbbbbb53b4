"""OpenVINO as this package loads it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, sys
os.register_at_fork(before=lambda: print("forked"))
import torch
from frostline.features._openvino import OpenVinoEngine
OpenVinoEngine(torch.nn.Conv2d(3, 4, 3).eval(), torch.rand(1, 3, 8, 8), "cpu", "contiguous")
print(sys.modules["openvino_telemetry"], "openvino_telemetry.main" in sys.modules)
"""


def test_it_sends_no_word_of_its_use_and_forks_no_process() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["None False"]

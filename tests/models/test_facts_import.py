"""What must not import torch."""

from __future__ import annotations

import subprocess
import sys


def test_facts_and_names_import_no_torch() -> None:
    code = "import sys, frostline.models, frostline.models.facts; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

"""Where the starter's time goes on a machine that hasn't been measured yet: what is said when, and the largest costs.

``python -m benchmarks.parts.profile`` is the run that is measured, in a process of its own.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row

if TYPE_CHECKING:
    from benchmarks.measuring import Session
    from frostline.execution.events import Event

COSTS = {
    "loading torch": ("torch/__init__.py", "<module>"),
    "loading torch._dynamo, which torchvision, timm and torch.export need": ("torch/_dynamo/__init__.py", "<module>"),
    "loading timm": ("timm/__init__.py", "<module>"),
    "tracing the network and counting its operations": ("models/_measured.py", "_measure"),
    "measuring: the process beside, which starts meanwhile": ("machine/_gathering.py", "take"),
    "compiling: exporting the prefix": ("torch/export/__init__.py", "export"),
    "compiling: converting it for OpenVINO": ("ovc/convert.py", "convert_model"),
    "feature passes": ("execution/_passes.py", "make_pass"),
    "training heads": ("execution/_heads.py", "run_heads"),
    "training from blocks.5, in processes beside": ("execution/_processes.py", "run"),
    "judging the chosen arm": ("execution/_chosen.py", "judge"),
}
"""What is told apart: the functions by the ends of their files' names, none within another."""

FIRST_SECONDS = 1.0


def measure(session: Session) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        places = {"FROSTLINE_CACHE": f"{scratch}/cache", "FROSTLINE_WORKSPACE": f"{scratch}/runs"}
        command = [sys.executable, "-m", "benchmarks.parts.profile"]
        began = {"BEGAN": str(time.time())}
        environment = {**os.environ, **places, **began}
        ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    told = json.loads(ended.stdout.splitlines()[-1])
    rows = [
        Row(f"said after: {what}", seconds, "s", most=FIRST_SECONDS if i == 0 else None)
        for i, (what, seconds) in enumerate(told["said"].items())
    ]
    largest = sorted(told["costs"].items(), key=lambda cost: -cost[1])
    return rows + [Row(what, seconds, "s", detail="of the profiled run") for what, seconds in largest]


def main() -> None:
    """Run the starter under the profiler and print what it said when, and what its largest costs were."""
    began, said = float(os.environ["BEGAN"]), {}

    def listen(event: Event) -> None:
        from frostline.execution.events import DataRead, Preparing, RunFinished, RunStarted

        if isinstance(event, Preparing | DataRead | RunStarted | RunFinished):
            what = event.what if isinstance(event, Preparing) else type(event).__name__
            said[what] = time.time() - began

    profiler = cProfile.Profile()
    profiler.runcall(_run, listen)
    costs = dict.fromkeys(COSTS, 0.0)
    for (file, _, function), (_, _, _, seconds, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        for what, (path, name) in COSTS.items():
            if function == name and Path(file).as_posix().endswith(path):
                costs[what] += seconds
    print(json.dumps({"said": said, "costs": costs}))


def _run(listen: object) -> None:
    import frostline

    frostline.run("starter", listener=listen)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()

"""Runs passes in child processes that tests kill: imports once, then forks one child for each line on its input.

Run as ``python -m tests.features.worker STORE``. A line is a JSON object of ``passes.run``'s arguments; the answers are
lines of JSON: ``{"pid"}`` at once, and by the child ``{"progress"}`` for each batch stored, then ``{"report"}`` or
``{"error"}`` and ``{"notices"}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import openvino  # noqa: F401
import torch
import torch.export  # what a pass imports, before the forks

from frostline.features import FeatureStore, _job

from .passes import SEGMENT_BATCHES, images, network, run


def say(**answer: Any) -> None:
    # One write a line: several children answer at once.
    os.write(1, (json.dumps(answer) + "\n").encode())


def child(root: Path, request: dict[str, Any]) -> None:
    notices: list[str] = []
    try:
        report = run(
            FeatureStore(root),
            progress=lambda done, total: say(progress=done, pid=os.getpid()),
            notice=notices.append,
            **request,
        )
    except Exception as error:  # told to the test, whatever it is
        say(error=repr(error), pid=os.getpid())
    else:
        say(report={**report.__dict__, "reused": report.reused}, pid=os.getpid(), notices=notices)


def main() -> None:
    _job.SEGMENT_BATCHES = SEGMENT_BATCHES
    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that were killed leave nothing behind
    network(), images()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(Path(sys.argv[1]), json.loads(line))
            os._exit(0)
        say(pid=pid)


if __name__ == "__main__":
    main()

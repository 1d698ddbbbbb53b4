"""Runs studies in child processes that a test may kill: ``python -m tests.execution.worker``.

Reads one JSON object a line: the study as ``Study`` takes it and the places to use. Prints the child's process id at
once and its exit status when it ends. Children are forked after the imports, so that each begins at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import openvino  # noqa: F401 (imported before forking)
import sklearn.datasets  # noqa: F401
import torchvision  # noqa: F401
from tests.execution.rates import made_up

import frostline
import frostline.data
import frostline.execution._run
import frostline.features
import frostline.models
import frostline.training
from frostline.machine import _calibration


def run_child(request: dict[str, Any]) -> int:
    os.environ["FROSTLINE_CACHE"], os.environ["FROSTLINE_WORKSPACE"] = request["cache"], request["workspace"]
    try:
        frostline.run(frostline.Study(**request["study"]), cache="always", engine=request["engine"])
    except KeyboardInterrupt:
        return 130
    except frostline.FrostlineError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except BaseException:
        traceback.print_exc()
        return 2
    return 0


def main() -> None:
    # What another process measures in the meantime must not change the plan of a run that is compared with the first.
    _calibration._measure = made_up
    _calibration.MACHINE = "contiguous made up"
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(run_child(json.loads(line)))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

"""Studies run in processes of their own, as a user's are, in places of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["forget_rows", "run_study"]

CODE = """
import json, sys
import frostline
given = json.load(sys.stdin)
if given["disk_rate"]:
    from benchmarks.parts.slow_disk import slow_disk
    slow_disk(given["disk_rate"])
study = frostline.Study(**given["study"])
if given["plan_only"]:
    print(json.dumps(frostline.plan_study(study).to_json()))
else:
    from resource import RUSAGE_SELF, getrusage
    record = frostline.run(study, cache=given["cache"])
    peak = getrusage(RUSAGE_SELF).ru_maxrss * 1024
    told = record.to_json()
    print(json.dumps({key: told[key] for key in ("cost", "took", "plan")} | {"peak_bytes": peak}))
"""


def run_study(
    study: dict[str, Any], place: Path, *, cache: str = "auto", disk_rate: float | None = None, plan_only: bool = False
) -> dict[str, Any]:
    """Return what a run of a study says of its plan, cost and peak of memory, or only its plan.

    Args:
        study: what ``Study`` takes.
        place: where cache and workspace are; rates that were measured there are known.
        cache: the cache policy.
        disk_rate: bytes a second that the disk takes at most; None for as it is.
        plan_only: measure the machine where it isn't known, and run nothing.
    """
    environment = {**os.environ, "FROSTLINE_CACHE": str(place / "cache"), "FROSTLINE_WORKSPACE": str(place / "runs")}
    given = {"study": study, "cache": cache, "disk_rate": disk_rate, "plan_only": plan_only}
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(given),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{study['name']} failed:\n{ended.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return result


def forget_rows(place: Path) -> None:
    """Remove what runs in a place have stored, so that the next one begins from images."""
    from frostline.features import FeatureStore

    FeatureStore(place / "cache" / "features").prune(0)

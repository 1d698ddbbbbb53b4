"""Seconds predicted on a machine calibrated once, beside those that runs then took: passes, trainings and totals."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.parts.studies import forget_rows, run_study
from benchmarks.rows import Row
from benchmarks.workloads import WORKLOADS, study_of

if TYPE_CHECKING:
    from benchmarks.measuring import Session

STUDIES = (("sections", 1000), ("lite0-thawed", 1000), ("vgg", 1000), ("sweep", 1000), ("accuracy", 2000))
SHORT = 0.5
"""Seconds below which a prediction is told and not counted: what starts and stops threads rules there."""


def measure(session: Session) -> list[Row]:
    rows, errors = [], []
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        studies = {name: study_of(WORKLOADS[name].to_json(), str(session.parquet), n, n // 5) for name, n in STUDIES}
        for study in studies.values():  # calibrated once
            run_study(study, Path(scratch), plan_only=True)
        for name, study in studies.items():
            result = run_study(study, Path(scratch))
            forget_rows(Path(scratch))
            for what, predicted, seconds in _pieces(result):
                if max(predicted, seconds) >= SHORT:
                    errors.append(abs(seconds / predicted - 1))
                detail = f"predicted {predicted:.2f} s, took {seconds:.2f} s"
                # Wrong by a factor of two, one way or the other.
                factor = max(predicted / seconds, seconds / predicted)
                most = 2.0 if max(predicted, seconds) >= SHORT else None
                rows.append(Row(f"{name}: {what}", factor, "times off", most=most, detail=detail))
    detail = f"of {len(errors)} predictions of at least {SHORT} s"
    return [Row("median error", 100 * median(errors), "%", 1, most=25, detail=detail), *rows]


def _pieces(result: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return what was predicted beside what was measured, in seconds."""
    cost = result["cost"]
    pieces = [
        (f"pass {each['name']}", each["predicted_seconds"], each["seconds"])
        for each in cost["passes"]
        if not each["reused"]
    ]
    by_id = {each["id"]: each for each in cost["trajectories"]}
    for group in result["plan"]["groups"]:
        members = [by_id[id_] for id_ in group["trajectories"]]
        what = f"{len(members)} heads" if group["stacked"] else f"training {members[0]['id']}"
        pieces.append((what, sum(m["predicted_seconds"] for m in members), sum(m["seconds"] for m in members)))
    return [*pieces, ("the whole run", cost["predicted_seconds"], result["took"]["seconds"])]

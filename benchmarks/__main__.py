"""``python -m benchmarks``: measures the parts asked for and writes a table, JSON and a picture."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.environments import python_of
from benchmarks.measuring import ROOT, Session
from benchmarks.parts import PARTS, measure
from benchmarks.table import format_table
from benchmarks.workloads import WORKLOADS

PICTURE_REQUIREMENTS = ("vl-convert-python==1.9.0",)


def main() -> None:
    """Run the benchmark."""
    arguments = _arguments()
    place = arguments.place
    session = Session(place, arguments.data, arguments.images, arguments.images // 5)
    results = _begin(arguments.output, session)
    for name in arguments.parts:
        if name in PARTS:
            results["parts"][name] = [row.to_json() for row in measure(name, session)]
            _write(arguments.output, results)
            print(format_table({**results, "workloads": {}, "parts": {name: results["parts"][name]}}), flush=True)
            continue
        workload = WORKLOADS[name]
        rows = results["workloads"].setdefault(name, {"contestants": {}})["contestants"]
        results["workloads"][name] |= {"title": workload.title, "target": workload.target, "others": workload.others}
        for contestant in (c for c in CONTESTANTS.values() if c.name in arguments.contestants):
            if contestant.heads_only and any(arm.train_from != "head" for arm in workload.arms):
                continue
            started = time.perf_counter()
            try:
                rows[contestant.name] = session.run(workload, contestant)
            except RuntimeError as error:
                rows[contestant.name] = {"error": str(error)}
            print(f"{name}: {contestant.title} measured in {time.perf_counter() - started:.0f} s", flush=True)
            _write(arguments.output, results)
        print(format_table({**results, "workloads": {name: results["workloads"][name]}, "parts": {}}), flush=True)
    _write(arguments.output, results)
    picture = arguments.output / "benchmark.png"
    python = python_of(place / "environments", PICTURE_REQUIREMENTS)
    subprocess.run(
        [python, "-m", "benchmarks.picture", arguments.output / "benchmark.json", picture], cwd=ROOT, check=True
    )
    print(f"wrote {arguments.output}: benchmark.md, benchmark.json, benchmark.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = [*WORKLOADS, *PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", default=known, help=f"of {', '.join(known)}; all of them")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/cifar10", help="CIFAR-10 as Parquet")
    parser.add_argument("--images", type=int, default=4000, help="training images; a fifth more for validation")
    parser.add_argument("--contestants", nargs="*", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--place", type=Path, default=ROOT / ".benchmarks", help="environments and scratch files")
    parser.add_argument("--output", type=Path, default=ROOT / ".benchmarks" / "results")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(known)
    if unknown:
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not arguments.data.exists():
        parser.error(f"{arguments.data} does not exist: give the folder of CIFAR-10's Parquet files with --data")
    return arguments


def _begin(output: Path, session: Session) -> dict[str, Any]:
    """Return the results to add to: those of the same machine and images that are there already, or none yet."""
    fresh: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "images": {"train": session.n_train, "val": session.n_val, "source": "CIFAR-10"},
        "workloads": {},
        "parts": {},
    }
    stored = output / "benchmark.json"
    if stored.exists():
        before: dict[str, Any] = json.loads(stored.read_text())
        if all(before.get(key) == fresh[key] for key in ("machine", "images")):
            return fresh | before
    return fresh


def _write(output: Path, results: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "benchmark.json").write_text(json.dumps(results, indent=1))
    (output / "benchmark.md").write_text(format_table(results))


if __name__ == "__main__":
    main()

"""Runs contestants on workloads and works out what each would take on all of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import python_of

if TYPE_CHECKING:
    from benchmarks.contestants import Contestant
    from benchmarks.workloads import Workload

__all__ = ["Session", "extrapolate"]

ROOT = Path(__file__).parent.parent


class Session:
    """Where a benchmark keeps its environments and files, and how many images it is on."""

    def __init__(self, place: Path, parquet: Path, n_train: int, n_val: int) -> None:
        self.place, self.parquet, self.n_train, self.n_val = place, parquet, n_train, n_val
        place.mkdir(parents=True, exist_ok=True)

    def run(self, workload: Workload, contestant: Contestant) -> dict[str, Any]:
        """Return what a contestant measured, with its time for the whole workload as ``total_seconds``.

        Raises:
            RuntimeError: it failed; says how.
        """
        python = python_of(self.place / "environments", contestant.requirements)
        arms = [asdict(arm) for arm in workload.arms]
        n_train, n_val = self.n_train, self.n_val
        whole = contestant.whole or workload.slow_images is None
        if not whole:
            first = {arm["train_from"]: {**arm, "epochs": 1} for arm in reversed(arms)}
            arms = list(first.values())
            n_train = min(n_train, workload.slow_images or n_train)
            n_val = n_train * self.n_val // self.n_train
        with tempfile.TemporaryDirectory(dir=self.place) as scratch:
            job = {
                "workload": workload.to_json(),
                "arms": arms,
                "preparation": preparation_of(workload),
                "n_train": n_train,
                "n_val": n_val,
                "images": str(self.images()),
                "weights_file": str(self.weights(workload)) if workload.weights == "default" else None,
                "parquet": str(self.parquet),
                "scratch": scratch,
            }
            result = _call(python, contestant.name, job)
        total = result["seconds"]
        if not whole:
            total = extrapolate(result, arms, workload, self.n_train / n_train, contestant.shares_epochs)
        measured = {"n_train": n_train, "n_val": n_val, "arms": arms}
        return {**result, "measured": measured, "total_seconds": total, "extrapolated": not whole}

    def images(self) -> Path:
        """Return a file of the images as arrays, for those who don't read Parquet; the split is Frostline's own."""
        path = self.place / f"images-{self.n_train}-{self.n_val}.npz"
        if not path.exists():
            import numpy as np

            from frostline.data import load_dataset
            from frostline.study import Data

            data = load_dataset(
                Data(source="parquet", path=str(self.parquet), train=self.n_train, val=self.n_val, test=self.n_val)
            )
            arrays: dict[str, Any] = {}
            for split in (data.train, data.val):
                arrays[f"{split.name}_x"] = np.stack([data.read(int(i)) for i in split.ids])
                arrays[f"{split.name}_y"] = split.labels
            np.savez(path, **arrays)
        return path

    def weights(self, workload: Workload) -> Path:
        """Return a file of the real weights, for those who can't fetch them as Frostline does."""
        path = self.place / "weights.pth"
        if not path.exists():
            import torch

            from frostline.models import load_backbone

            backbone = load_backbone(workload.backbone, "default", workload.image_size)
            torch.save(backbone.module.state_dict(), path)
        return path


def preparation_of(workload: Workload) -> dict[str, Any]:
    """Return how a workload's weights want their images, as Frostline has it from the library they come from."""
    from frostline.models.facts import backbone_facts

    facts = backbone_facts(workload.backbone, workload.image_size, workload.weights)
    names = ("image_size", "interpolation", "mean", "std")
    return {name: getattr(facts, name) for name in names}


def extrapolate(
    result: dict[str, Any], measured: list[dict[str, Any]], workload: Workload, more_images: float, shares: bool
) -> float:
    """Return the seconds of all arms on all images, from one epoch of each ``train_from`` on some.

    Every epoch is taken to cost what the measured one did; starting up is counted once.
    """
    seconds = {arm["train_from"]: 0.0 for arm in measured}
    for epoch in result["epochs"]:
        seconds[measured[epoch["arm"]]["train_from"]] += epoch["seconds"]
    start = max(0.0, result["seconds"] - sum(seconds.values()))
    epochs: dict[object, tuple[str, int]] = {}
    for index, arm in enumerate(workload.arms):
        key: object = (arm.train_from, repr(arm.optimizer), arm.seed) if shares else index
        epochs[key] = (arm.train_from, max(arm.epochs, epochs.get(key, ("", 0))[1]))
    total = start + more_images * sum(n * seconds[train_from] for train_from, n in epochs.values())
    return float(total)


def _call(python: Path, name: str, job: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    finished = subprocess.run(
        [python, "-m", f"benchmarks.contestants.{name}"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    wall = time.perf_counter() - started
    lines = finished.stdout.strip().splitlines()
    if finished.returncode or not lines:
        raise RuntimeError(f"{name} failed:\n{finished.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(lines[-1])
    # From outside, so that starting Python and importing count for everyone.
    return {**result, "seconds": wall}

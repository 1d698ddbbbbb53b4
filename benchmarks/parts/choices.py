"""Cached or recomputed: both ways run, the plan's choice beside them, on fast and slow disks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.parts.studies import forget_rows, run_study
from benchmarks.rows import Row

if TYPE_CHECKING:
    from benchmarks.measuring import Session

LITE0, RESNET = "timm:tf_efficientnet_lite0", "resnet18"
SLOW = 4e6
"""Bytes a second: a network drive on a bad day."""

CASES: tuple[tuple[str, str, int, str, int, float | None], ...] = (
    ("a head", RESNET, 128, "head", 3, None),
    ("late cut, 3 epochs", RESNET, 128, "layer4", 3, None),
    ("late cut, 3 epochs, slow disk", RESNET, 128, "layer4", 3, SLOW),
    ("early cut, big maps, 1 epoch", RESNET, 128, "layer1", 1, None),
    ("early cut, big maps, 2 epochs, slow disk", RESNET, 128, "layer1", 2, SLOW),
    ("late cut, 1 epoch", LITE0, 128, "blocks.6", 1, None),
    ("early cut, 3 epochs, slow disk", LITE0, 128, "blocks.2", 3, SLOW),
    ("a head, slow disk", LITE0, 128, "head", 1, SLOW),
)
N_TRAIN, N_VAL = 600, 120
CLOSE = 1.05
"""Where the two ways are as near as this, either is right."""


def measure(session: Session) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        for title, backbone, size, train_from, epochs, rate in CASES:
            study = {
                "name": "choices",
                "data": {
                    "source": "parquet",
                    "path": str(session.parquet),
                    "train": N_TRAIN,
                    "val": N_VAL,
                    "test": N_VAL,
                },
                "defaults": {"backbone": backbone, "weights": "none", "image_size": size, "train_from": train_from},
                "arms": [{"epochs": epochs}],
            }
            # Rates belong to a disk, so each has a place of its own.
            place = Path(scratch) / f"{backbone}-{rate}".replace(":", "-")
            chosen = run_study(study, place, disk_rate=rate, plan_only=True)["trajectories"][0]["mode"]
            seconds = {}
            for mode, cache in (("cached", "always"), ("recomputed", "never")):
                named = {**study, "name": f"{train_from}-{epochs}-{mode}"}
                cost = run_study(named, place, cache=cache, disk_rate=rate)["cost"]
                seconds[mode] = cost["pass_seconds"] + cost["training_seconds"]
                forget_rows(place)
            best = min(seconds.values())
            detail = f"chose {chosen}; cached {seconds['cached']:.1f} s, recomputed {seconds['recomputed']:.1f} s"
            what = f"{backbone} at {size} px from {train_from}: {title}"
            rows.append(Row(what, seconds[chosen] / best, "times the faster", most=CLOSE, detail=detail))
    return rows

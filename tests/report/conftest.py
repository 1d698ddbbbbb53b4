"""Runs as plain records, with the exercise's own figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from frostline.ledger import ArmRecord, EpochRow, RunRecord, Segment

# exercise.md, sections 1 and 2.
FROZEN = {
    2: (0.8285, 0.6178),
    3: (0.8364, 0.6153, 0.5894),
    5: (0.8229, 0.6165, 0.5859, 0.5764, 0.5681),
}
UNFROZEN = {
    2: (0.4440, 0.2180),
    3: (0.4407, 0.2138, 0.1186),
    5: (0.4460, 0.2133, 0.1221, 0.0799, 0.0595),
}
SGD = {2: (0.9758, 0.6777), 5: (0.9772, 0.6758, 0.6285, 0.6062, 0.5908)}

ADAM_TABLE = {"name": "adam", "lr": 1e-3, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "stage_decay": 1.0}
SGD_TABLE = {**ADAM_TABLE, "name": "sgd", "momentum": 0.9}

MakeArm = Callable[..., ArmRecord]
MakeRecord = Callable[..., RunRecord]


def recipe(**settings: Any) -> dict[str, Any]:
    base = {
        "backbone": "resnet18",
        "train_from": "head",
        "optimizer": ADAM_TABLE,
        "epochs": 2,
        "schedule": {"name": "constant", "step_epochs": 2, "gamma": 0.1},
        "weights": "default",
        "image_size": 224,
        "batch_size": 64,
        "seed": 0,
        "head": {"hidden": [], "dropout": 0.0},
        "augmentation": "none",
        "views": 1,
    }
    made = base | settings
    phase = {key: made[key] for key in ("train_from", "epochs", "optimizer", "schedule")}
    return {**made, "phases": settings.get("phases", [phase])}


@pytest.fixture
def make_arm() -> MakeArm:
    def make(
        losses: Sequence[float], *, name: str = "", status: str = "complete", trajectory: str = "t1", **settings: Any
    ) -> ArmRecord:
        settings.setdefault("epochs", len(losses))
        made = recipe(**settings)
        rows = tuple(EpochRow(i, loss, loss + 0.1, 0.5 + i / 100, 2.0) for i, loss in enumerate(losses, start=1))
        label = (
            f"{made['backbone']} {made['train_from']} {made['optimizer']['name']} {made['epochs']}ep seed{made['seed']}"
        )
        path = (Segment(trajectory, made["epochs"]),)
        return ArmRecord(name or label, made, status, None, path, rows)

    return make


@pytest.fixture
def make_record() -> MakeRecord:
    def make(*arms: ArmRecord, **changes: Any) -> RunRecord:
        fields: dict[str, Any] = {
            "run": "20261124-034216-exercise",
            "study": "exercise",
            "study_digest": "d",
            "mode": "shared",
            "status": "complete",
            "created": "2026-11-24T03:42:16+00:00",
            "finished": "2026-11-24T03:52:16+00:00",
            "definition": {},
            "data": {"source": "cifar10"},
            "plan": {},
            "cost": {},
            "provenance": (),
            "passes": (),
            "arms": arms,
            "directory": Path("runs/20261124-034216-exercise"),
        }
        return RunRecord(**fields | changes)

    return make


@pytest.fixture
def exercise(make_arm: MakeArm, make_record: MakeRecord) -> RunRecord:
    """Sections 1 and 2 of the exercise, with its own figures."""
    arms = [make_arm(losses, trajectory="frozen") for losses in FROZEN.values()]
    arms += [make_arm(losses, train_from="layer4", trajectory="unfrozen") for losses in UNFROZEN.values()]
    arms += [make_arm(losses, optimizer=SGD_TABLE, trajectory="sgd") for losses in SGD.values()]
    return make_record(*arms)

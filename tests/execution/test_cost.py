"""What a run says it cost: measured beside predicted, for every pass and trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.execution.events import RunStarted

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.execution.events import Event


def test_measured_stands_beside_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    study = small_study({**RESNET, "train_from": ["layer4", "head"], "optimizer": {"name": "sgd", "lr": 1e-3}})
    first = frostline.run(study, workspace=tmp_path / "runs", cache="always")
    events: list[Event] = []
    second = frostline.run(study, workspace=tmp_path / "runs", cache="always", listener=events.append)
    (pass_,) = first.cost["passes"]
    assert pass_["name"] == first.plan["passes"][0]["name"]
    assert pass_["seconds"] > 0
    assert pass_["predicted_seconds"] == first.plan["passes"][0]["seconds"]
    assert pass_["bytes"] == pass_["predicted_bytes"] == first.plan["passes"][0]["bytes"]
    assert not pass_["reused"]
    assert first.cost["predicted_seconds"] == pytest.approx(first.plan["totals"]["seconds"])
    # What the cache had is in the plan, and in neither what is to be done nor in what was predicted for the run.
    assert second.cost["passes"][0]["reused"]
    totals = second.plan["totals"]
    without = totals["seconds"] - second.plan["passes"][0]["seconds"]
    assert second.cost["predicted_seconds"] == pytest.approx(without - totals["test_pass_seconds"])
    (begun,) = (event for event in events if isinstance(event, RunStarted))
    assert begun.predicted_seconds == pytest.approx(without)
    for trajectory, planned in zip(first.cost["trajectories"], first.plan["trajectories"], strict=True):
        assert trajectory["id"] == planned["id"]
        assert trajectory["epochs"] == planned["epochs"]
        assert trajectory["predicted_seconds"] == pytest.approx(planned["seconds"])
        assert trajectory["seconds"] > 0
    assert first.cost["training_seconds"] == pytest.approx(sum(t["seconds"] for t in first.cost["trajectories"]))

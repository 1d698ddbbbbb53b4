"""What a run says it cost: measured beside predicted, for every pass and trajectory."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.rates import made_up
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.execution._resuming import decided_by
from frostline.execution.events import RunStarted
from frostline.machine import _calibration

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.execution.events import Event


def test_measured_stands_beside_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    study = small_study({**RESNET, "train_from": ["layer4", "head"], "optimizer": {"name": "sgd", "lr": 1e-3}})
    first = frostline.run(study, workspace=tmp_path / "runs", cache="always")
    events: list[Event] = []
    second = frostline.run(study, workspace=tmp_path / "runs", cache="always", again=True, listener=events.append)
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


def test_what_another_study_stored_is_used_where_storing_it_would_not_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_calibration, "_measure", partial(made_up, store=1e3))
    monkeypatch.setattr(_calibration, "MACHINE", "a slow disk")
    arm = {**RESNET, "train_from": "head"}
    larger = small_study({**arm, "seed": [0, 1]}, arm)
    frostline.run(larger, workspace=tmp_path, cache="always", engine="torch")
    study = small_study(arm)
    assert [t.mode for t in frostline.plan_study(study).trajectories] == ["recomputed"]
    events: list[Event] = []
    record = frostline.run(study, workspace=tmp_path, engine="torch", listener=events.append)
    assert [(t["mode"], t["cut"]) for t in record.plan["trajectories"]] == [("cached", "head")]
    assert [pass_["reused"] for pass_ in record.cost["passes"]] == [True]
    assert record.cost["pass_seconds"] == 0
    (begun,) = (event for event in events if isinstance(event, RunStarted))
    assert begun.predicted_seconds == pytest.approx(record.plan["totals"]["seconds"])
    always = frostline.run(study, workspace=tmp_path, cache="always", engine="torch", resume=False)
    assert numbers_of(record) == numbers_of(always)
    never = frostline.run(study, workspace=tmp_path, cache="never", engine="torch", resume=False)
    assert [t["mode"] for t in never.plan["trajectories"]] == ["recomputed"]
    assert numbers_of(record) == numbers_of(never)


def test_a_plan_decides_what_the_ledger_has_of_it() -> None:
    arms: list[dict[str, Any]] = [
        {"train_from": ["head", "layer4"], "optimizer": {"name": "sgd", "lr": [1e-3, 1e-2]}},
        {"train_from": "layer4", "activations": "float16"},
        {"train_from": "all"},
    ]
    plan = frostline.plan_study(small_study(*arms, **RESNET))
    stored = json.loads(json.dumps(plan.to_json()))
    ledger: Any = SimpleNamespace(load=lambda run: SimpleNamespace(plan=stored))
    assert plan.decided == decided_by(ledger, "run")
    assert len({decided.mode for decided in plan.decided.values()}) == 2

"""Rates and plans are those of the device that the run would compute on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.execution import _planning
from frostline.machine import _calibration, _place, _timing
from frostline.machine._place import CPU, Place
from frostline.models import build_chain, load_backbone
from frostline.study import Head

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.machine._calibration import Asked


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"cuda": "NVIDIA T4", "cuda:0": "NVIDIA T4", "cuda:1": "NVIDIA H100 80GB"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device="cuda": names[str(device)])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(_planning, "may_have_accelerator", lambda: True)


@pytest.mark.usefixtures("two_gpus")
def test_rates_are_remembered_by_device_and_precision() -> None:
    places = [CPU, Place("cuda"), Place("cuda:1"), Place("cuda:1", "tf32"), Place("cpu", "bf16"), Place("mps")]
    paths = [_calibration.rates_path("resnet18", 224, "torch", place) for place in places]
    assert len(set(paths)) == len(places)
    assert paths[0] == _calibration.rates_path("resnet18", 224, "torch")
    assert "NVIDIA_H100_80GB-tf32" in paths[3].name
    assert _calibration.rates_path("resnet18", 224, "torch", Place("cuda:0")) == paths[1]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("given", "place", "engine"),
    [
        ({}, Place("cuda"), "torch"),
        ({"device": "cuda:1", "precision": "tf32"}, Place("cuda:1", "tf32"), "torch"),
        ({"device": "cpu"}, CPU, "openvino"),
        ({"device": "cpu", "precision": "bf16"}, Place("cpu", "bf16"), "torch"),
    ],
)
def test_a_plan_measures_where_the_run_would_compute(
    given: dict[str, Any], place: Place, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Asked] = []
    made_up = _calibration._measure

    def measure(facts: Any, what: Asked, *others: Any) -> Any:
        asked.append(what)
        return made_up(facts, what, *others)

    monkeypatch.setattr(_calibration, "_measure", measure)
    monkeypatch.setattr(_calibration, "MACHINE", f"planned {place.key} {engine}")
    plan = frostline.plan_study(small_study({**RESNET, "train_from": "layer4"}), **given)
    assert [(each.place, each.engine) for each in asked] == [(place, engine)]
    assert (plan.totals.device_peak_bytes > 0) == (place.kind == "cuda")


def test_an_accelerators_work_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: waited.append(device))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    for place in (CPU, Place("cuda:1"), Place("mps")):
        place.synchronise()
    assert waited == ["cuda:1", "mps"]


@pytest.mark.parametrize("place", [CPU, Place("cpu", "bf16")])
def test_every_piece_is_timed_in_its_precision(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_timing, "ENOUGH_SECONDS", 0.0)
    waited: list[Place] = []
    monkeypatch.setattr(Place, "synchronise", lambda self: waited.append(self))
    facts = frostline.backbone_facts("resnet18", 32, "none")
    chain = build_chain(load_backbone("resnet18", "none", 32), 10, Head(), 0)
    seconds = [
        _timing.forward_seconds(chain, facts, "layer4", "contiguous", place=place),
        _timing.train_seconds(chain, facts, "layer4", "contiguous", place=place),
        _timing.step_seconds(chain, place),
        _timing.parameter_step_seconds(place),
        _timing.head_parameter_seconds(place),
        *_timing.stack_seconds(facts, place),
    ]
    assert all(each >= 0 for each in seconds)
    assert waited
    assert set(waited) == {place}


def test_in_bfloat16_training_keeps_less() -> None:
    facts = frostline.backbone_facts("resnet18", 32, "none")
    chain = build_chain(load_backbone("resnet18", "none", 32), 10, Head(), 0)
    exact, rounded = (
        _timing.saved_image_bytes(chain, facts, "layer3", place=place) for place in (CPU, Place("cpu", "bf16"))
    )
    assert 0.3 * exact < rounded < 0.8 * exact


@pytest.mark.parametrize(
    ("system", "machine", "drivers", "found"),
    [
        ("linux", "x86_64", False, False),
        ("linux", "x86_64", True, True),
        ("darwin", "arm64", False, True),
        ("darwin", "x86_64", False, False),
    ],
)
def test_where_there_is_surely_only_the_cpu(
    system: str, machine: str, drivers: bool, found: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_place.sys, "platform", system)  # type: ignore[attr-defined]
    monkeypatch.setattr(_place.platform, "machine", lambda: machine)  # type: ignore[attr-defined]
    monkeypatch.setattr(_place, "DRIVERS", (str(tmp_path),) if drivers else ())
    assert _place.may_have_accelerator() == found


def test_a_plan_for_the_cpu_loads_no_torch() -> None:
    study = small_study({**RESNET, "train_from": "layer4"})
    frostline.plan_study(study, device="cpu")  # facts and rates are remembered now
    code = (
        "import sys, frostline\n"
        "from frostline.machine import _calibration\n"
        "_calibration.MACHINE = 'made up'\n"
        f"study = frostline.Study.model_validate({study.model_dump(mode='json')!r})\n"
        "frostline.plan_study(study, device='cpu')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

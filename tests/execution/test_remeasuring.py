"""Measuring anew what is remembered, when somebody asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.rates import made_up

import frostline
from frostline import FrostlineError
from frostline.errors import ModelError
from frostline.execution import measure_anew
from frostline.execution.events import Event, Notice
from frostline.machine import _calibration
from frostline.machine._calibration import Asked
from frostline.places import cache_directory

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.models.facts import BackboneFacts
    from frostline.plan import Rates


class Machine:
    """A made-up machine, busy or idle, and what was asked of it."""

    busy = False

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, Asked]] = []

    def measure(self, facts: BackboneFacts, asked: Asked, *rest: Any) -> Rates:
        self.asked.append((facts.backbone, facts.image_size, asked))
        return replace(made_up(facts, asked, *rest), doubt="busy" if self.busy else "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine()
    facts = cache_directory() / "facts"
    facts.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "facts").symlink_to(facts)
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_calibration, "_measure", made.measure)
    return made


def remember(backbone: str, image_size: int, asked: Asked) -> BackboneFacts:
    facts = frostline.backbone_facts(backbone, image_size, "none")
    _calibration.measure_rates(facts, asked)
    return facts


def test_rates_of_a_busy_machine_are_replaced_by_those_of_an_idle_one(machine: Machine) -> None:
    asked = Asked(frozenset({"layer4"}), frozenset({"layer4"}), engine="torch")
    machine.busy = True
    facts = remember("resnet18", 32, asked)
    assert _calibration.known_rates(facts, asked) is None
    machine.busy = False
    machine.asked.clear()
    told: list[Event] = []
    (found,) = measure_anew(listener=told.append)
    assert told == [Notice("measuring resnet18 at 32 pixels on this machine")]
    assert machine.asked == [("resnet18", 32, asked)]
    assert (found.backbone, found.image_size, found.cuts) == ("resnet18", 32, ("input", "layer4", "head"))
    assert _calibration.known_rates(facts, asked) == found.rates
    assert found.to_json()["rates"]["doubt"] == ""


def test_good_rates_are_measured_anew_too(machine: Machine) -> None:
    remember("resnet18", 32, Asked(frozenset({"head"})))
    remember("resnet18", 40, Asked(frozenset({"head"})))
    remember("alexnet", 64, Asked(frozenset({"head"})))
    machine.asked.clear()
    assert [(each.backbone, each.image_size) for each in measure_anew()] == [
        ("alexnet", 64),
        ("resnet18", 32),
        ("resnet18", 40),
    ]
    machine.asked.clear()
    assert [each.image_size for each in measure_anew(["resnet18"])] == [32, 40]
    assert len(machine.asked) == 2


def test_a_backbone_that_was_never_measured_is_measured_at_the_usual_size(machine: Machine) -> None:
    (found,) = measure_anew(["resnet18"])
    assert (found.backbone, found.image_size, found.cuts) == ("resnet18", 224, ("input", "head"))
    assert machine.asked == [("resnet18", 224, Asked(frozenset({"head"})))]


def test_what_cannot_be_measured(machine: Machine) -> None:
    with pytest.raises(FrostlineError, match="nothing was measured on this machine yet: name a backbone"):
        measure_anew()
    with pytest.raises(ModelError, match='backbone "resnet81" is unknown; did you mean "resnet'):
        measure_anew(["resnet81"])


@pytest.mark.parametrize("content", ["", "{}", '{"backbone": "resnet18", "image_size": "x", "engine": "torch"}'])
def test_files_of_others_and_damaged_ones_are_left_alone(machine: Machine, content: str) -> None:
    remember("resnet18", 32, Asked(frozenset({"head"})))
    path = _calibration.rates_path("resnet18", 32, "openvino")
    path.with_name("resnet18-32-openvino-another machine.json").write_text(path.read_text())
    path.with_name("damaged.json").write_text(content)
    assert [(each.backbone, each.image_size) for each in measure_anew()] == [("resnet18", 32)]

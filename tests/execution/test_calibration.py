"""Rates of this machine: measured once, remembered, measured again where a new cut is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.execution import _calibration
from frostline.execution.events import Event, Notice

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.measured
def test_rates_are_measured_once(fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh_places("measured")
    facts = frostline.backbone_facts("resnet18", 40, "none")
    assert _calibration.known_rates(facts, ["layer4"]) is None
    rates = _calibration.measure_rates(facts, ["layer4"])
    assert len(rates.flops) == len(rates.train) == len(rates.layouts) == 3
    assert all(0 < seconds < 10 for seconds in (*rates.train, *rates.forward, rates.prefix, rates.decode, rates.step))
    assert all(ours <= plain for ours, plain in zip(rates.train, rates.plain_train, strict=True))
    assert _calibration.known_rates(facts, ["layer4"]) == rates
    assert _calibration.known_rates(facts, ["layer3", "layer4"]) is None
    more = _calibration.measure_rates(facts, ["layer3"])
    assert len(more.flops) == 4, "cuts that were known stay known"


def test_planning_says_when_it_measures_and_then_does_not() -> None:
    study = small_study({"train_from": ["head", "layer2"]}, **{**RESNET, "image_size": 48})
    events: list[Event] = []
    first = frostline.plan_study(study, listener=events.append)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "measuring resnet18 at 48 pixels on this machine, once"
    ]
    events.clear()
    assert frostline.plan_study(study, listener=events.append) == first
    assert events == []


def test_damaged_rates_are_measured_again(fresh_places: Callable[[str], None]) -> None:
    fresh_places("damaged")
    facts = frostline.backbone_facts("resnet18", 56, "none")
    rates = _calibration.measure_rates(facts, [])
    path = _calibration._path(facts)
    path.write_text(path.read_text()[:-20])
    assert _calibration.known_rates(facts, []) is None
    assert _calibration.measure_rates(facts, []) == rates

"""Rates of this machine: measured once, remembered, measured again where a new cut is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.execution.events import Event, Notice
from frostline.machine import _calibration
from frostline.machine._calibration import Asked
from frostline.machine._gathering import TRAINING

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.measured
@pytest.mark.usefixtures("alone")
def test_rates_are_measured_once(fresh_places: Callable[[str], None]) -> None:
    fresh_places("measured")
    facts = frostline.backbone_facts("resnet18", 40, "none")
    late = Asked(frozenset({"layer4"}))
    assert _calibration.known_rates(facts, late) is None
    rates = _calibration.measure_rates(facts, late)
    assert len(rates.flops) == len(rates.train) == 3
    assert all(0 < seconds < 10 for seconds in (*rates.train, *rates.forward, rates.prefix, rates.decode, rates.step))
    assert rates.doubt == ""
    # Nothing is trained from the images where nobody asks to.
    assert rates.train[0] == TRAINING * rates.forward[0]
    assert rates.store > 0
    assert all(factor == n for n, row in zip(rates.lanes, rates.slowdowns, strict=True) for factor in row)
    assert _calibration.known_rates(facts, late) == rates
    assert _calibration.known_rates(facts, replace(late, engine="torch")) is None
    beside = replace(late, beside=frozenset({"layer4"}))
    assert _calibration.known_rates(facts, beside) is None
    assert _calibration.known_rates(facts, Asked(frozenset({"layer3", "layer4"}))) is None
    more = _calibration.measure_rates(facts, Asked(frozenset({"layer3"}), beside=frozenset({"layer4"})))
    assert len(more.flops) == 4, "cuts that were known stay known"
    assert more.train[0] == TRAINING * more.forward[0], "and no more than those"
    assert all(0.2 < row[2] != n for n, row in zip(more.lanes, more.slowdowns, strict=True))
    assert _calibration.known_rates(facts, beside) == _calibration.known_rates(facts, late) == more


def test_planning_says_when_it_measures_and_then_does_not() -> None:
    study = small_study({"train_from": ["head", "layer2"]}, **{**RESNET, "image_size": 48})
    events: list[Event] = []
    first = frostline.plan_study(study, listener=events.append)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "measuring resnet18 at 48 pixels on this machine, once"
    ]
    events.clear()
    assert frostline.plan_study(study, listener=events.append) == first
    assert not any(isinstance(event, Notice) for event in events)


def test_damaged_rates_are_measured_again(fresh_places: Callable[[str], None]) -> None:
    fresh_places("damaged")
    facts = frostline.backbone_facts("resnet18", 56, "none")
    asked = Asked(frozenset())
    rates = _calibration.measure_rates(facts, asked)
    path = _calibration.rates_path("resnet18", 56, asked.engine)
    path.write_text(path.read_text()[:-20])
    assert _calibration.known_rates(facts, asked) is None
    assert _calibration.measure_rates(facts, asked) == rates

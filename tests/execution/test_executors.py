"""Every executor passes one suite: needs come first, what was cut off goes on, and the bits are the same."""

from __future__ import annotations

import pickle
import random
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import pytest
from tests.execution.studies import RESNET, logits_of, numbers_of, small_study

import frostline
from frostline.errors import FrostlineError, TrainingError
from frostline.execution._executors import Executor, Here
from frostline.execution._processes import Processes
from frostline.execution._units import (
    HeadsUnit,
    PassUnit,
    TrajectoryUnit,
    carry_out,
    find_rest,
    seconds_ahead,
    units_of,
)
from frostline.execution.events import Notice, StepProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from frostline.execution._context import Context
    from frostline.execution._units import Unit
    from frostline.execution.events import Event

ARMS: list[dict[str, Any]] = [
    {"train_from": "head", "optimizer": [{"name": "adam"}, {"name": "sgd", "lr": 0.01}], "epochs": 2},
    {"train_from": "layer4", "epochs": [1, 2]},
    {
        "name": "gradual",
        "phases": [
            {"train_from": "head", "epochs": 1},
            {"train_from": "layer4", "epochs": 1},
            {"train_from": "layer3", "epochs": 1},
        ],
    },
]


def study() -> frostline.Study:
    return small_study(*ARMS, **RESNET)


class Shuffled:
    """Another executor: passes in three parts, units in any order that their needs allow, each of them twice."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, units: Sequence[Unit]) -> None:
        waiting = units_of(self._context.plan, parts=3)
        assert {type(unit) for unit in waiting} == {type(unit) for unit in units}
        chance = random.Random(5)
        done: set[str] = set()
        while waiting:
            unit = chance.choice([unit for unit in waiting if unit.needs <= done])
            waiting.remove(unit)
            if isinstance(unit, TrajectoryUnit):
                carry_out(self._context, TrajectoryUnit(unit.trajectory, until=1))
            carry_out(self._context, unit)
            carry_out(self._context, unit)
            done.add(unit.id)


EXECUTORS: dict[str, Callable[[Context], Executor]] = {
    "here": Here,
    "processes": lambda context: Processes(context, 2, 1),
    "shuffled": Shuffled,
}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> str:
    """Have runs carried out by an executor."""
    monkeypatch.setattr("frostline.execution._run.choose_executor", EXECUTORS[request.param])
    return str(request.param)


def everything(record: frostline.RunRecord) -> object:
    logits = {arm.name: logits_of(record, arm).tobytes() for arm in record.arms}
    tests = {arm.name: (arm.test_loss, arm.test_accuracy) for arm in record.arms}
    return numbers_of(record), logits, tests, record.chosen


@cache
def _expected(place: str) -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FROSTLINE_CACHE", f"{place}/cache")
        return everything(frostline.run(study(), workspace=f"{place}/runs", cache="always", engine="torch"))


@pytest.fixture
def expected(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> object:
    """What the study gives, carried out here."""
    return _expected(str(tmp_path_factory.getbasetemp() / "expected"))


def run(listener: Callable[[Event], None] | None = None, **options: Any) -> frostline.RunRecord:
    return frostline.run(study(), cache="always", engine="torch", listener=listener, **options)


def test_the_bits_are_the_same(executor: str, expected: object, fresh_places: Callable[[str], None]) -> None:
    fresh_places(executor)
    record = run()
    assert everything(record) == expected
    # A pass in parts adds up to one in one go.
    assert [row.n_passed for row in record.passes] == [row.n_images for row in record.passes]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, pytest.param(RuntimeError, marks=pytest.mark.slow)])
def test_what_was_cut_off_goes_on(
    executor: str, stop: type[BaseException], expected: object, fresh_places: Callable[[str], None]
) -> None:
    fresh_places(executor)
    steps = 0

    def cut_off(event: Event) -> None:
        nonlocal steps
        steps += isinstance(event, StepProgress)
        if steps == 9:
            raise stop("cut off")

    with pytest.raises(stop, match="cut off"):
        run(cut_off)
    with frostline.Ledger(frostline.places.workspace_directory()) as ledger:
        assert ledger.load().status == ("interrupted" if stop is KeyboardInterrupt else "failed")
    assert everything(run(resume=True)) == expected


def test_an_error_in_a_unit_is_the_runs(
    executor: str, fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_places(executor)
    monkeypatch.setattr("frostline.execution._recorder.LedgerRecorder.record_epochs", _refuse)
    with pytest.raises(FrostlineError, match="the ledger is full"):
        run()


def _refuse(*_: object) -> None:
    raise TrainingError("the ledger is full")


def test_a_damaged_message_costs_a_try_and_no_bit(
    expected: object, fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    fresh_places("damaged")
    monkeypatch.setattr("frostline.execution._run.choose_executor", EXECUTORS["processes"])
    read = pickle.load
    damaged: list[object] = []

    def load(stream: Any) -> Any:
        message = read(stream)
        if isinstance(message, StepProgress) and not damaged:
            damaged.append(message)
            raise pickle.UnpicklingError("invalid load key")
        return message

    monkeypatch.setattr("frostline.execution._processes.pickle.load", load)
    notices: list[str] = []
    record = run(lambda event: notices.append(event.text) if isinstance(event, Notice) else None)
    assert everything(record) == expected
    assert [text for text in notices if text.endswith("it is tried once more")]


def test_units_come_after_what_they_need() -> None:
    plan = frostline.plan_study(study(), cache="always")
    units = units_of(plan, parts=2)
    ids = [unit.id for unit in units]
    assert len(set(ids)) == len(ids)
    for position, unit in enumerate(units):
        assert unit.needs <= set(ids[:position])
    assert {unit.trajectory for unit in units if isinstance(unit, TrajectoryUnit)} | {
        id_
        for group in plan.groups
        for unit in units
        if isinstance(unit, HeadsUnit) and unit.group == group.id
        for id_ in group.trajectories
    } == {planned.id for planned in plan.trajectories}
    assert sum(isinstance(unit, PassUnit) for unit in units) == 2 * len(plan.passes)
    ahead = seconds_ahead(plan, units)
    by_id = {unit.id: unit for unit in units}
    for unit in units:
        assert all(ahead[need] > ahead[unit.id] for need in unit.needs), by_id
    chain = [unit for unit in units if isinstance(unit, TrajectoryUnit)]
    last = next(unit for unit in chain if not any(unit.id in other.needs for other in chain) and len(unit.needs) > 2)
    first = next(need for need in last.needs if need.startswith("trajectory"))
    assert last in find_rest(units, first)
    assert find_rest(units, last.id) == []

"""The house: imports point one way along the rooms, and no module waits for itself."""

from __future__ import annotations

from tests.structure import ROOMS, cycles, modules, room_of, wrong_ways


def test_imports_point_one_way() -> None:
    assert wrong_ways() == []


def test_no_modules_import_each_other() -> None:
    assert cycles() == []


def test_every_room_is_there() -> None:
    assert {room_of(name) for name in modules()} - {None} == set(ROOMS)

"""Where stored rows wait for an accelerator changes no number, and keeps to what there is room for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.execution import _row_room, _run
from frostline.execution._row_room import RowRoom, make_row_room
from frostline.plan import NO_BUDGETS, Budgets

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.features import Features

CPU = torch.device("cpu")

ARMS = [
    {**RESNET, "train_from": ["head", "layer4"]},
    {**RESNET, "train_from": "layer4", "augmentation": "flip", "views": 2},
    {**RESNET, "train_from": "layer3", "activations": "float16"},
]


@pytest.mark.parametrize(("on_device", "in_memory"), [(10**9, 0), (0, 10**9), (0, 0), (200_000, 0)])
def test_where_rows_wait_changes_no_number(
    on_device: int, in_memory: int, monkeypatch: pytest.MonkeyPatch, fresh_places: Callable[[str], None]
) -> None:
    """The processor stands in for a device with memory of its own; 200 kB hold the rows of the head alone."""
    study = small_study(*ARMS)
    fresh_places("usual")
    usual = frostline.run(study, engine="torch", cache="always")
    read: list[bool] = []
    usual_read = RowRoom.read

    def noted(self: RowRoom, features: Features, positions: Any) -> Any:
        rows = usual_read(self, features, positions)
        read.append(rows is not None)
        return rows

    monkeypatch.setattr(RowRoom, "read", noted)
    monkeypatch.setattr(_run, "make_row_room", lambda *_: RowRoom(CPU, lambda: on_device, lambda: in_memory))
    fresh_places("held")
    held = frostline.run(study, engine="torch", cache="always")
    assert numbers_of(held) == numbers_of(usual)
    assert any(read) == (on_device + in_memory > 0)
    assert all(read) == (on_device + in_memory >= 10**9)


class FakeFeatures:
    """A hundred rows of two tensors."""

    def __init__(self, dtype: str = "float32") -> None:
        generator = np.random.Generator(np.random.PCG64(0))
        self.n, self.shapes, self.dtype = 100, ((3,), (2, 2)), dtype
        self.rows = [generator.random((self.n, *shape)).astype(dtype) for shape in self.shapes]
        self.n_bytes = sum(rows.nbytes for rows in self.rows)

    def batches(self, order: Any) -> Any:
        for positions in order:
            yield tuple(rows[positions].astype(np.float32) for rows in self.rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_held_rows_are_the_rows(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_row_room, "ROWS_AT_ONCE", 7)
    features: Any = FakeFeatures(dtype)
    positions = np.array([99, 0, 5, 5])
    held = RowRoom(CPU, lambda: features.n_bytes).read(features, positions)
    assert held is not None
    for tensor, rows in zip(held, features.rows, strict=True):
        assert tensor.dtype == torch.float32
        assert np.array_equal(tensor.numpy(), rows[positions].astype(np.float32))
    assert RowRoom(CPU, lambda: features.n_bytes - 1).read(features, positions) is None


def test_a_device_that_is_full_after_all_leaves_rows_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    load, tried = _row_room._load, list[torch.device]()

    def full(features: Features, device: torch.device) -> list[torch.Tensor]:
        tried.append(device)
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return load(features, device)

    monkeypatch.setattr(_row_room, "_load", full)
    features: Any = FakeFeatures()
    assert RowRoom(CPU, lambda: 10**9, lambda: 10**9).read(features, np.arange(3)) is not None
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("budgets", "on_device", "in_memory"),
    [
        (NO_BUDGETS, 7e9, 4e9),
        (Budgets(device_memory=4 * 10**9), 1e9, 4e9),
        (Budgets(device_memory=2 * 10**9), -1e9, 4e9),
        (Budgets(memory=3 * 10**9), 7e9, 1e9),
    ],
)
def test_the_room_that_a_plan_leaves(
    budgets: Budgets, on_device: float, in_memory: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10 GB, torch has 2, one of them in tensors; passes and training need 2 at most."""
    totals = frostline.plan_study(small_study({**RESNET, "train_from": "head"}), device="cpu").totals
    totals = replace(totals, device_peak_bytes=2 * 10**9, peak_bytes=2 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10**9)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2 * 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 * 10**9, 80 * 10**9))
    monkeypatch.setattr(_row_room, "_free_memory", lambda: 8 * 10**9)
    room = make_row_room(torch.device("cuda"), budgets, totals)
    assert room is not None
    assert (room._device_bytes(), room._host_bytes()) == (on_device, in_memory)
    assert make_row_room(CPU, budgets, totals) is None

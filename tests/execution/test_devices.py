"""The device of a run: deterministic, and explained where it has too little memory; what CUDA does is stood in for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.errors import DeviceMemoryError, FrostlineError
from frostline.execution import _devices
from frostline.features import _torch, computing
from frostline.training import _epoch, _stack

if TYPE_CHECKING:
    from collections.abc import Callable

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv(CUBLAS, raising=False)


@pytest.mark.usefixtures("one_gpu")
def test_cublas_is_told_to_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _devices.choose_device("auto") == torch.device("cuda")
    assert os.environ[CUBLAS] == ":4096:8"
    monkeypatch.setenv(CUBLAS, ":16:8")
    assert _devices.choose_device("cuda:0") == torch.device("cuda:0")
    assert os.environ[CUBLAS] == ":16:8"


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_that_was_in_use_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(FrostlineError, match=f'without {CUBLAS}.*set os.environ\\["{CUBLAS}"\\] = ":4096:8" before'):
        _devices.choose_device("cuda")
    monkeypatch.setenv(CUBLAS, ":4096:8")
    assert _devices.choose_device("cuda") == torch.device("cuda")


def deterministic() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    return (torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark, filled)


@pytest.mark.parametrize(("device", "inside"), [("cuda", (True, True, False, False)), ("cpu", None), ("mps", None)])
def test_algorithms_are_deterministic_on_cuda_within_a_run(device: str, inside: tuple[bool, ...] | None) -> None:
    before = deterministic()
    with computing("ieee", device):
        assert deterministic() == (inside or before)
    assert deterministic() == before


def full(*arguments: Any, **options: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("place", "name", "arm", "options", "message"),
    [
        (_torch, "_join", {"train_from": "layer4"}, {}, "feature pass resnet18.*: the device has not enough memory"),
        (
            _epoch,
            "autocast",
            {"train_from": "layer4"},
            {},
            "training resnet18 layer4.*: the device has not enough memory",
        ),
        (_stack, "filled_up", {"train_from": "head"}, {}, "training .*head.*: the device has not enough memory"),
        (
            _torch,
            "_join",
            {"train_from": "layer4"},
            {"plain": True},
            "training resnet18 layer4.*: the device has not enough memory",
        ),
    ],
    ids=["pass", "trajectory", "heads", "plain"],
)
def test_too_little_memory_is_explained_and_the_run_can_be_continued(
    place: Any,
    name: str,
    arm: dict[str, Any],
    options: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    fresh_places: Callable[[str], None],
) -> None:
    fresh_places("full")
    study = small_study({**RESNET, **arm}, train=32, val=16, epochs=1)
    with monkeypatch.context() as patched:
        patched.setattr(place, name, full)
        with pytest.raises(DeviceMemoryError, match=message):
            frostline.run(study, engine="torch", cache="always", **options)
    resumed = frostline.run(study, engine="torch", cache="always", resume=True, **options)
    fresh_places("enough")
    assert numbers_of(resumed) == numbers_of(frostline.run(study, engine="torch", cache="always", **options))

"""A checkpoint gives back every bit, and is complete or absent."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from frostline.errors import DiskFullError, TrainingError
from frostline.study import Optimizer, Schedule
from frostline.training import Checkpoint, build_optimizer, build_scheduler, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def steps(model: torch.nn.Module, optimizer: Any, scheduler: Any, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        optimizer.zero_grad()
        model(torch.randn(4, 3, generator=generator)).square().sum().backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle", "step"])
@pytest.mark.parametrize(
    "optimizer", [{"name": "adam"}, {"name": "adamw"}, {"name": "sgd", "momentum": 0.9}, {"name": "sgd"}]
)
def test_going_on_equals_never_stopping(tmp_path: Path, optimizer: dict[str, Any], schedule: Any) -> None:
    def begin() -> tuple[torch.nn.Module, Any, Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
        ours = build_optimizer(model.named_parameters(), Optimizer(**optimizer), lambda name: 0)
        return model, ours, build_scheduler(ours, Schedule(name=schedule), 5, 4)

    model, ours, scheduler = begin()
    steps(model, ours, scheduler, 7, seed=1)
    state = None if scheduler is None else scheduler.state_dict()
    path = tmp_path / "folder" / "one.safetensors"
    save_checkpoint(path, Checkpoint(copy.deepcopy(model.state_dict()), ours.state_dict(), state))
    steps(model, ours, scheduler, 5, seed=2)

    resumed, theirs, their_scheduler = begin()
    loaded = load_checkpoint(path)
    resumed.load_state_dict(loaded.model)
    theirs.load_state_dict(loaded.optimizer)
    if their_scheduler is not None:
        assert loaded.scheduler is not None
        their_scheduler.load_state_dict(loaded.scheduler)
    steps(resumed, theirs, their_scheduler, 5, seed=2)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]
    assert [p.name for p in path.parent.iterdir()] == ["one.safetensors"]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match=r"broken\.safetensors: this checkpoint can't be read"):
        load_checkpoint(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DiskFullError, match=r"a\.safetensors: .*then run the same command again"):
        save_checkpoint(blocked / "a.safetensors", Checkpoint({}, {"state": {}, "param_groups": []}, None))

"""Optimizers and schedules against torch's own, step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from frostline.study import Optimizer, Schedule
from frostline.training import build_optimizer, build_scheduler


def linear() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(6, 3)


def train(model: torch.nn.Linear, optimizer: torch.optim.Optimizer, steps: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(8, 6, generator=generator)
        y = torch.randint(0, 3, (8,), generator=generator)
        optimizer.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(model(x), y))
        optimizer.step()
    return model.weight.detach().clone()


@pytest.mark.parametrize(
    ("ours", "theirs", "settings"),
    [
        ({"name": "sgd", "lr": 0.1}, torch.optim.SGD, {"lr": 0.1}),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (
            {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
            torch.optim.SGD,
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        ),
        ({"name": "adam", "lr": 0.01}, torch.optim.Adam, {"lr": 0.01}),
        ({"name": "adam", "lr": 0.01, "weight_decay": 0.1}, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
        ({"name": "adamw", "lr": 0.01}, torch.optim.AdamW, {"lr": 0.01}),
        ({"name": "adamw", "lr": 0.01, "weight_decay": 0.3}, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.3}),
    ],
)
def test_equals_torch(ours: dict[str, Any], theirs: Any, settings: dict[str, Any]) -> None:
    mine, reference = linear(), linear()
    optimizer = build_optimizer(mine.named_parameters(), Optimizer(**ours), lambda name: 0)
    assert torch.equal(train(mine, optimizer), train(reference, theirs(reference.parameters(), **settings)))


def test_holds_trainable_parameters_only() -> None:
    model = linear()
    model.bias.requires_grad_(False)
    optimizer = build_optimizer(model.named_parameters(), Optimizer(name="adam", lr=0.1), lambda name: 0)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == 1
    assert held[0] is model.weight


def test_stage_decay_gives_each_stage_its_rate() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    depth = {"0.weight": 1, "0.bias": 1, "1.weight": 0, "1.bias": 0}
    optimizer = build_optimizer(
        model.named_parameters(), Optimizer(name="sgd", lr=0.1, stage_decay=0.5), depth.__getitem__
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]


STEPS, EPOCHS = 4, 5


@pytest.mark.parametrize("name", ["constant", "cosine", "one-cycle", "step"])
@pytest.mark.parametrize("stage_decay", [1.0, 0.5])
def test_schedule_equals_torch(name: Any, stage_decay: float) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    spec = Optimizer(name="sgd", lr=0.1, momentum=0.9, stage_decay=stage_decay)
    optimizer = build_optimizer(model.named_parameters(), spec, lambda n: 1 - int(n[0]))
    rates = [group["lr"] for group in optimizer.param_groups]
    reference = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in rates])
    total = STEPS * EPOCHS
    schedulers: dict[str, Any] = {
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(reference, factor=1.0, total_iters=total),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=total),
        "one-cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(
            reference, max_lr=rates, total_steps=total, cycle_momentum=False
        ),
        "step": lambda: torch.optim.lr_scheduler.StepLR(reference, step_size=2 * STEPS, gamma=0.1),
    }
    theirs = schedulers[name]()
    ours = build_scheduler(optimizer, Schedule(name=name), STEPS, EPOCHS)
    for step in range(total):
        assert [g["lr"] for g in optimizer.param_groups] == [g["lr"] for g in reference.param_groups]
        assert all(g["momentum"] == 0.9 for g in optimizer.param_groups)
        optimizer.step()
        reference.step()
        if ours is not None and step < total - 1:
            ours.step()
        if step < total - 1:
            theirs.step()

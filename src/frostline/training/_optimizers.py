"""Optimizers and schedules: torch's own, over the trained parameters only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from frostline.study import Optimizer, Schedule

__all__ = ["build_optimizer", "build_scheduler"]


def build_optimizer(
    named_parameters: Iterable[tuple[str, torch.nn.Parameter]],
    optimizer: Optimizer,
    stages_before_head: Callable[[str], int],
) -> torch.optim.Optimizer:
    """Return a torch optimizer over the parameters that require gradients.

    With ``stage_decay`` below 1 each stage is a parameter group whose learning rate is
    ``lr * stage_decay ** stages_before_head(name)`` (discriminative learning rates: Howard and Ruder, 2018, sec. 3.2).
    """
    groups: dict[int, list[torch.nn.Parameter]] = {}
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            depth = stages_before_head(name) if optimizer.stage_decay < 1 else 0
            groups.setdefault(depth, []).append(parameter)
    parameters = [
        {"params": members, "lr": optimizer.lr * optimizer.stage_decay**depth}
        for depth, members in sorted(groups.items())
    ]
    if optimizer.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=optimizer.lr,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            weight_decay=optimizer.weight_decay,
        )
    kind = torch.optim.Adam if optimizer.name == "adam" else torch.optim.AdamW
    return kind(parameters, lr=optimizer.lr, weight_decay=optimizer.weight_decay)


def build_scheduler(
    optimizer: torch.optim.Optimizer, schedule: Schedule, steps_per_epoch: int, epochs: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Return torch's scheduler, to be stepped after every optimizer step, or None for a constant rate.

    Cosine and one-cycle span the phase; one-cycle leaves momentum as the recipe has it.
    """
    steps = steps_per_epoch * epochs
    if schedule.name == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    if schedule.name == "one-cycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rates, total_steps=steps, cycle_momentum=False)
    if schedule.name == "step":
        step_size = schedule.step_epochs * steps_per_epoch
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=step_size, gamma=schedule.gamma)
    return None

"""One epoch of training, and one evaluation, over any batches of inputs and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.features import autocast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from frostline.plan import Precision
    from frostline.training._dropout import DropoutStream

__all__ = ["Batch", "evaluate", "train_epoch"]

Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""The model's inputs, each [B, ...], and the labels, int64 [B]."""


def train_epoch(
    model: torch.nn.Module,
    batches: Iterable[Batch],
    loss_function: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None,
    stream: DropoutStream,
    on_step: Callable[[int], None],
    precision: Precision = "ieee",
) -> float:
    """Train over the batches once and return the mean loss over images; NaN as soon as a batch's loss isn't finite."""
    model.train()
    total = torch.zeros((), dtype=torch.float64)
    n_images = 0
    for step, (inputs, labels) in enumerate(batches, start=1):
        optimizer.zero_grad(set_to_none=True)
        with stream.drawing():
            with autocast(precision, labels.device.type):
                logits = model(*inputs)
            loss = loss_function(logits.float(), labels)
            loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        value = loss.detach().cpu().double()  # in this order: MPS has no float64
        if not torch.isfinite(value):
            return float("nan")
        total += value * len(labels)
        n_images += len(labels)
        on_step(step)
    return float(total / max(n_images, 1))


@torch.no_grad()
def evaluate(model: torch.nn.Module, batches: Iterable[Batch], precision: Precision = "ieee") -> torch.Tensor:
    """Return the logits [N, K] of all batches in eval mode, float32 on the CPU."""
    model.eval()
    logits = []
    for inputs, labels in batches:
        with autocast(precision, labels.device.type):
            logits.append(model(*inputs).float().cpu())
    return torch.cat(logits)

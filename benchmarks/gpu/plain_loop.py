"""A good loop by hand on a GPU, for comparison: what is frozen in eval mode, images resized once and kept there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torchvision.models import get_model
from torchvision.transforms import v2

from frostline.machine import Place

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["epoch_seconds", "head_seconds"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def epoch_seconds(images: torch.Tensor, train_from: str, size: int, batch_size: int, device: torch.device) -> float:
    """Return the seconds of an epoch of ResNet-18, evaluation of a fifth of the images included, after a few steps.

    Args:
        images: uint8 [N, 3, H, W].
        train_from: ``head`` or ``layer4``.
        size: pixels on a side.
        batch_size: images in a step.
        device: where.
    """
    prefix, tail = _parts(train_from)
    prefix, tail = prefix.to(device).eval(), tail.to(device)
    resized = torch.cat(
        [v2.functional.resize(p.to(device), [size, size], antialias=True) for p in torch.split(images, 2048)]
    )
    labels = torch.zeros(len(images), dtype=torch.long, device=device)
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STD))
    optimizer = torch.optim.Adam(tail.parameters(), lr=1e-3)

    def inputs_of(positions: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            rows: torch.Tensor = prefix((resized[positions].float() / 255 - mean) / std)
        return rows

    def train(positions: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.nn.functional.cross_entropy(tail(inputs_of(positions)), labels[positions]))
        optimizer.step()

    def epoch() -> None:
        tail.train()
        for positions in torch.split(torch.randperm(len(images), device=device), batch_size):
            train(positions)
        tail.eval()
        with torch.no_grad():
            for positions in torch.split(torch.arange(len(images) // 5, device=device), batch_size):
                tail(inputs_of(positions))

    for positions in torch.split(torch.arange(min(3 * batch_size, len(images)), device=device), batch_size):
        train(positions)
    return timed(epoch, device)


def head_seconds(n: int, n_features: int, batch_size: int, device: torch.device) -> float:
    """Return the seconds of an epoch of one head by torch.optim, on rows that lie on the device already."""
    rows, labels = torch.rand(n, n_features, device=device), torch.zeros(n, dtype=torch.long, device=device)
    head = torch.nn.Linear(n_features, 10).to(device)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)

    def epoch() -> None:
        for positions in torch.split(torch.randperm(n, device=device), batch_size):
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.nn.functional.cross_entropy(head(rows[positions]), labels[positions]))
            optimizer.step()

    epoch()
    return timed(epoch, device)


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds that work takes, waiting for the device."""
    place = Place(str(device))
    place.synchronise()
    started = time.perf_counter()
    work()
    place.synchronise()
    return time.perf_counter() - started


def _parts(train_from: str) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    network = get_model("resnet18", weights=None)
    network.fc = torch.nn.Linear(512, 10)
    children = list(network.children())
    layers = [*children[:-1], torch.nn.Flatten(), children[-1]]
    at = len(layers) - 1 if train_from == "head" else [name for name, _ in network.named_children()].index(train_from)
    return torch.nn.Sequential(*layers[:at]), torch.nn.Sequential(*layers[at:])

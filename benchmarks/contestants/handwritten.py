"""The best loop we can write by hand without storing activations.

Images are resized once and kept as bytes; the network is channels_last; what is frozen runs in eval mode under no_grad;
runs that differ only in their number of epochs are one run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torchvision.transforms import v2

from benchmarks.contestants.common import (
    Preparation,
    Report,
    build_network,
    build_optimizer,
    load_arrays,
    read_job,
    thaw,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def resize(images: torch.Tensor, preparation: Preparation) -> torch.Tensor:
    """Return all images at the network's size, uint8."""
    size, mode = [preparation.image_size] * 2, v2.InterpolationMode(preparation.interpolation)
    resized = [v2.functional.resize(part, size, mode, antialias=True) for part in torch.split(images, 256)]
    return torch.cat(resized).contiguous(memory_format=torch.channels_last)


def normaliser(preparation: Preparation) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what makes the network's input of resized images."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preparation.mean, preparation.std))
    return lambda images: (images.float() / 255 - mean) / std


def split_at(model: torch.nn.Module, name: str) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    """Return a sequential network in two parts, the second beginning with a module."""
    parts: list[torch.nn.Module] = []
    at = 0
    for child_name, child in model.named_children():
        # EfficientNet's blocks are thawed from one of them on; ResNet flattens before its head.
        grandchildren = child.named_children() if name.startswith(f"{child_name}.") else [("", child)]
        for inner, module in grandchildren:
            if name in (child_name, f"{child_name}.{inner}"):
                at = len(parts)
            if isinstance(module, torch.nn.Linear):
                parts.append(torch.nn.Flatten())
                at = at + 1 if at == len(parts) - 1 else at
            parts.append(module)
    return torch.nn.Sequential(*parts[:at]), torch.nn.Sequential(*parts[at:])


def main() -> None:
    job = read_job()
    report = Report("torchvision")
    train_x, train_y, val_x, val_y = load_arrays(job)
    preparation, batch_size = job["preparation"], job["workload"]["batch_size"]
    normalise = normaliser(preparation)
    train = resize(torch.from_numpy(train_x).permute(0, 3, 1, 2), preparation)
    val = resize(torch.from_numpy(val_x).permute(0, 3, 1, 2), preparation)
    labels, val_labels = torch.from_numpy(train_y), torch.from_numpy(val_y)
    criterion = torch.nn.CrossEntropyLoss()
    longest: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, arm in enumerate(job["arms"]):
        key = repr((arm["train_from"], arm["optimizer"], arm["seed"]))
        if key not in longest or longest[key][1]["epochs"] < arm["epochs"]:
            longest[key] = (index, arm)
    for index, arm in longest.values():
        model, head = build_network(job, arm["seed"])
        model.to(memory_format=torch.channels_last)
        start = head if arm["train_from"] == "head" else arm["train_from"]
        optimizer = build_optimizer(thaw(model, head, start), arm["optimizer"])
        prefix, tail = split_at(model, start)
        prefix.eval()
        for _ in range(arm["epochs"]):
            started = time.perf_counter()
            tail.train()
            for positions in torch.split(torch.randperm(len(labels)), batch_size):
                with torch.no_grad():
                    features = prefix(normalise(train[positions]))
                optimizer.zero_grad()
                loss = criterion(tail(features), labels[positions])
                loss.backward()
                optimizer.step()
            tail.eval()
            with torch.no_grad():
                logits = torch.cat([tail(prefix(normalise(part))) for part in torch.split(val, batch_size)])
            accuracy = float((logits.argmax(1) == val_labels).double().mean())
            report.epoch(index, time.perf_counter() - started, accuracy)
    report.write()


if __name__ == "__main__":
    main()

"""What is timed: exercise sections 1 and 2, and many heads, by Frostline and by a loop by hand."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import frostline
from benchmarks.gpu.plain_loop import epoch_seconds, head_seconds

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["WORKLOADS", "Sizes", "measure"]

ADAM = {"name": "adam", "lr": 1e-3}
SGD = {"name": "sgd", "lr": 1e-3, "momentum": 0.9}


@dataclass(frozen=True)
class Sizes:
    """How much is computed."""

    n_images: int = 50_000
    image_size: int = 224
    batch_size: int = 64
    heads: tuple[int, int] = (64, 512)
    head_epochs: int = 5


def _sections(sizes: Sizes) -> list[dict[str, Any]]:
    return [
        {"train_from": ["head", "layer4"], "optimizer": ADAM, "epochs": [2, 3, 5]},
        {"train_from": "head", "optimizer": SGD, "epochs": [2, 5]},
    ]


def _heads(n: int, sizes: Sizes) -> list[dict[str, Any]]:
    rates = [10 ** (-4 + 3 * i / 7) for i in range(8)]
    decays = [0.0, 1e-4, 1e-3, 1e-2]
    made: list[dict[str, Any]] = [
        {"name": name, "lr": rate, "weight_decay": decay}
        for name, decay, rate in itertools.product(("adamw", "sgd"), decays, rates)
    ]
    return [
        {"train_from": "head", "optimizer": made[:n], "epochs": sizes.head_epochs, "seed": list(range(-(-n // 64)))}
    ]


WORKLOADS = {
    "sections": lambda sizes: _sections(sizes),
    "heads": lambda sizes: _heads(sizes.heads[0], sizes),
    "many heads": lambda sizes: _heads(sizes.heads[1], sizes),
}


def measure(
    name: str, sizes: Sizes, data: Path, place: Path, device: torch.device, precision: Any, images: torch.Tensor
) -> dict[str, Any]:
    """Return the seconds of a workload by Frostline, everything counted, and those of the loop by hand, worked out.

    Args:
        name: of the workload.
        sizes: how much is computed.
        data: Parquet files.
        place: where results go.
        device, precision: where and how it computes.
        images: uint8 [N, 3, H, W], for the loop by hand.
    """
    study = frostline.Study(
        name=f"gpu-{name.replace(' ', '-')}",
        data={"source": "parquet", "path": str(data), "train": sizes.n_images * 4 // 5, "val": sizes.n_images // 5},
        defaults={
            "backbone": "resnet18", "weights": "none",
            "image_size": sizes.image_size, "batch_size": sizes.batch_size,
        },
        arms=WORKLOADS[name](sizes),
    )  # fmt: skip
    started = time.perf_counter()
    record = frostline.run(study, workspace=place, device=str(device), precision=precision, resume=False)
    seconds = time.perf_counter() - started
    arms = record.arms
    row = {"workload": name, "arms": len(arms), "epochs": sum(len(arm.epochs) for arm in arms), "seconds": seconds}
    part = images[: max(sizes.batch_size, len(images) // 10)]
    scale = sizes.n_images * 4 / 5 / len(part)
    if name == "sections":
        by_epoch = {
            where: scale * epoch_seconds(part, where, sizes.image_size, sizes.batch_size, device)
            for where in ("head", "layer4")
        }
        # Runs that differ in their epochs alone are one: 5 epochs of the head by each optimizer, 5 of layer4.
        by_hand = 10 * by_epoch["head"] + 5 * by_epoch["layer4"]
    else:
        one = head_seconds(sizes.n_images * 4 // 5, 512, sizes.batch_size, device)
        by_hand = len(arms) * sizes.head_epochs * one
    return {**row, "by_hand_seconds": by_hand, "took": record.to_json().get("cost", {})}

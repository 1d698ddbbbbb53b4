"""What is measured: the arms of each workload, and how many images and epochs each contestant really runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["WORKLOADS", "Arm", "Workload", "study_of"]

ADAM = {"name": "adam", "lr": 1e-3}
SGD = {"name": "sgd", "lr": 1e-3, "momentum": 0.9}
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)


@dataclass(frozen=True)
class Arm:
    """One training run: where training starts, with what, how long, from which seed."""

    train_from: str
    optimizer: dict[str, Any]
    epochs: int
    seed: int = 0


@dataclass(frozen=True)
class Workload:
    """Arms on one backbone.

    ``target`` is the ratio to the notebook's loop that is to be reached, ``others`` that to the best of the others.
    ``slow_images`` are those that a contestant which trains each arm from images runs an epoch on, for each different
    ``train_from``; its time is extrapolated from them. None lets it train all arms in full.
    """

    name: str
    title: str
    backbone: str
    weights: str
    image_size: int
    arms: tuple[Arm, ...]
    target: float | None
    others: float | None = None
    slow_images: int | None = 400
    batch_size: int = 64

    def to_json(self) -> dict[str, Any]:
        """Return the workload as plain data."""
        return asdict(self)


def _frozen() -> tuple[Arm, ...]:
    """Exercise sections 1 and 2, frozen: Adam for 2, 3 and 5 epochs, SGD for 2 and 5."""
    return (*(Arm("head", ADAM, n) for n in (2, 3, 5)), *(Arm("head", SGD, n) for n in (2, 5)))


def _unfrozen(train_from: str) -> tuple[Arm, ...]:
    return tuple(Arm(train_from, ADAM, n) for n in (2, 3, 5))


def study_of(workload: dict[str, Any], parquet: str, n_train: int, n_val: int) -> dict[str, Any]:
    """Return a workload, given as plain data, as a study on so many images of a folder of Parquet files.

    It has test images too, though nobody else has: the model that is chosen is judged on them in any study.
    """
    return {
        "name": workload["name"],
        "data": {"source": "parquet", "path": parquet, "train": n_train, "val": n_val, "test": n_val},
        "defaults": {key: workload[key] for key in ("backbone", "weights", "image_size", "batch_size")},
        "arms": list(workload["arms"]),
    }


SWEEP = tuple(
    Arm("head", {**optimizer, "lr": lr}, 5, seed) for optimizer in (ADAM, SGD) for lr in RATES for seed in range(4)
)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload(
            "sections",
            "exercise sections 1 and 2: ResNet-18, 224 px, 27 epochs",
            "resnet18",
            "none",
            224,
            (*_frozen(), *_unfrozen("layer4")),
            target=11,
            others=3,
        ),
        Workload(
            "frozen", "their frozen half: ResNet-18, 224 px, 17 epochs", "resnet18", "none", 224, _frozen(), target=25
        ),
        Workload(
            "lite0",
            "the frozen half on EfficientNet-Lite0, real weights, 224 px",
            "timm:tf_efficientnet_lite0",
            "default",
            224,
            _frozen(),
            target=60,
        ),
        Workload(
            "lite0-thawed",
            "sections 1 and 2 on EfficientNet-Lite0, real weights, 224 px",
            "timm:tf_efficientnet_lite0",
            "default",
            224,
            (*_frozen(), *_unfrozen("blocks.6")),
            target=None,
        ),
        Workload("vgg", "VGG-16 frozen, 96 px, linear head, 17 epochs", "vgg16", "none", 96, _frozen(), target=None),
        Workload(
            "accuracy",
            "everyone in full: EfficientNet-Lite0, real weights, 96 px, head for 3 epochs, then blocks.6 on for 2",
            "timm:tf_efficientnet_lite0",
            "default",
            96,
            (Arm("head", ADAM, 3), Arm("blocks.6", ADAM, 2)),
            target=None,
            slow_images=None,
        ),
        Workload(
            "sweep",
            "64 heads (8 learning rates x 2 optimizers x 4 seeds), 5 epochs: ResNet-18, 224 px",
            "resnet18",
            "none",
            224,
            SWEEP,
            target=200,
        ),
    )
}

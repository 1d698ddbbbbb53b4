"""What every contestant needs: the job, the images, the network with its weights, and a way to report."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import torch

__all__ = [
    "Preparation",
    "Report",
    "build_network",
    "build_optimizer",
    "load_arrays",
    "read_job",
    "thaw",
]


@dataclass(frozen=True)
class Preparation:
    """How the weights want their images: pixels on a side, resizing, and statistics in units of [0, 1]."""

    image_size: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Report:
    """Seconds since the start, epoch by epoch."""

    def __init__(self, *packages: str) -> None:
        self._started = time.perf_counter()
        self._packages = packages
        self._epochs: list[dict[str, Any]] = []

    def epoch(self, arm: int, seconds: float, accuracy: float) -> None:
        """Add an epoch of an arm: seconds with evaluation, and accuracy on the validation images."""
        self._epochs.append({"arm": arm, "seconds": seconds, "accuracy": accuracy})

    def write(self, **more: Any) -> None:
        """Write everything to standard output, as one line of JSON."""
        seconds = time.perf_counter() - self._started
        versions = {name: metadata.version(name) for name in ("torch", *self._packages)}
        print(json.dumps({"seconds": seconds, "epochs": self._epochs, "versions": versions, **more}))


def read_job() -> dict[str, Any]:
    """Return the job: ``workload``, ``arms`` with their epochs, ``preparation``, ``images`` (a file), their counts."""
    job: dict[str, Any] = json.load(sys.stdin)
    return {**job, "preparation": Preparation(**job["preparation"])}


def load_arrays(job: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images, uint8 [N, H, W, 3], their labels, and the validation images and labels."""
    import numpy as np

    with np.load(job["images"]) as stored:
        n, n_val = job["n_train"], job["n_val"]
        return stored["train_x"][:n], stored["train_y"][:n], stored["val_x"][:n_val], stored["val_y"][:n_val]


def build_network(job: dict[str, Any], seed: int) -> tuple[torch.nn.Module, str]:
    """Return the pretrained network with a new linear head for ten classes, and the name of the head."""
    import torch

    torch.manual_seed(seed)
    name, weights = job["workload"]["backbone"], job["workload"]["weights"]
    if name.startswith("timm:"):
        import timm

        network = timm.create_model(name.removeprefix("timm:"), pretrained=False)
        if weights == "default":
            network.load_state_dict(torch.load(job["weights_file"], weights_only=True))
        network.reset_classifier(10)
        return network, "classifier"
    import torchvision

    network = torchvision.models.get_model(name, weights=None)
    if name.startswith("vgg"):
        network.classifier = torch.nn.Linear(512 * 7 * 7, 10)
        return network, "classifier"
    network.fc = torch.nn.Linear(network.fc.in_features, 10)
    return network, "fc"


def thaw(network: torch.nn.Module, head: str, train_from: str) -> list[torch.nn.Parameter]:
    """Freeze everything but the head, and the modules from ``train_from`` on; return what is trained."""
    for parameter in network.parameters():
        parameter.requires_grad = False
    open_from = False
    for name, module in network.named_modules():
        open_from = open_from or name in (train_from, head)
        if open_from:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = True
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def build_optimizer(parameters: Iterable[torch.nn.Parameter], settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Return torch's optimizer of that name."""
    import torch

    given = {key: value for key, value in settings.items() if key != "name"}
    return torch.optim.Adam(parameters, **given) if settings["name"] == "adam" else torch.optim.SGD(parameters, **given)

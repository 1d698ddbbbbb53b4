"""The loss that is trained, and the plain one that is reported for validation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.quantities import format_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from frostline.study import Recipe

__all__ = ["Targets", "build_loss", "describe_divergence", "has_diverged", "score"]

HOPELESS = 100.0
"""An epoch's mean loss, in multiples of a uniform guess (ln K), above which training has diverged."""


def build_loss(recipe: Recipe, labels: NDArray[np.int64], classes: Sequence[str]) -> torch.nn.CrossEntropyLoss:
    """Return the cross-entropy of a recipe, with its label smoothing and class weights.

    ``balanced`` weighs a class by N / (K * its count) (King and Zeng, 2001), as scikit-learn does; a table of weights
    by class name leaves the classes it doesn't name at 1.
    """
    weight = None
    if recipe.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        weight = torch.tensor(len(labels) / (len(classes) * np.maximum(counts, 1)), dtype=torch.float32)
    elif recipe.class_weights != "none":
        weight = torch.tensor([float(recipe.class_weights.get(name, 1.0)) for name in classes])
    return torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=recipe.label_smoothing)


class Targets:
    """What the outputs of a head are compared with, as torch.nn.CrossEntropyLoss has it.

    Label smoothing mixes in a uniform distribution, a class weight multiplies the class's part, and a batch's loss is
    the sum over its images by the sum of the weights of their labels.
    """

    def __init__(self, loss: torch.nn.CrossEntropyLoss, n_classes: int, device: torch.device) -> None:
        weight = torch.ones(n_classes) if loss.weight is None else loss.weight.cpu()
        smooth = loss.label_smoothing
        distribution = torch.eye(n_classes) * (1 - smooth) + smooth / n_classes
        self._class_weights = weight.to(device)
        self._of_label = (weight[:, None] * distribution).to(device)  # a column for each label
        self._sums = self._of_label.sum(dim=0)

    def of(self, labels: torch.Tensor, sizes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the target of each image in batches of some sizes, [K, N], and the sum over its classes, [N]."""
        sums = torch.stack([part.sum() for part in torch.split(self._class_weights[labels], sizes)])
        counts = torch.tensor(sizes, device=labels.device)
        divisors = torch.repeat_interleave(sums, counts)
        return self._of_label[:, labels] / divisors, self._sums[labels] / divisors


def score(logits: torch.Tensor, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean cross-entropy, unweighted and unsmoothed, and the accuracy in [0, 1] of logits [N, K]."""
    target = torch.from_numpy(labels)
    loss = torch.nn.functional.cross_entropy(logits, target).item()
    accuracy = (logits.argmax(dim=1) == target).double().mean().item()
    return loss, accuracy


def has_diverged(loss: float, n_classes: int) -> bool:
    """Return whether an epoch's mean loss is not a number, infinite or hopeless."""
    return not math.isfinite(loss) or loss > HOPELESS * math.log(max(n_classes, 2))


def describe_divergence(epoch: int, loss: float, n_classes: int) -> str | None:
    """Return what to say of an epoch (1-based, over all phases) in which training diverged; None if it didn't."""
    return f"training diverged in epoch {epoch} (loss {format_loss(loss)})" if has_diverged(loss, n_classes) else None

"""Rows for training and evaluation: stored activations, or images decoded on the fly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.data import View, iterate_images, normalise
from frostline.execution._passes import open_features

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from frostline.data import Dataset, Preprocessing, Split
    from frostline.execution._context import Context
    from frostline.features import Features
    from frostline.plan import TrajectoryPlan
    from frostline.study import Recipe
    from frostline.training import Batch, Rows

__all__ = ["ImageRows", "StoredRows", "rows_of", "view_of_epoch"]


def view_of_epoch(recipe: Recipe, epoch: int) -> View | None:
    """Return the view of the training images in an epoch: e mod K of K stored views, or a fresh one."""
    if recipe.augmentation == "none":
        return None
    index = epoch if recipe.views == "fresh" else epoch % recipe.views
    return View(recipe.augmentation, recipe.seed, index)


class StoredRows:
    """Activations of one split, one set of features for each stored view, read in random batches."""

    def __init__(self, views: Sequence[Features], labels: NDArray[np.int64]) -> None:
        self._views, self._labels = views, labels

    @property
    def n(self) -> int:
        """The number of rows, N."""
        return len(self._labels)

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield the stored tensors, float32 [B, ...], and labels [B] of each batch of positions."""
        features = self._views[epoch % len(self._views)]
        for positions, arrays in zip(order, features.batches(order), strict=True):
            inputs = tuple(torch.from_numpy(array).to(device) for array in arrays)
            yield inputs, torch.from_numpy(self._labels[positions]).to(device)


class ImageRows:
    """Images of one split, decoded ahead of training; ``recipe`` augments them, None leaves them as they are."""

    def __init__(self, dataset: Dataset, split: Split, preprocessing: Preprocessing, recipe: Recipe | None) -> None:
        self._dataset, self._split, self._preprocessing, self._recipe = dataset, split, preprocessing, recipe

    @property
    def n(self) -> int:
        """The number of images, N."""
        return len(self._split.labels)

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield normalised images, float32 [B, 3, H, W], and labels [B] of each batch of positions."""
        view = None if self._recipe is None else view_of_epoch(self._recipe, epoch)
        for positions, images in iterate_images(self._dataset, self._split, order, self._preprocessing, view):
            inputs = normalise(torch.from_numpy(images).to(device), self._preprocessing)
            yield (inputs,), torch.from_numpy(self._split.labels[positions]).to(device)


def rows_of(context: Context, planned: TrajectoryPlan, recipe: Recipe, split_name: str) -> Rows:
    """Return a split's rows as they enter a trajectory: stored activations at its cut, or images."""
    split = context.dataset.split(split_name)
    if planned.mode == "cached":
        return StoredRows(open_features(context, recipe, planned.cut, planned.activations, split_name), split.labels)
    augmented = recipe if split_name == "train" else None
    return ImageRows(context.dataset, split, context.networks.of(recipe).preprocessing, augmented)

"""Rows for training and evaluation: stored activations, the same computed anew, or images decoded on the fly."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.data import View, iterate_images, normalise
from frostline.execution._passes import engine_request, open_features
from frostline.execution.events import Notice
from frostline.features import halve_rows, ready_engine, run_batches

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from frostline.data import Dataset, Preprocessing, Split
    from frostline.execution._context import Context
    from frostline.features import Features, ReadyEngine
    from frostline.plan import TrajectoryPlan
    from frostline.study import Recipe
    from frostline.training import Batch, Rows

__all__ = ["EngineRows", "ImageRows", "StoredRows", "rows_of", "view_of_epoch"]


def view_of_epoch(recipe: Recipe, epoch: int) -> View | None:
    """Return the view of the training images in an epoch: e mod K of K stored views, or a fresh one."""
    if recipe.augmentation == "none":
        return None
    index = epoch if recipe.views == "fresh" else epoch % recipe.views
    return View(recipe.augmentation, recipe.seed, index)


class StoredRows:
    """Activations of one split, one set of features for each stored view, read in random batches."""

    concurrent = True

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

    concurrent = True

    def __init__(self, dataset: Dataset, split: Split, preprocessing: Preprocessing, recipe: Recipe | None) -> None:
        self._dataset, self._split, self._preprocessing, self._recipe = dataset, split, preprocessing, recipe

    @property
    def n(self) -> int:
        """The number of images, N."""
        return len(self._split.labels)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Their labels, int64 [N]."""
        return self._split.labels

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield normalised images, float32 [B, 3, H, W], and labels [B] of each batch of positions."""
        for positions, images in self.decoded(order, epoch):
            inputs = normalise(torch.from_numpy(images).to(device), self._preprocessing)
            yield (inputs,), torch.from_numpy(self.labels[positions]).to(device)

    def decoded(
        self, order: Sequence[NDArray[np.int64]], epoch: int
    ) -> Generator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Yield positions [B] and images, uint8 [B, 3, H, W], of each batch."""
        view = None if self._recipe is None else view_of_epoch(self._recipe, epoch)
        yield from iterate_images(self._dataset, self._split, order, self._preprocessing, view)


class EngineRows:
    """Activations of one split, computed whenever they are read: equal to stored ones, as the same engine makes them.

    Args:
        images: the split's images; its recipe augments them.
        ready: what computes them, ``size`` images at a time.
        half: what they are of, where they are rounded as rows stored in float16 are.
    """

    concurrent = False

    def __init__(self, images: ImageRows, ready: ReadyEngine, size: int, half: str | None) -> None:
        self._images, self._ready, self._size, self._half = images, ready, size, half

    @property
    def n(self) -> int:
        """The number of images, N."""
        return self._images.n

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield the tensors that cross the cut, float32 [B, ...], and labels [B] of each batch of positions."""
        images = self._images.decoded(order, epoch)
        rows = run_batches(self._ready, (pixels for _, pixels in images), self._size)
        with closing(images), closing(rows):
            for positions, arrays in zip(order, rows, strict=True):
                if self._half is not None:
                    arrays = tuple(halve_rows(array, self._half).astype(np.float32) for array in arrays)
                inputs = tuple(torch.from_numpy(array).to(device) for array in arrays)
                yield inputs, torch.from_numpy(self._images.labels[positions]).to(device)


def rows_of(context: Context, planned: TrajectoryPlan, recipe: Recipe, split_name: str) -> Rows:
    """Return a split's rows as they enter a trajectory: activations at its cut, stored or computed anew, or images."""
    dataset, split = context.dataset, context.dataset.split(split_name)
    if planned.mode == "cached":
        return StoredRows(open_features(context, recipe, planned.cut, planned.activations, split_name), split.labels)
    preprocessing = context.networks.of(recipe).preprocessing
    images = ImageRows(dataset, split, preprocessing, recipe if split_name == "train" else None)
    if planned.cut == "input":
        return images
    request = engine_request(context, recipe, (planned.cut,))
    ready = ready_engine(context.store.engines, request, lambda text: context.emit(Notice(text)))
    rounded = planned.activations == "float16" and not context.plain  # the plain loop rounds nothing
    half = f"{recipe.backbone} at {planned.cut}" if rounded else None
    return EngineRows(images, ready, request.key.batch_size, half)

"""A trained arm as a network that predicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.artifacts._evaluating import evaluate_rows
from frostline.data import normalise, read_images
from frostline.features import EngineKey, EngineRequest, Engines, computing, halve_rows, ready_engine, run_batches
from frostline.plan import pass_batch_size, precision_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from frostline.artifacts._description import ArmDescription, Numerics
    from frostline.artifacts._predictions import Predictions
    from frostline.data import ImageLike, Preprocessing
    from frostline.models import Chain
    from frostline.study import Recipe
    from frostline.training import Batch

__all__ = ["TrainedArm"]

IMAGES_AT_ONCE = 1024
"""About how many images are held in memory at once, as pixels and as activations."""


@dataclass(frozen=True, eq=False)
class TrainedArm:
    """An arm of a finished run, ready to predict.

    Example::

        arm = frostline.load_arm("starter", "lite0 head 3ep")
        logits = arm.logits(["cat.jpg", "dog.jpg"])  # [2, K]
        arm.classes[logits[0].argmax()]

    Attributes:
        folder: where it lies.
        description: what the folder says of it.
        validation: what it made of the validation images, as stored.
        test: what it made of the test images; None where it wasn't judged.
        device: where it computes.
    """

    folder: Path
    description: ArmDescription
    validation: Predictions
    test: Predictions | None
    device: torch.device
    _chain: Chain

    @property
    def name(self) -> str:
        """The arm's name."""
        return self.description.name

    @property
    def recipe(self) -> Recipe:
        """What it was trained by."""
        return self.description.recipe

    @property
    def classes(self) -> tuple[str, ...]:
        """K class names, in the order of the logits."""
        return self.description.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """What ``network`` expects of images."""
        return self.description.preprocessing

    @property
    def numerics(self) -> Numerics:
        """How the stored logits were computed."""
        return self.description.numerics

    @property
    def network(self) -> nn.Module:
        """The whole network in eval mode: normalised images, float32 [B, 3, S, S], to logits [B, K].

        It equals ``logits`` but for rounding, as that computes with the engine and in the precision of the run.
        """
        return self._chain.model

    def logits(self, images: Sequence[ImageLike]) -> torch.Tensor:
        """Return what the network makes of images, computed as in the run.

        Given the images of a split in order, on the same kind of device with the same versions, these are its stored
        logits bit for bit.

        Args:
            images: N files, Pillow images or arrays uint8 [H, W, 3] (RGB).

        Returns:
            float32 [N, K] on the CPU.

        Raises:
            DataError: an image can't be read; names it.
        """
        size = self.recipe.batch_size
        chunk = size * -(-IMAGES_AT_ONCE // size)  # whole batches, so that they are those of the run
        parts = [torch.empty(0, len(self.classes))]
        with computing(precision_on(self.numerics.precision, self.device.type), self.device.type):
            for start in range(0, len(images), chunk):
                rows = self._rows(read_images(images[start : start + chunk], self.preprocessing))
                parts.append(evaluate_rows(self._chain, self.recipe, self.numerics, rows, self.device))
        return torch.cat(parts)

    @cached_property
    def _engines(self) -> Engines:
        return Engines()

    def _rows(self, images: NDArray[np.uint8]) -> _HeldRows:
        """Return what enters the trained part: images, uint8 [B, 3, S, S], normalised or taken to its cut."""
        numerics, preprocessing = self.numerics, self.preprocessing
        if numerics.cut == "input":
            return _HeldRows((normalise(torch.from_numpy(images), preprocessing),))
        # A kind of device that the arm wasn't trained on has an engine of its own.
        engine = numerics.engine if self.device.type == numerics.device else "torch"
        key = EngineKey(
            self.recipe.backbone,
            self.description.weights.digest,
            preprocessing,
            (numerics.cut,),
            pass_batch_size(self.device.type),
            (engine,),
            str(self.device),
            numerics.layout,
            precision_on(numerics.precision, self.device.type),
        )
        request = EngineRequest(
            key,
            lambda: self._chain.prefix((numerics.cut,)),
            lambda batch: normalise(batch, preprocessing),
            self._chain.crossing(numerics.cut),
            lambda: images[: key.batch_size],
        )
        ready = ready_engine(self._engines, request, lambda text: None)
        (rows,) = run_batches(ready, [images], key.batch_size)
        if numerics.activations == "float16":
            rows = tuple(halve_rows(row, self.name).astype(np.float32) for row in rows)
        return _HeldRows(tuple(torch.from_numpy(row) for row in rows))


class _HeldRows:
    """Rows in memory, whose labels nobody knows."""

    concurrent = False

    def __init__(self, tensors: tuple[torch.Tensor, ...]) -> None:
        self._tensors = tensors

    @property
    def n(self) -> int:
        """The number of rows, N."""
        return len(self._tensors[0])

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield the tensors [B, ...] and no labels of each batch of positions."""
        for positions in order:
            inputs = tuple(tensor[torch.from_numpy(positions)].to(device) for tensor in self._tensors)
            yield inputs, torch.zeros(len(positions), dtype=torch.long, device=device)

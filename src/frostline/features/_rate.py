"""How fast an engine runs a prefix here, for the plan's predictions."""

from __future__ import annotations

import time
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from frostline.features._pass import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch import nn

__all__ = ["engine_seconds"]

LEAST_SECONDS = 0.5
"""How long to measure at least: the first batches of a stream run faster or slower than those after them."""


def engine_seconds(
    prefix: nn.Module,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    shapes: Sequence[tuple[int, ...]],
    image_size: int,
    device: str = "cpu",
) -> tuple[str, float, float]:
    """Return the engine that a pass through a prefix would choose, its seconds to compile, and those for one image.

    ``shapes`` are those of one row's tensors; the batch is that of a pass.
    """
    from frostline.features._engine import choose_engine

    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (BATCH_SIZE, 3, image_size, image_size), np.uint8)
    names = ["openvino", "torch"] if device == "cpu" else ["torch"]
    begun = time.perf_counter()
    ready = choose_engine(
        names,
        device,
        prefix,
        normalise,
        range(len(shapes)),
        shapes,
        n_tensors=len(shapes),
        images=images,
        notice=lambda text: None,
    )
    setup = time.perf_counter() - begun
    n_batches, started = 2, time.perf_counter()
    while True:
        for _ in ready.run(repeat(images, n_batches)):
            pass
        seconds = time.perf_counter() - started
        if seconds >= LEAST_SECONDS:
            return ready.engine.identity, setup, seconds / (n_batches * BATCH_SIZE)
        n_batches, started = n_batches * 4, time.perf_counter()

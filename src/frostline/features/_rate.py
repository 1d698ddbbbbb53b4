"""How fast an engine runs a prefix here, for the plan's predictions, and in what batches it does best."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from frostline.features._engine import choose_engine
from frostline.features._engines import EngineKey, filled_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from frostline.features._engine import ReadyEngine
    from frostline.features._engines import Engines

__all__ = ["EngineRate", "measure_engine", "measure_engines"]

LEAST_SECONDS = 0.5
"""How long to measure at least: the first batches of a stream run faster or slower than those after them."""

CANDIDATES = ((8, False), (4, False), (16, False), (32, False), (8, True), (16, True), (32, True))
"""Images at a time, and whether all cores share one batch."""


@dataclass(frozen=True)
class EngineRate:
    """What was measured: the engine, seconds to compile a prefix and check it, and for one image; in which batches."""

    identity: str
    setup: float
    seconds: float
    batch_size: int
    one_stream: bool


def measure_engine(
    engines: Engines,
    key: EngineKey,
    prefix: nn.Module,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    shapes: Sequence[tuple[int, ...]],
    images: NDArray[np.uint8],
    timed: Callable[[Callable[[], float]], float] = lambda piece: piece(),
) -> EngineRate:
    """Measure the engine that a pass would choose, and keep it for that pass.

    Args:
        engines: where it is kept.
        key: what it is kept as: that of the pass.
        prefix: float32 images to the flat tuple of the tensors at the key's cuts.
        normalise: uint8 images to float32 ones.
        shapes: those of one row's tensors.
        images: uint8 [B, 3, H, W], the first of the pass.
        timed: what carries out the timing, once the engine is compiled, and may do so again where it was disturbed.
    """
    batch = filled_up(images[: key.batch_size], key.batch_size)

    def make() -> ReadyEngine:
        return choose_engine(
            key.names,
            key.device,
            prefix,
            normalise,
            range(len(shapes)),
            shapes,
            n_tensors=len(shapes),
            images=batch,
            notice=lambda text: None,
            one_stream=key.one_stream,
        )

    begun = time.perf_counter()
    ready = engines.ready(key, make)
    setup = time.perf_counter() - begun
    seconds = timed(lambda: _batch_seconds(ready, batch))
    return EngineRate(ready.engine.identity, setup, seconds / key.batch_size, key.batch_size, key.one_stream)


def _batch_seconds(ready: ReadyEngine, batch: NDArray[np.uint8]) -> float:
    n_batches, started = 2, time.perf_counter()
    while True:
        for _ in ready.run(repeat(batch, n_batches)):
            pass
        seconds = time.perf_counter() - started
        if seconds >= LEAST_SECONDS:
            return seconds / n_batches
        n_batches, started = n_batches * 4, time.perf_counter()


def measure_engines(
    engines: Engines,
    key: EngineKey,
    prefix: nn.Module,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    shapes: Sequence[tuple[int, ...]],
    images: NDArray[np.uint8],
    timed: Callable[[Callable[[], float]], float] = lambda piece: piece(),
) -> EngineRate:
    """Measure several ways to batch images, and return the fastest; see ``measure_engine``."""
    measured = [
        measure_engine(
            engines, key._replace(batch_size=size, one_stream=one_stream), prefix, normalise, shapes, images, timed
        )
        for size, one_stream in CANDIDATES
    ]
    return min(measured, key=lambda rate: rate.seconds)

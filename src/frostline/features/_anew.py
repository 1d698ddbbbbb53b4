"""Rows computed anew for whoever reads them, by the engine of a pass and so with its bits, instead of stored."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from frostline.features._engine import choose_engine
from frostline.features._engines import filled_up

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from frostline.features._engine import ReadyEngine
    from frostline.features._engines import EngineKey, Engines

__all__ = ["EngineRequest", "ready_engine", "run_batches"]


@dataclass(frozen=True)
class EngineRequest:
    """What an engine is to compute, and what it takes to make it.

    Attributes:
        key: everything that decides its rows; its batch size is that of each run.
        make_prefix: float32 images [B, 3, H, W] to the flat tuple of the tensors at the key's cuts, in eval mode.
        normalise: uint8 images to float32 ones.
        shapes: those of one row's tensors.
        examples: the images that it is checked on, uint8 [B, 3, H, W].
    """

    key: EngineKey
    make_prefix: Callable[[], nn.Module]
    normalise: Callable[[torch.Tensor], torch.Tensor]
    shapes: Sequence[tuple[int, ...]]
    examples: Callable[[], NDArray[np.uint8]]


def ready_engine(engines: Engines, request: EngineRequest, notice: Callable[[str], None]) -> ReadyEngine:
    """Return an engine that was compiled and checked, or is now."""
    key = request.key

    def make() -> ReadyEngine:
        return choose_engine(
            key.names,
            key.device,
            request.make_prefix(),
            request.normalise,
            range(len(request.shapes)),
            request.shapes,
            n_tensors=len(request.shapes),
            images=filled_up(request.examples()[: key.batch_size], key.batch_size),
            notice=notice,
            layout=key.layout,
            precision=key.precision,
        )

    return engines.ready(key, make)


def run_batches(
    ready: ReadyEngine, batches: Iterable[NDArray[np.uint8]], size: int
) -> Generator[tuple[NDArray[np.float32], ...]]:
    """Yield the rows [B, ...] of each batch of images, uint8 [B, 3, H, W] of any B, run ``size`` images at a time."""
    lengths: list[int] = []

    def parts() -> Iterator[NDArray[np.uint8]]:
        for images in batches:
            lengths.append(len(images))
            for start in range(0, len(images), size):
                yield filled_up(images[start : start + size], size)

    with closing(ready.run(parts())) as results:
        gathered: list[tuple[NDArray[np.float32], ...]] = []
        for outputs in results:
            gathered.append(outputs)
            if len(gathered) * size >= lengths[0]:
                n = lengths.pop(0)
                yield tuple(np.concatenate(tensors)[:n] for tensors in zip(*gathered, strict=True))
                gathered = []

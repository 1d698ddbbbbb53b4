"""Engines that are ready, kept for whoever needs the same prefix again: measuring, splits, views, the test images."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from frostline.data import Preprocessing
    from frostline.features._engine import ReadyEngine
    from frostline.plan import Layout, Precision

__all__ = ["EngineKey", "Engines", "filled_up"]

KEPT = 3
"""Compiled prefixes held at once: augmented and plain images, or the test split, may go to other cuts in turn."""


class EngineKey(NamedTuple):
    """Everything that decides what an engine computes, and how."""

    backbone: str
    weights_digest: str
    preprocessing: Preprocessing
    cuts: tuple[str, ...]
    batch_size: int
    names: tuple[str, ...]
    device: str
    layout: Layout
    precision: Precision = "ieee"


class Engines:
    """A few compiled prefixes, the latest used, and the seconds that compiling and checking all of them took."""

    def __init__(self) -> None:
        self._kept: OrderedDict[EngineKey, ReadyEngine] = OrderedDict()
        self.compile_seconds = 0.0

    def ready(self, key: EngineKey, make: Callable[[], ReadyEngine]) -> ReadyEngine:
        """Return the engine of a key, compiled and checked once."""
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            started = time.perf_counter()
            self._kept[key] = make()
            self.compile_seconds += time.perf_counter() - started
        self._kept.move_to_end(key)
        return self._kept[key]


def filled_up(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a batch of images of a size, filled up by repeating the last one: engines want one shape."""
    padding = [images[-1:]] * (size - len(images))
    return np.ascontiguousarray(np.concatenate([images, *padding]) if padding else images)

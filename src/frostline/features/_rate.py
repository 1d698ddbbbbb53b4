"""How fast an engine runs a prefix here, for the plan's predictions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from frostline.features._anew import EngineRequest, ready_engine
from frostline.features._engines import filled_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from frostline.features._engine import ReadyEngine
    from frostline.features._engines import Engines

__all__ = ["EngineRate", "measure_engine"]

LEAST_SECONDS = 0.5
"""How long to measure at least: the first batches of a stream run faster or slower than those after them."""


@dataclass(frozen=True)
class EngineRate:
    """What was measured: the engine, and seconds to compile a prefix and check it, and for one image."""

    identity: str
    setup: float
    seconds: float


def measure_engine(
    engines: Engines,
    request: EngineRequest,
    timed: Callable[[Callable[[], float]], float] = lambda piece: piece(),
) -> EngineRate:
    """Measure the engine that a pass would choose, and keep it for that pass.

    Args:
        engines: where it is kept.
        request: what is asked of it, as by the pass.
        timed: what carries out the timing, once the engine is compiled, and may do so again where it was disturbed.
    """
    begun = time.perf_counter()
    ready = ready_engine(engines, request, lambda text: None)
    setup = time.perf_counter() - begun
    batch = filled_up(request.examples()[: request.key.batch_size], request.key.batch_size)
    seconds = timed(lambda: _batch_seconds(ready, batch))
    return EngineRate(ready.engine.identity, setup, seconds / request.key.batch_size)


def _batch_seconds(ready: ReadyEngine, batch: NDArray[np.uint8]) -> float:
    n_batches, started = 2, time.perf_counter()
    while True:
        for _ in ready.run(repeat(batch, n_batches)):
            pass
        seconds = time.perf_counter() - started
        if seconds >= LEAST_SECONDS:
            return seconds / n_batches
        n_batches, started = n_batches * 4, time.perf_counter()

"""The inside of a pass: batches through an engine to the disk, decoding, computing and writing at the same time."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import FeatureError
from frostline.features._ahead import iterate_ahead
from frostline.features._disk import disk_errors
from frostline.features._engines import EngineKey, filled_up
from frostline.features._job import restart
from frostline.features._spec import INPUT_CUT
from frostline.features._writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from frostline.features._engine import ReadyEngine
    from frostline.features._job import Job
    from frostline.features._store import FeatureStore
    from frostline.plan import Layout

__all__ = ["IMAGES_ONLY", "Runner"]

BATCHES_DECODED_AHEAD = 3

IMAGES_ONLY = "none"
"""The engine on record where images are stored as they are."""


@dataclass(frozen=True)
class Work:
    """What a pass was asked to do, beyond where its rows go: see ``run_pass``."""

    make_prefix: Callable[[], nn.Module]
    load: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    normalise: Callable[[torch.Tensor], torch.Tensor]
    examples: Callable[[], NDArray[np.uint8]]
    n: int
    batch_size: int
    engine: str
    device: str
    layout: Layout
    apart: Collection[str]
    progress: Callable[[int, int], None]
    say: Callable[[str], None]


class Runner:
    """Makes what is missing of some jobs."""

    def __init__(self, store: FeatureStore, jobs: Sequence[Job], work: Work) -> None:
        self._store, self._jobs, self._work = store, jobs, work
        self._size = work.batch_size

    def run(self) -> int:
        """Compute and store what is missing; returns how many images went through the network, or were decoded."""
        together: dict[str, list[Job]] = defaultdict(list)
        for job in self._jobs:
            if not job.done:
                together[job.spec.cut if job.spec.cut in self._work.apart else ""].append(job)
        return max(
            self._run_together(jobs, turn, len(together)) for turn, (_, jobs) in enumerate(sorted(together.items()))
        )

    def _run_together(self, jobs: Sequence[Job], turn: int, n_turns: int) -> int:
        ready = self._prepare(jobs)
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        missing = np.flatnonzero(np.any([job.target.missing for job in jobs], axis=0))
        batches = [missing[start : start + self._size] for start in range(0, len(missing), self._size)]
        n_left = len(missing)
        batch_bytes = self._size * sum(sum(job.target.row_format.row_bytes) for job in jobs)
        images = iterate_ahead((self._images(positions) for positions in batches), BATCHES_DECODED_AHEAD)
        done = self._rows_of(images, ready)
        writing = Writing(self._store.path, [job.target for job in jobs], batch_bytes)
        # Closed here and not when collected: an error must not leave threads that decode on.
        with closing(images), closing(done), writing:
            for positions, (pixels, outputs) in zip(batches, done, strict=True):
                rows = len(positions)
                by_job: dict[int, Sequence[NDArray[Any]]] = {}
                start = 0
                for job in computed:
                    stop = start + len(job.target.row_format.shapes)
                    by_job[id(job)] = [tensor[:rows] for tensor in outputs[start:stop]]
                    start = stop
                writing.put(positions, [by_job.get(id(job), [pixels[:rows]]) for job in jobs])
                n_left -= rows
                self._work.progress((self._work.n * (turn + 1) - n_left) // n_turns, self._work.n)
        return len(missing)

    def _prepare(self, jobs: Sequence[Job]) -> ReadyEngine | None:
        """Choose the engine, and begin again whatever was begun with another one."""
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        ready = self._ready(computed) if computed and self._work.n else None
        for job in jobs:
            identity = ready.identity if ready is not None and job in computed else IMAGES_ONLY
            if job.engine == identity:
                continue
            if job.engine is not None:
                self._work.say(
                    f"activations of {job.target.name} were made by {job.engine}, now it is {identity}: made again, "
                    "so that all rows come from one engine"
                )
            with disk_errors(self._store.path):
                restart(job, replace(job.target.row_format, engine=identity))
        return ready

    def _ready(self, jobs: Sequence[Job]) -> ReadyEngine:
        names = self._names(jobs)
        first = jobs[0].spec
        cuts = tuple(job.spec.cut for job in jobs)
        key = EngineKey(
            first.backbone,
            first.weights_digest,
            first.preprocessing,
            cuts,
            self._size,
            tuple(names),
            self._work.device,
            self._work.layout,
            first.precision,
        )

        def make() -> ReadyEngine:
            from frostline.features._engine import choose_engine

            start = 0
            wanted: list[int] = []
            shapes: list[tuple[int, ...]] = []
            for job in self._jobs:
                if job.spec.cut == INPUT_CUT:
                    continue
                stop = start + len(job.target.row_format.shapes)
                if job in jobs:
                    wanted.extend(range(start, stop))
                    shapes.extend(job.target.row_format.shapes)
                start = stop
            return choose_engine(
                names,
                self._work.device,
                self._work.make_prefix(),
                self._work.normalise,
                wanted,
                shapes,
                n_tensors=start,
                images=filled_up(self._work.examples()[: self._size], self._size),
                notice=self._work.say,
                layout=self._work.layout,
                precision=first.precision,
            )

        return self._store.engines.ready(key, make)

    def _names(self, jobs: Sequence[Job]) -> list[str]:
        if self._work.engine != "auto":
            return [self._work.engine]
        exact = all(job.spec.precision == "ieee" for job in jobs)  # as OpenVINO computes
        names = ["openvino", "torch"] if self._work.device == "cpu" and exact else ["torch"]
        begun = {job.engine.split()[0] for job in jobs if job.engine}
        return sorted(names, key=lambda name: name not in begun)

    def _images(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return a batch of images, the last one filled up by repeating its last image: engines want one shape."""
        images = self._work.load(positions)
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(positions):
            raise FeatureError(
                f"images must be uint8 [{len(positions)}, 3, H, W], got {images.dtype} {list(images.shape)}"
            )
        return filled_up(images, self._size)

    def _rows_of(
        self, images: Iterator[NDArray[np.uint8]], ready: ReadyEngine | None
    ) -> Generator[tuple[NDArray[np.uint8], Sequence[NDArray[Any]]]]:
        """Yield each batch of images with the tensors computed from it."""
        if ready is None:
            for pixels in images:
                yield pixels, ()
            return
        fed: list[NDArray[np.uint8]] = []

        def feed() -> Iterator[NDArray[np.uint8]]:
            for pixels in images:
                fed.append(pixels)
                yield pixels

        with closing(ready.run(feed())) as results:
            for outputs in results:
                yield fed.pop(0), outputs

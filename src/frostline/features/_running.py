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
    n: int
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

    def run(self) -> None:
        """Compute and store what is missing."""
        # Rows that are there decide the batches of the rest, so cuts begun with other batch sizes run separately.
        together: dict[tuple[int, str], list[Job]] = defaultdict(list)
        for job in self._jobs:
            if not job.done:
                own = job.spec.cut if job.spec.cut in self._work.apart else ""
                together[job.layout.batch_size, own].append(job)
        for turn, (_, jobs) in enumerate(sorted(together.items())):
            self._run_together(jobs, turn, len(together))

    def _run_together(self, jobs: Sequence[Job], turn: int, n_turns: int) -> None:
        ready = self._prepare(jobs)
        batches = sorted(set().union(*(job.target.batches() for job in jobs)))
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        size = jobs[0].layout.batch_size
        n_left = sum(min(size, self._work.n - batch * size) for batch in batches)
        batch_bytes = size * sum(sum(job.layout.row_bytes) for job in jobs)
        images = iterate_ahead((self._images(batch, size) for batch in batches), BATCHES_DECODED_AHEAD)
        done = self._rows_of(images, ready)
        writing = Writing(self._store.path, [job.target for job in jobs], batch_bytes)
        # Closed here and not when collected: an error must not leave threads that decode on.
        with closing(images), closing(done), writing:
            for batch, (pixels, outputs) in zip(batches, done, strict=True):
                rows = min(size, self._work.n - batch * size)
                by_job: dict[int, Sequence[NDArray[Any]]] = {}
                start = 0
                for job in computed:
                    stop = start + len(job.layout.shapes)
                    by_job[id(job)] = [tensor[:rows] for tensor in outputs[start:stop]]
                    start = stop
                writing.put(batch, [by_job.get(id(job), [pixels[:rows]]) for job in jobs])
                n_left -= rows
                self._work.progress((self._work.n * (turn + 1) - n_left) // n_turns, self._work.n)
        for job in jobs:
            with disk_errors(self._store.path):
                job.layout.write(job.target.folder, job.spec.describe(), complete=True)

    def _prepare(self, jobs: Sequence[Job]) -> ReadyEngine | None:
        """Choose the engine, and begin again whatever was begun with another one."""
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        ready = self._ready(computed) if computed and self._work.n else None
        for job in jobs:
            identity = ready.engine.identity if ready is not None and job in computed else IMAGES_ONLY
            if job.engine == identity:
                continue
            if job.engine is not None and len(job.target.shards) < job.layout.n_shards:
                self._work.say(
                    f"activations of {job.target.name} were begun with {job.engine}, now it is {identity}: made again, "
                    "so that all rows come from one engine"
                )
            job.target.shards = set(range(job.layout.n_shards))
            job.target.layout = replace(job.layout, engine=identity)
            with disk_errors(self._store.path):
                job.target.folder.mkdir(parents=True, exist_ok=True)
                for stale in job.target.folder.iterdir():
                    stale.unlink()
                job.layout.write(job.target.folder, job.spec.describe(), complete=False)
        return ready

    def _ready(self, jobs: Sequence[Job]) -> ReadyEngine:
        names = self._names(jobs)
        first = jobs[0].spec
        size = jobs[0].layout.batch_size
        cuts = tuple(job.spec.cut for job in jobs)
        key = EngineKey(
            first.backbone,
            first.weights_digest,
            first.preprocessing,
            cuts,
            size,
            tuple(names),
            self._work.device,
            self._work.layout,
        )

        def make() -> ReadyEngine:
            from frostline.features._engine import choose_engine

            start = 0
            wanted: list[int] = []
            shapes: list[tuple[int, ...]] = []
            for job in self._jobs:
                if job.spec.cut == INPUT_CUT:
                    continue
                stop = start + len(job.layout.shapes)
                if job in jobs:
                    wanted.extend(range(start, stop))
                    shapes.extend(job.layout.shapes)
                start = stop
            batch = min(min(job.target.batches(), default=0) for job in jobs)
            return choose_engine(
                names,
                self._work.device,
                self._work.make_prefix(),
                self._work.normalise,
                wanted,
                shapes,
                n_tensors=start,
                images=self._images(batch, size),
                notice=self._work.say,
                layout=self._work.layout,
            )

        return self._store.engines.ready(key, make)

    def _names(self, jobs: Sequence[Job]) -> list[str]:
        if self._work.engine != "auto":
            return [self._work.engine]
        names = ["openvino", "torch"] if self._work.device == "cpu" else ["torch"]
        begun = {job.engine.split()[0] for job in jobs if job.engine}
        return sorted(names, key=lambda name: name not in begun)

    def _images(self, batch: int, size: int) -> NDArray[np.uint8]:
        """Return a batch of images, the last one filled up by repeating its last image: engines want one shape."""
        positions = np.arange(batch * size, min((batch + 1) * size, self._work.n), dtype=np.int64)
        images = self._work.load(positions)
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(positions):
            raise FeatureError(
                f"images must be uint8 [{len(positions)}, 3, H, W], got {images.dtype} {list(images.shape)}"
            )
        return filled_up(images, size)

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

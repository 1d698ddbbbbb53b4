"""A feature pass: one run of a prefix over the images that stores the rows of one or more cuts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from frostline.errors import FeatureError
from frostline.features._ahead import iterate_ahead
from frostline.features._disk import check_room, disk_errors, format_bytes
from frostline.features._engine import ENGINES, choose_engine
from frostline.features._layout import META, Layout
from frostline.features._spec import INPUT_CUT
from frostline.features._writing import Target, Writing

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from frostline.features._engine import ReadyEngine
    from frostline.features._spec import FeatureSpec
    from frostline.features._store import FeatureStore

__all__ = ["PassReport", "run_pass"]

BATCH_SIZE = 16
"""Images a batch: from 8 to 32 measured alike on OpenVINO; fixed, because resumed batches must be the same ones."""

BATCHES_DECODED_AHEAD = 3

IMAGES_ONLY = "none"
"""The engine on record where images are stored as they are."""

Shapes: TypeAlias = Sequence[Sequence[int]]


@dataclass(frozen=True)
class PassReport:
    """What a pass did.

    Attributes:
        seconds: wall time, waiting for another process included.
        n_bytes: bytes of all rows asked for, on disk.
        engine: what made the rows, e.g. ``openvino 2026.4.1 cpu``; ``none`` for images stored as they are.
        reused: whether all rows were there already.
        repaired: what was found damaged and made again, one line a shard.
    """

    seconds: float
    n_bytes: int
    engine: str
    reused: bool
    repaired: tuple[str, ...]


@dataclass
class _Job:
    """One specification: its target, the rows to make, and whose engine made those that are there."""

    spec: FeatureSpec
    target: Target
    engine: str | None

    @property
    def layout(self) -> Layout:
        return self.target.layout


def run_pass(
    store: FeatureStore,
    specs: Sequence[FeatureSpec],
    make_prefix: Callable[[], nn.Module],
    shapes: Sequence[Shapes],
    load: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    normalise: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    engine: str = "auto",
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> PassReport:
    """Make sure that the rows of every specification are stored and intact, computing only what isn't there.

    A pass that was interrupted goes on from its last whole shard; damaged shards are made again, and ``notice`` says
    so. Either way the same batches run through the same engine, so the rows are bit for bit those of a pass in one go.
    Of several processes that ask for the same rows, one makes them and the others wait.

    Args:
        store: where rows are kept.
        specs: the rows wanted, of the same images, view and backbone, at one or more cuts in execution order.
        make_prefix: called once, when there is something to compute: a module in eval mode from float32 images
            [B, 3, H, W] to the flat tuple of the tensors [B, ...] that cross each cut but ``input``, in order.
        shapes: for each specification, the shapes of one row's tensors; ``((3, H, W),)`` for ``input``.
        load: positions, int64 [B], to images, uint8 [B, 3, H, W].
        normalise: uint8 images to float32 ones; part of what the engine compiles.
        n: number of images, N; none is allowed.
        engine: ``openvino``, ``torch``, or ``auto``: OpenVINO on the CPU, torch on CUDA and MPS.
        batch_size: images in one run of the prefix, for rows of which none are stored yet.
        device: ``cpu``, ``cuda`` or ``mps``.
        progress: told how many of N images are done, from the calling thread.
        notice: told what the user should know.

    Raises:
        FeatureError: the prefix, images or specifications don't fit together, or float16 can't hold the activations.
        DiskFullError: no room or no permission; what was stored is kept.
    """
    started = time.monotonic()
    say = notice or _ignore
    _check_arguments(specs, shapes, engine, batch_size)
    row_shapes = [tuple(tuple(int(size) for size in shape) for shape in of_cut) for of_cut in shapes]
    jobs = [_job(store, spec, n, of_cut, batch_size) for spec, of_cut in zip(specs, row_shapes, strict=True)]
    repaired: list[str] = []
    reused = not _unfinished(jobs)
    if not reused:
        # Asked again under the lock: another process may have made them in the meantime.
        name = specs[0].backbone
        with store.lock(specs, lambda: say(f"another process is making these features of {name}: waiting for it")):
            jobs = [_job(store, spec, n, of_cut, batch_size) for spec, of_cut in zip(specs, row_shapes, strict=True)]
            reused = not _unfinished(jobs)
            if not reused:
                repaired = _announce(store, jobs, say)
                _make_room(store, jobs, say)
                runner = _Runner(store, jobs, make_prefix, load, normalise, n, engine, device, progress, say)
                runner.run()
    engines = sorted({job.layout.engine for job in jobs} - {IMAGES_ONLY}) or [IMAGES_ONLY]
    n_bytes = sum(job.layout.n_bytes for job in jobs)
    return PassReport(time.monotonic() - started, n_bytes, ", ".join(engines), reused, tuple(repaired))


def _ignore(text: str) -> None:
    pass


def _check_arguments(specs: Sequence[FeatureSpec], shapes: Sequence[Shapes], engine: str, batch_size: int) -> None:
    if not specs or len(specs) != len(shapes):
        raise FeatureError(f"a pass needs one list of shapes for each cut: {len(specs)} cuts, {len(shapes)} lists")
    if engine not in ("auto", *ENGINES):
        raise FeatureError(f'engine "{engine}" is unknown: choose auto, {", ".join(ENGINES)}')
    if batch_size < 1:
        raise FeatureError(f"batch_size = {batch_size}: must be at least 1")
    sources = {(spec.images, spec.preprocessing, spec.view) for spec in specs}
    networks = {(spec.backbone, spec.weights_digest) for spec in specs if spec.cut != INPUT_CUT}
    if len(sources) > 1 or len(networks) > 1:
        raise FeatureError("one pass is over one set of images, in one view, through one network")
    if len({spec.key for spec in specs}) < len(specs):
        raise FeatureError(f"a pass stores each cut once, got {[spec.cut for spec in specs]}")


def _job(store: FeatureStore, spec: FeatureSpec, n: int, shapes: tuple[tuple[int, ...], ...], batch_size: int) -> _Job:
    folder = store.folder(spec)
    name = f"{spec.backbone} at {spec.cut}"
    layout = Layout.read(folder)
    if layout is None or (layout.n, layout.dtype, layout.shapes) != (n, spec.dtype, shapes):
        fresh = Layout.plan(n, spec.dtype, shapes, batch_size, "")
        return _Job(spec, Target(name, folder, fresh, set(range(fresh.n_shards))), None)
    return _Job(spec, Target(name, folder, layout, set(store.faults(spec, layout))), layout.engine)


def _unfinished(jobs: Sequence[_Job]) -> bool:
    return any(job.target.shards or job.engine is None for job in jobs)


def _announce(store: FeatureStore, jobs: Sequence[_Job], say: Callable[[str], None]) -> list[str]:
    """Say what is made again, and what is gone on from; returns the damaged shards in words."""
    repaired = []
    for job in jobs:
        if job.engine is None:
            continue
        missing = job.target.shards
        last_present = max(set(range(job.layout.n_shards)) - missing, default=-1)
        complete = _is_complete(job)
        for shard, fault in store.faults(job.spec, job.layout).items():
            if fault == "absent":
                # Shards are written in order, so one that is absent before others was there once.
                if not complete and shard > last_present:
                    continue
                fault = "its record is missing"
            repaired.append(f"{job.target.name}, shard {shard}: {fault}")
            say(f"stored features of {job.target.name}, shard {shard} of {job.layout.n_shards}: {fault}; made again")
        if not complete and last_present >= 0:
            there = job.layout.n - sum(job.layout.rows(shard) for shard in missing)
            say(f"features of {job.target.name}: going on from {there} of {job.layout.n} rows that are there already")
    return repaired


def _is_complete(job: _Job) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((job.target.folder / META).read_bytes()).get("complete"))
    return False


def _make_room(store: FeatureStore, jobs: Sequence[_Job], say: Callable[[str], None]) -> None:
    for job in jobs:
        with disk_errors(store.path):
            for partial in job.target.folder.glob("*.partial"):  # of a process that was killed
                partial.unlink(missing_ok=True)
    needed = sum(job.target.n_bytes_missing for job in jobs)
    if store.limit_bytes is not None:
        store.prune(max(0, store.limit_bytes - needed), keep=[job.spec for job in jobs])
        total = sum(entry.n_bytes for entry in store.entries()) + needed
        if total > store.limit_bytes:
            say(
                f"the feature store will hold {format_bytes(total)}, above its limit of "
                f"{format_bytes(store.limit_bytes)}: what this study uses is not pruned"
            )
    check_room(store.path, needed)


class _Runner:
    """The pass itself, for jobs of which something is missing; holds what does not change between its batches."""

    def __init__(
        self,
        store: FeatureStore,
        jobs: Sequence[_Job],
        make_prefix: Callable[[], nn.Module],
        load: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
        normalise: Callable[[torch.Tensor], torch.Tensor],
        n: int,
        engine: str,
        device: str,
        progress: Callable[[int, int], None] | None,
        say: Callable[[str], None],
    ) -> None:
        self._store, self._jobs, self._make_prefix = store, jobs, make_prefix
        self._load, self._normalise, self._n = load, normalise, n
        self._engine, self._device, self._progress, self._say = engine, device, progress, say

    def run(self) -> None:
        """Compute and store what is missing."""
        # Rows that are there decide the batches of the rest, so cuts begun with other batch sizes run separately.
        wanted = [job for job in self._jobs if job.target.shards or job.engine is None]
        sizes = sorted({job.layout.batch_size for job in wanted})
        for turn, size in enumerate(sizes):
            jobs = [job for job in wanted if job.layout.batch_size == size]
            self._run_together(jobs, turn, len(sizes))

    def _run_together(self, jobs: Sequence[_Job], turn: int, n_turns: int) -> None:
        ready = self._prepare(jobs)
        batches = sorted(set().union(*(job.target.batches() for job in jobs)))
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        size = jobs[0].layout.batch_size
        n_left = sum(min(size, self._n - batch * size) for batch in batches)
        batch_bytes = size * sum(sum(job.layout.row_bytes) for job in jobs)
        images = iterate_ahead((self._images(batch, size) for batch in batches), BATCHES_DECODED_AHEAD)
        done = self._rows_of(images, ready)
        with Writing(self._store.path, [job.target for job in jobs], batch_bytes) as writing:
            for batch, (pixels, outputs) in zip(batches, done, strict=True):
                rows = min(size, self._n - batch * size)
                by_job: dict[int, Sequence[NDArray[Any]]] = {}
                start = 0
                for job in computed:
                    stop = start + len(job.layout.shapes)
                    by_job[id(job)] = [tensor[:rows] for tensor in outputs[start:stop]]
                    start = stop
                writing.put(batch, [by_job.get(id(job), [pixels[:rows]]) for job in jobs])
                n_left -= rows
                if self._progress is not None:
                    self._progress((self._n * (turn + 1) - n_left) // n_turns, self._n)
        for job in jobs:
            with disk_errors(self._store.path):
                job.layout.write(job.target.folder, job.spec.describe(), complete=True)

    def _prepare(self, jobs: Sequence[_Job]) -> ReadyEngine | None:
        """Choose the engine, and begin again whatever was begun with another one."""
        computed = [job for job in jobs if job.spec.cut != INPUT_CUT]
        ready = self._ready(computed) if computed and self._n else None
        for job in jobs:
            identity = ready.engine.identity if ready is not None and job in computed else IMAGES_ONLY
            if job.engine == identity:
                continue
            if job.engine is not None and len(job.target.shards) < job.layout.n_shards:
                self._say(
                    f"features of {job.target.name} were begun with {job.engine}, now it is {identity}: made again, so "
                    "that all rows come from one engine"
                )
            job.target.shards = set(range(job.layout.n_shards))
            job.target.layout = replace(job.layout, engine=identity)
            with disk_errors(self._store.path):
                job.target.folder.mkdir(parents=True, exist_ok=True)
                for stale in job.target.folder.iterdir():
                    stale.unlink()
                job.layout.write(job.target.folder, job.spec.describe(), complete=False)
        return ready

    def _ready(self, jobs: Sequence[_Job]) -> ReadyEngine:
        names = self._names(jobs)
        first = jobs[0].spec
        size = jobs[0].layout.batch_size
        cuts = tuple(job.spec.cut for job in jobs)
        # Splits and views of one study go through the same prefix one after another: compiled and checked once.
        key = (first.backbone, first.weights_digest, first.preprocessing, cuts, size, tuple(names), self._device)
        engines = self._store.engines
        if key not in engines:
            engines.clear()
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
            engines[key] = choose_engine(
                names,
                self._device,
                self._make_prefix(),
                self._normalise,
                wanted,
                shapes,
                n_tensors=start,
                images=self._images(batch, size),
                notice=self._say,
            )
        return engines[key]

    def _names(self, jobs: Sequence[_Job]) -> list[str]:
        if self._engine != "auto":
            return [self._engine]
        names = ["openvino", "torch"] if self._device == "cpu" else ["torch"]
        begun = {job.engine.split()[0] for job in jobs if job.engine}
        return sorted(names, key=lambda name: name not in begun)

    def _images(self, batch: int, size: int) -> NDArray[np.uint8]:
        """Return a batch of images, the last one filled up by repeating its last image: engines want one shape."""
        positions = np.arange(batch * size, min((batch + 1) * size, self._n), dtype=np.int64)
        images = self._load(positions)
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(positions):
            raise FeatureError(
                f"images must be uint8 [{len(positions)}, 3, H, W], got {images.dtype} {list(images.shape)}"
            )
        padding = [images[-1:]] * (size - len(images))
        return np.ascontiguousarray(np.concatenate([images, *padding]) if padding else images)

    def _rows_of(
        self, images: Iterator[NDArray[np.uint8]], ready: ReadyEngine | None
    ) -> Iterator[tuple[NDArray[np.uint8], Sequence[NDArray[Any]]]]:
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

        for outputs in ready.run(feed()):
            yield fed.pop(0), outputs

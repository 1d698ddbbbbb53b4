"""A feature pass: one run of a prefix over the images that stores the rows of one or more cuts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from frostline.errors import FeatureError
from frostline.features._job import announce, find_job, make_room
from frostline.features._running import IMAGES_ONLY, Runner, Work
from frostline.features._segments import image_ids
from frostline.features._spec import INPUT_CUT
from frostline.plan import pass_batch_size

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from frostline.features._job import Job
    from frostline.features._spec import FeatureSpec
    from frostline.features._store import FeatureStore
    from frostline.plan import Layout

__all__ = ["BATCH_SIZE", "PassReport", "run_pass"]

BATCH_SIZE = pass_batch_size("cpu")
"""Images a batch; how many they are changes no bit of a row."""

ENGINE_NAMES = ("auto", "openvino", "torch")

Shapes: TypeAlias = Sequence[Sequence[int]]


@dataclass(frozen=True)
class PassReport:
    """What a pass did.

    Attributes:
        seconds: wall time, waiting for another process included.
        n_bytes: bytes of all rows asked for, on disk.
        engine: what made the rows, e.g. ``openvino 2026.4.1 cpu``; ``none`` for images stored as they are.
        n_passed: images whose rows weren't there, so that they were decoded and went through the network.
        repaired: what was found damaged and made again, one line a segment.
    """

    seconds: float
    n_bytes: int
    engine: str
    n_passed: int
    repaired: tuple[str, ...]

    @property
    def reused(self) -> bool:
        """Whether all rows were there already."""
        return not self.n_passed


def run_pass(
    store: FeatureStore,
    specs: Sequence[FeatureSpec],
    make_prefix: Callable[[], nn.Module],
    shapes: Sequence[Shapes],
    load: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    normalise: Callable[[torch.Tensor], torch.Tensor],
    images: Sequence[str],
    *,
    examples: Callable[[], NDArray[np.uint8]] | None = None,
    engine: str = "auto",
    batch_size: int = BATCH_SIZE,
    layout: Layout = "contiguous",
    apart: Collection[str] = (),
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> PassReport:
    """Make sure that the rows of every specification are stored and intact, computing only what isn't there.

    Rows are named by their images, so that only images whose rows no earlier pass stored go through the network,
    each of them once. A pass that was interrupted continues after its last whole segment; damaged segments are made
    again, and ``notice`` says so. A row's bits don't depend on the images beside it, so all rows are bit for bit those
    of a pass in one go. Of several processes that ask for the same rows, one makes them and the others wait.

    Args:
        store: where rows are kept.
        specs: the rows wanted, of the same view and backbone, at one or more cuts in execution order.
        make_prefix: called once, when there is something to compute: a module in eval mode from float32 images
            [B, 3, H, W] to the flat tuple of the tensors [B, ...] that cross each cut but ``input``, in order.
        shapes: for each specification, the shapes of one row's tensors; ``((3, H, W),)`` for ``input``.
        load: positions, int64 [B], to images, uint8 [B, 3, H, W].
        normalise: uint8 images to float32 ones; part of what the engine compiles.
        images: the digests of the N images' contents, hex of 32 digits or more; none is allowed.
        examples: the images that an engine is checked on, uint8 [B, 3, H, W]; the first of the pass when left out.
        engine: ``openvino``, ``torch``, or ``auto``: OpenVINO on the CPU, torch on CUDA and MPS.
        batch_size: images in one run of the prefix.
        layout: how maps lie in memory on the torch engine; part of each specification.
        apart: cuts that are computed by themselves, as an engine would make other rows of the rest together with them.
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
    ids = image_ids(images)
    n, n_passed = len(ids), 0

    def find_jobs() -> list[Job]:
        return [find_job(store, spec, ids, of_cut, batch_size) for spec, of_cut in zip(specs, row_shapes, strict=True)]

    def first_images() -> NDArray[np.uint8]:
        return load(np.arange(min(batch_size, n), dtype=np.int64))

    for spec in specs:
        store.hold(spec)
    jobs, repaired = find_jobs(), []
    if not all(job.done for job in jobs):
        names = ", ".join(job.target.name for job in jobs)
        with store.lock(specs, lambda: say(f"another process is making activations of {names}: waiting for it")):
            jobs = find_jobs()  # asked again: another process may have made them in the meantime
            if not all(job.done for job in jobs):
                repaired = announce(jobs, say)
                make_room(store, jobs, say)
                work = Work(
                    make_prefix,
                    load,
                    normalise,
                    examples or first_images,
                    n,
                    batch_size,
                    engine,
                    str(device),
                    layout,
                    apart,
                    progress or _ignore_progress,
                    say,
                )
                n_passed = Runner(store, jobs, work).run()
    engines = sorted({job.target.row_format.engine for job in jobs} - {IMAGES_ONLY}) or [IMAGES_ONLY]
    n_bytes = n * sum(sum(job.target.row_format.row_bytes) for job in jobs)
    return PassReport(time.monotonic() - started, n_bytes, ", ".join(engines), n_passed, tuple(repaired))


def _ignore(text: str) -> None:
    pass


def _ignore_progress(done: int, total: int) -> None:
    pass


def _check_arguments(specs: Sequence[FeatureSpec], shapes: Sequence[Shapes], engine: str, batch_size: int) -> None:
    if not specs or len(specs) != len(shapes):
        raise FeatureError(f"a pass needs one list of shapes for each cut: {len(specs)} cuts, {len(shapes)} lists")
    if engine not in ENGINE_NAMES:
        raise FeatureError(f'engine "{engine}" is unknown: choose {", ".join(ENGINE_NAMES)}')
    if batch_size < 1:
        raise FeatureError(f"batch_size = {batch_size}: must be at least 1")
    sources = {(spec.preprocessing, spec.view) for spec in specs}
    networks = {(spec.backbone, spec.weights_digest) for spec in specs if spec.cut != INPUT_CUT}
    if len(sources) > 1 or len(networks) > 1:
        raise FeatureError("one pass is of images in one view through one network")
    if len({spec.key for spec in specs}) < len(specs):
        raise FeatureError(f"a pass stores each cut once, got {[spec.cut for spec in specs]}")

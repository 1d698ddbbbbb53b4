"""What is there of a specification's rows for some images, and what is still to be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from frostline.features._disk import check_room, disk_errors
from frostline.features._format import RowFormat
from frostline.features._index import first_of_each
from frostline.features._segments import remove_segment, segment_numbers
from frostline.features._writing import Target
from frostline.quantities import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.features._segments import ImageIds
    from frostline.features._spec import FeatureSpec
    from frostline.features._store import FeatureStore

__all__ = ["Job", "announce", "find_job", "make_room", "restart"]

SEGMENT_BYTES = 64 * 1024 * 1024
"""About what one segment holds: enough for fast writing, little enough to be made again when a pass is killed."""

SEGMENT_BATCHES = 64
"""The most batches in a segment, so that small rows don't leave everything to the last moment."""

MOST_SEGMENTS = 128
"""Where these limits would make more of a pass than this, segments are larger: whoever reads at random has all open."""


@dataclass
class Job:
    """One specification: its target, the rows to make, and whose engine made those that are there.

    Attributes:
        spec: what the rows are.
        target: where they go, with the images that are missing.
        engine: what made the rows that are there; None where there are none.
        faults: what is wrong with segments whose rows are made again, by number.
    """

    spec: FeatureSpec
    target: Target
    engine: str | None
    faults: dict[int, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether every row is there and intact."""
        return self.engine is not None and not self.target.missing.any()


def find_job(
    store: FeatureStore, spec: FeatureSpec, ids: ImageIds, shapes: tuple[tuple[int, ...], ...], batch_size: int
) -> Job:
    """Return what is there of the rows of N images, [N, 2], and what isn't."""
    folder = store.folder(spec)
    found = store.find(spec, ids)
    known = found is not None and (found.row_format.dtype, found.row_format.shapes) == (spec.dtype, shapes)
    if found is not None and known:
        row_format, engine, faults, absent = found.row_format, found.row_format.engine, found.faults, found.rows < 0
    else:
        row_format, engine, faults = RowFormat(spec.dtype, shapes, ""), None, {}
        absent = np.ones(len(ids), dtype=np.bool_)
    missing = _missing(ids, absent)
    row_bytes = max(1, sum(row_format.row_bytes))
    batches = min(SEGMENT_BATCHES, max(1, SEGMENT_BYTES // (row_bytes * batch_size)))
    batches = max(batches, -(-int(missing.sum()) // (MOST_SEGMENTS * batch_size)))
    taken = segment_numbers(folder)[0] - set(faults) if engine is not None else set()
    name = f"{spec.backbone} at {spec.cut}"
    target = Target(name, folder, row_format, ids, missing, batches * batch_size, taken)
    return Job(spec, target, engine, faults)


def restart(job: Job, row_format: RowFormat) -> None:
    """Begin with an empty folder, in which nothing of other numbers or of another engine is left."""
    target = job.target
    target.row_format, target.taken = row_format, set()
    target.missing = _missing(target.ids, np.ones(len(target.ids), dtype=np.bool_))
    target.folder.mkdir(parents=True, exist_ok=True)
    for stale in target.folder.iterdir():
        stale.unlink()
    row_format.write(target.folder, job.spec.describe())


def announce(jobs: Sequence[Job], say: Callable[[str], None]) -> list[str]:
    """Say what is made again; returns the damaged segments in words."""
    repaired = []
    for job in jobs:
        for number, fault in sorted(job.faults.items()):
            repaired.append(f"{job.target.name}, segment {number}: {fault}")
            say(f"stored activations of {job.target.name}, segment {number}: {fault}; made again")
    return repaired


def make_room(store: FeatureStore, jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Clear what is of no use, prune to the store's limit, and refuse to begin what can't fit on the disk."""
    for job in jobs:
        folder = job.target.folder
        with disk_errors(store.path):
            for partial in folder.glob("*.partial"):  # of a process that was killed
                partial.unlink(missing_ok=True)
            for number in {*job.faults, *segment_numbers(folder)[1]}:
                remove_segment(folder, number)
    needed = sum(job.target.n_bytes_missing for job in jobs)
    if store.limit_bytes is not None:
        store.prune(max(0, store.limit_bytes - needed), keep=[job.spec for job in jobs])
        total = sum(entry.n_bytes for entry in store.entries()) + needed
        if total > store.limit_bytes:
            say(
                f"stored activations will take {format_bytes(total)}, above their limit of "
                f"{format_bytes(store.limit_bytes)}: what this study uses is not pruned"
            )
    check_room(store.path, needed)


def _missing(
    ids: ImageIds, absent: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return bool [N]: one position for each image that is absent."""
    missing = np.zeros(len(ids), dtype=np.bool_)
    missing[first_of_each(ids, np.flatnonzero(absent))] = True
    return missing

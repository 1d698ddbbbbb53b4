"""What is there of a specification's rows, and what is still to be made."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.features._disk import check_room, disk_errors
from frostline.features._layout import META, Layout
from frostline.features._writing import Target
from frostline.quantities import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.features._spec import FeatureSpec
    from frostline.features._store import FeatureStore

__all__ = ["Job", "announce", "find_job", "make_room"]


@dataclass
class Job:
    """One specification: its target, the rows to make, and whose engine made those that are there."""

    spec: FeatureSpec
    target: Target
    engine: str | None

    @property
    def layout(self) -> Layout:
        """How the rows lie on disk."""
        return self.target.layout

    @property
    def done(self) -> bool:
        """Whether every row is there and intact."""
        return self.engine is not None and not self.target.shards


def find_job(
    store: FeatureStore, spec: FeatureSpec, n: int, shapes: tuple[tuple[int, ...], ...], batch_size: int
) -> Job:
    """Return what is there of N rows: rows that are there decide the batch size, others get the one given."""
    folder = store.folder(spec)
    name = f"{spec.backbone} at {spec.cut}"
    layout = Layout.read(folder)
    if layout is None or (layout.n, layout.dtype, layout.shapes) != (n, spec.dtype, shapes):
        fresh = Layout.plan(n, spec.dtype, shapes, batch_size, "")
        return Job(spec, Target(name, folder, fresh, set(range(fresh.n_shards))), None)
    return Job(spec, Target(name, folder, layout, set(store.faults(spec, layout))), layout.engine)


def announce(store: FeatureStore, jobs: Sequence[Job], say: Callable[[str], None]) -> list[str]:
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
            say(f"stored activations of {job.target.name}, shard {shard} of {job.layout.n_shards}: {fault}; made again")
        if not complete and last_present >= 0:
            there = job.layout.n - sum(job.layout.rows(shard) for shard in missing)
            say(
                f"activations of {job.target.name}: going on from {there} of {job.layout.n} rows that are there already"
            )
    return repaired


def _is_complete(job: Job) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((job.target.folder / META).read_bytes()).get("complete"))
    return False


def make_room(store: FeatureStore, jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Clear what a killed process left, prune to the store's limit, and refuse to begin what can't fit on the disk."""
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
                f"stored activations will take {format_bytes(total)}, above their limit of "
                f"{format_bytes(store.limit_bytes)}: what this study uses is not pruned"
            )
    check_room(store.path, needed)

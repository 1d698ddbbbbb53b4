"""The folder of all stored rows: opened by specification, listed, checked, and pruned to a size."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from frostline.errors import FeatureError
from frostline.features._disk import disk_errors
from frostline.features._engines import Engines
from frostline.features._features import Features
from frostline.features._layout import META, Layout, record_path, tensor_path
from frostline.features._locks import UseMark, making, unused
from frostline.features._shards import check_shard
from frostline.places import cache_directory
from frostline.quantities import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from frostline.features._spec import FeatureSpec

__all__ = ["Entry", "FeatureStore"]


@dataclass(frozen=True)
class Entry:
    """One set of rows in the store.

    Attributes:
        key: its name on disk.
        spec: what it holds, as data; empty where that can't be read.
        n_bytes: bytes on disk now.
        complete: whether all of its rows are there (not whether they are intact: see ``verify``).
        last_used: seconds since the epoch.
    """

    key: str
    spec: dict[str, Any]
    n_bytes: int
    complete: bool
    last_used: float


class FeatureStore:
    """Rows by specification, below one directory, with an optional limit on what they take together.

    Args:
        root: the directory, made when first written to; ``features`` in the cache directory when left out.
        limit_bytes: new passes prune the least recently used rows to stay below this; left out, it is the size in
            ``$FROSTLINE_CACHE_LIMIT``, such as ``20GB``, and without that rows are never pruned.
        engines: compiled prefixes that passes may use, and add to.

    Raises:
        FeatureError: the limit in the environment is no size.
    """

    def __init__(
        self, root: Path | None = None, limit_bytes: int | None = None, engines: Engines | None = None
    ) -> None:
        self.path = cache_directory() / "features" if root is None else root
        self.limit_bytes = _limit_of_environment() if limit_bytes is None else limit_bytes
        # Shards checked by this process, by what changes when a file is touched: (inode, size, mtime) of each file.
        self._checked: dict[tuple[str, int], tuple[tuple[int, int, int], ...]] = {}
        self._marks: dict[str, UseMark] = {}
        self._opened: WeakValueDictionary[str, Features] = WeakValueDictionary()
        self.engines = Engines() if engines is None else engines

    def folder(self, spec: FeatureSpec) -> Path:
        """Return where the rows of a specification are, or would be."""
        return self.path / spec.key

    def open(self, spec: FeatureSpec) -> Features | None:
        """Return the rows of a specification, each byte checked, or None when they are absent, incomplete or damaged.

        They count as in use, and are not pruned, until closed or collected.
        """
        mark = UseMark(self.path, spec.key)
        layout = Layout.read(self.folder(spec))
        if layout is None or self.faults(spec, layout):
            mark.close()
            return None
        with suppress(OSError):  # a store that can only be read
            os.utime(self.folder(spec) / META)
        # Small rows are held in memory, once for all who use them.
        there = self._opened.get(spec.key)
        if there is None or there.closed:
            there = self._opened[spec.key] = Features(self.folder(spec), layout, mark)
        return there

    def has(self, spec: FeatureSpec) -> bool:
        """Return whether all rows of a specification are there; that they are intact, ``open`` checks."""
        folder = self.folder(spec)
        return _is_complete(folder, Layout.read(folder))

    def faults(self, spec: FeatureSpec, layout: Layout) -> dict[int, str]:
        """Return what is wrong with each shard that isn't whole; ``"absent"`` for one that was never finished."""
        folder, key = self.folder(spec), spec.key

        def check(shard: int) -> str | None:
            state = _file_states(folder, layout, shard)
            if state is not None and self._checked.get((key, shard)) == state:
                return None
            fault = check_shard(folder, layout, shard)
            if fault is None and state is not None:
                self._checked[key, shard] = state
            return fault

        # Checksums and reading both run outside Python's lock, so threads help.
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            faults = dict(enumerate(pool.map(check, range(layout.n_shards))))
        return {shard: fault for shard, fault in faults.items() if fault is not None}

    def hold(self, spec: FeatureSpec) -> None:
        """Keep anyone from pruning the rows of a specification until ``close``: a pass holds what it was asked for."""
        if spec.key not in self._marks:
            self._marks[spec.key] = UseMark(self.path, spec.key)

    def close(self) -> None:
        """Give everything free that passes of this store hold; features opened from it stay in use until closed."""
        for mark in self._marks.values():
            mark.close()
        self._marks.clear()

    def lock(self, specs: Iterable[FeatureSpec], waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the exclusive right to make these rows; ``waiting`` is called when another process holds it."""
        return making(self.path, [spec.key for spec in specs], waiting)

    def entries(self) -> tuple[Entry, ...]:
        """Return what is in the store, most recently used first; nothing when there is no store yet."""
        entries = (_entry(folder) for folder in self._folders())
        return tuple(sorted((entry for entry in entries if entry), key=lambda entry: (-entry.last_used, entry.key)))

    def verify(self) -> dict[str, dict[int, str]]:
        """Return what is wrong, as ``{key: {shard: fault}}``; -1 stands for the whole folder. Reads every byte."""
        result: dict[str, dict[int, str]] = {}
        for folder in self._folders():
            layout = Layout.read(folder)
            if layout is None:
                result[folder.name] = {-1: f"{META} is missing or damaged"}
                continue
            faults = {shard: check_shard(folder, layout, shard) for shard in range(layout.n_shards)}
            found = {shard: fault for shard, fault in faults.items() if fault not in (None, "absent")}
            if found:
                result[folder.name] = {shard: str(fault) for shard, fault in found.items()}
        return result

    def prune(self, limit_bytes: int, keep: Iterable[FeatureSpec] = ()) -> tuple[Entry, ...]:
        """Remove the least recently used rows until the rest takes at most ``limit_bytes``; returns those removed.

        Rows being made or used, by any process or by passes of this store, stay, and so do those of ``keep``.
        """
        kept = {spec.key for spec in keep}
        entries = self.entries()
        total = sum(entry.n_bytes for entry in entries)
        removed = []
        with disk_errors(self.path):
            for entry in reversed(entries):
                if total <= limit_bytes:
                    break
                if entry.key in kept or not self._remove(entry.key):
                    continue
                total -= entry.n_bytes
                removed.append(entry)
            for trash in self.path.glob(".trash-*"):  # left by a process killed while it removed
                shutil.rmtree(trash, ignore_errors=True)
        return tuple(removed)

    def _remove(self, key: str) -> bool:
        with unused(self.path, key) as free:
            if free:
                # Renamed first: rows half removed must never be taken for rows.
                trash = self.path / f".trash-{key}-{os.getpid()}-{time.monotonic_ns()}"
                (self.path / key).rename(trash)
                shutil.rmtree(trash, ignore_errors=True)
            return free

    def _folders(self) -> list[Path]:
        try:
            names = sorted(self.path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [path for path in names if path.name != "locks" and not path.name.startswith(".") and path.is_dir()]


def _limit_of_environment() -> int | None:
    given = os.environ.get("FROSTLINE_CACHE_LIMIT")
    if not given:
        return None
    try:
        return parse_bytes(given)
    except ValueError as error:
        raise FeatureError(f"FROSTLINE_CACHE_LIMIT = {error}") from error


def _file_states(folder: Path, layout: Layout, shard: int) -> tuple[tuple[int, int, int], ...] | None:
    paths = [record_path(folder, shard), *(tensor_path(folder, shard, i) for i in range(len(layout.shapes)))]
    try:
        states = [path.stat() for path in paths]
    except OSError:
        return None
    return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states)


def _entry(folder: Path) -> Entry | None:
    layout = Layout.read(folder)
    spec: dict[str, Any] = {}
    n_bytes, last_used = 0, 0.0
    try:
        for file in os.scandir(folder):
            with suppress(FileNotFoundError):  # renamed by a pass under way
                n_bytes += file.stat().st_size
        meta = folder / META if (folder / META).exists() else folder
        last_used = meta.stat().st_mtime
    except FileNotFoundError:
        return None  # pruned by another process
    if layout is not None:
        with suppress(OSError, ValueError, KeyError):
            spec = dict(json.loads((folder / META).read_bytes())["spec"])
    return Entry(folder.name, spec, n_bytes, _is_complete(folder, layout), last_used)


def _is_complete(folder: Path, layout: Layout | None) -> bool:
    return layout is not None and all(record_path(folder, i).exists() for i in range(layout.n_shards))

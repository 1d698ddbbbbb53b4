"""Rows of large stores, read into a batch's own memory: what was read once is in the page cache, not in this process.

Reading rather than mapping: a map keeps every page it touched resident, and giving the pages back costs more than a
read does. Rows of 100 KB measured 48,000 a second from the page cache against 26,000 by memory map, rows of 5 KB
325,000 against 260,000 (two cores, medians of four epochs in random order).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.errors import FeatureError
from frostline.features._segments import tensor_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from frostline.features._format import RowFormat

__all__ = ["SegmentFiles"]

ADVISED_ROW_BYTES = 16 * 1024
"""Rows from this size on are asked for one by one ahead of reading; smaller ones with their whole segment."""

MOST_FILES = 512
"""Files that one reader holds open at most."""


class SegmentFiles:
    """The open files of one reader, in one thread: a context manager that closes them."""

    def __init__(self, folder: Path, row_format: RowFormat) -> None:
        self._folder, self._row_bytes = folder, row_format.row_bytes
        self._files: OrderedDict[tuple[int, int], FileIO] = OrderedDict()
        self._most = _most_files()

    def __enter__(self) -> SegmentFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def read_rows(self, tensor: int, segments: Sequence[int], offsets: Sequence[int], target: NDArray[Any]) -> None:
        """Fill ``target`` [B, ...] with a tensor's rows: the i-th at ``offsets[i]`` of ``segments[i]``."""
        n_bytes = self._row_bytes[tensor]
        if not n_bytes:
            return
        view = _bytes_of(target)
        files, read_at = self._files, _read_at
        place = 0
        # The loop for small rows, hundreds of thousands a second: whatever isn't usual is left to _fill.
        for segment, offset in zip(segments, offsets, strict=True):
            file = files.get((segment, tensor))
            part = view[place : place + n_bytes]
            if file is None or read_at(file, part, offset * n_bytes) != n_bytes:
                self._fill(segment, tensor, part, offset * n_bytes)
            place += n_bytes

    def read_first(self, tensor: int, segment: int, target: NDArray[Any]) -> None:
        """Fill ``target`` with all the first rows of a segment, as many as there is room for."""
        if target.size:
            self._fill(segment, tensor, _bytes_of(target), 0)

    def advise_rows(self, segments: Sequence[int], offsets: Sequence[int]) -> None:
        """Have the disk fetch rows that are read soon, where rows are large enough for that to pay."""
        if not hasattr(os, "posix_fadvise"):
            return
        for tensor, n_bytes in enumerate(self._row_bytes):
            if n_bytes >= ADVISED_ROW_BYTES:
                for segment, offset in zip(segments, offsets, strict=True):
                    descriptor = self._file(segment, tensor).fileno()
                    os.posix_fadvise(descriptor, offset * n_bytes, n_bytes, os.POSIX_FADV_WILLNEED)

    def advise_all(self, segments: Sequence[int], n_bytes_in_all: int) -> None:
        """Have the disk fetch some segments in order, where rows are small: one by one they would take far longer.

        More than half of the memory isn't asked for: it would push out its own beginning.
        """
        if not hasattr(os, "posix_fadvise") or n_bytes_in_all > os.sysconf("SC_PHYS_PAGES") * _page_bytes() // 2:
            return
        for tensor, n_bytes in enumerate(self._row_bytes):
            if n_bytes < ADVISED_ROW_BYTES:
                for segment in segments:
                    os.posix_fadvise(self._file(segment, tensor).fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

    def _fill(self, segment: int, tensor: int, view: memoryview, start: int) -> None:
        file = self._file(segment, tensor)
        try:
            n_read = _read_at(file, view, start)
            while n_read < len(view):
                more = _read_at(file, view[n_read:], start + n_read)
                if not more:
                    raise _unreadable(self._folder, segment, tensor, "it is shorter than it was")
                n_read += more
        except OSError as error:
            raise _unreadable(self._folder, segment, tensor, error.strerror or str(error)) from error

    def _file(self, segment: int, tensor: int) -> FileIO:
        key = (segment, tensor)
        file = self._files.get(key)
        if file is not None:
            return file
        # In order of opening: with segments read at random the oldest is as good to close as any.
        if len(self._files) >= self._most:
            self._files.popitem(last=False)[1].close()
        try:
            file = tensor_path(self._folder, segment, tensor).open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self._folder, segment, tensor, error.strerror or str(error)) from error
        self._files[key] = file
        return file


def _read_in_one_call(file: FileIO, view: memoryview, start: int) -> int:
    return os.preadv(file.fileno(), (view,), start)


def _seek_and_read(file: FileIO, view: memoryview, start: int) -> int:
    """Read in two calls, where the system has no other: a file here belongs to one reader, in one thread."""
    file.seek(start)
    return file.readinto(view) or 0


_read_at = _read_in_one_call if hasattr(os, "preadv") else _seek_and_read  # Windows, and macOS before 11


def _bytes_of(target: NDArray[Any]) -> memoryview:
    return target.reshape(-1).view(np.uint8).data


def _most_files() -> int:
    """Return how many files one reader may hold open: a quarter of what the process may, as several read at once."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if soft == resource.RLIM_INFINITY else max(1, min(MOST_FILES, soft // 4))


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _unreadable(folder: Path, segment: int, tensor: int, why: str) -> FeatureError:
    return FeatureError(f"stored rows can't be read: {tensor_path(folder, segment, tensor)}: {why}")

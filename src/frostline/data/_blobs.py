"""Encoded images at hand by number: in memory while they are few, in a nameless temporary file beyond."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import IO

from frostline.errors import DiskFullError
from frostline.places import cache_directory

__all__ = ["Blobs"]

IN_MEMORY_BYTES = 1 << 30


class Blobs:
    """Byte strings read in any order by any thread; a place can also hold the exception that reading it raises."""

    def __init__(self, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._limit = in_memory_bytes
        self._held: list[bytes | Exception | tuple[int, int]] = []
        self._n_bytes = 0
        self._file: IO[bytes] | None = None
        self._end = 0

    def append(self, blob: bytes | Exception) -> int:
        """Store a blob and return its number.

        Raises:
            DiskFullError: the blobs no longer fit in memory's share, nor on disk.
        """
        if isinstance(blob, Exception) or self._n_bytes + len(blob) <= self._limit:
            self._n_bytes += 0 if isinstance(blob, Exception) else len(blob)
            self._held.append(blob)
        else:
            self._held.append(self._write(blob))
        return len(self._held) - 1

    def __getitem__(self, number: int) -> bytes:
        held = self._held[number]
        if isinstance(held, Exception):
            raise held
        if isinstance(held, bytes):
            return held
        assert self._file is not None
        offset, size = held
        return os.pread(self._file.fileno(), size, offset)

    def _write(self, blob: bytes) -> tuple[int, int]:
        folder = cache_directory()
        try:
            if self._file is None:
                folder.mkdir(parents=True, exist_ok=True)
                # unlinked from the start: the room is given back however the process ends
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            self._file.write(blob)
        except OSError as error:
            raise DiskFullError(
                f"{folder}: no room for the images that don't fit in memory ({error.strerror}); free some space, set "
                "FROSTLINE_CACHE to another disk, or ask for fewer images"
            ) from error
        place = self._end, len(blob)
        self._end += len(blob)
        return place

"""One shard: written to temporary names and recorded when whole, checked block by block before it is trusted."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from crc32c import crc32c

from frostline.features._layout import Layout, record_path, sync_directory, tensor_path, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["ShardWriter", "check_shard"]


class ShardWriter:
    """Writes one shard batch by batch; nothing of it exists for readers until ``finish``."""

    def __init__(self, folder: Path, layout: Layout, shard: int) -> None:
        self._folder, self._layout, self._shard = folder, layout, shard
        self._paths = [tensor_path(folder, shard, tensor) for tensor in range(len(layout.shapes))]
        self._files: list[BinaryIO] = []
        self._checksums: list[list[int]] = [[] for _ in self._paths]
        self._rows = 0
        # A record of an earlier, damaged shard must not vouch for the new bytes.
        record_path(folder, shard).unlink(missing_ok=True)
        try:
            for path in self._paths:
                self._files.append(_partial(path).open("wb"))
        except OSError:
            self.abandon()
            raise

    def append(self, tensors: Sequence[NDArray[Any]]) -> None:
        """Write the next batch of rows, one contiguous array [B, ...] of the layout's dtype for each tensor."""
        for file, checksums, rows in zip(self._files, self._checksums, tensors, strict=True):
            block = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
            file.write(block)
            checksums.append(crc32c(block))
        self._rows += len(tensors[0]) if tensors else 0

    def finish(self) -> None:
        """Make the shard exist: its bytes are on the disk before its record says so."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            _partial(path).replace(path)
        sync_directory(self._folder)
        sizes = [self._rows * n_bytes for n_bytes in self._layout.row_bytes]
        tensors = [{"bytes": size, "crc32c": checksums} for size, checksums in zip(sizes, self._checksums, strict=True)]
        record = json.dumps({"rows": self._rows, "tensors": tensors})
        write_atomically(record_path(self._folder, self._shard), record.encode())

    def abandon(self) -> None:
        """Drop what was written, giving its room back."""
        for file in self._files:
            with suppress(OSError):  # a full disk fails once more when the buffer is flushed
                file.close()
        for path in self._paths:
            _partial(path).unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def check_shard(folder: Path, layout: Layout, shard: int) -> str | None:
    """Return what is wrong with a shard, ``"absent"`` when it was never finished, or None when every byte is right."""
    try:
        record = json.loads(record_path(folder, shard).read_bytes())
    except FileNotFoundError:
        return "absent"
    except (OSError, ValueError) as error:
        return f"its record can't be read ({error})"
    try:
        checks = [(int(tensor["bytes"]), [int(crc) for crc in tensor["crc32c"]]) for tensor in record["tensors"]]
        rows = int(record["rows"])
    except (KeyError, TypeError, ValueError):
        return "its record is damaged"
    expected = [layout.rows(shard) * n_bytes for n_bytes in layout.row_bytes]
    n_blocks = len(layout.batches(shard))
    if rows != layout.rows(shard) or [size for size, _ in checks] != expected:
        return "its record is of other rows"
    if any(len(checksums) != n_blocks for _, checksums in checks):
        return "its record is damaged"
    for tensor, (size, checksums) in enumerate(checks):
        block_bytes = layout.batch_size * layout.row_bytes[tensor]
        fault = _check_file(tensor_path(folder, shard, tensor), size, block_bytes, checksums)
        if fault is not None:
            return fault
    return None


def _check_file(path: Path, size: int, block_bytes: int, checksums: Sequence[int]) -> str | None:
    # Read rather than mapped: a file that shrinks or a disk that fails while it is checked must not end the process.
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                return f"{path.name} has {found} of {size} bytes" if found < size else f"{path.name} is too long"
            buffer = bytearray(min(block_bytes, size))
            for block, checksum in enumerate(checksums):
                view = memoryview(buffer)[: min(block_bytes, size - block * block_bytes)]
                filled = 0
                while filled < len(view) and (n_read := file.readinto(view[filled:])):
                    filled += n_read
                if filled < len(view) or crc32c(view) != checksum:
                    return f"{path.name} is damaged in its rows from {block * block_bytes} bytes on"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} can't be read ({error.strerror or error})"
    return None

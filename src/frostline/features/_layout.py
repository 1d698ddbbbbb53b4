"""How the rows of one specification lie on disk: which shards, which files, which bytes.

A folder holds ``meta.json`` (the Layout), and for each shard one raw row-major file for each tensor
(``00012.0.bin``) and a record (``00012.json``) with its size and a CRC-32C for each block of rows. A shard without its
record doesn't exist. Shards are whole batches, so that a pass resumed at any shard runs the same batches as before.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.features._spec import FORMAT_VERSION

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Layout", "write_atomically"]

SHARD_BYTES = 64 * 1024 * 1024
"""About what one shard holds: enough for fast writing, little enough to be made again when a pass is killed."""

SHARD_BATCHES = 64
"""The most batches in a shard, so that small rows don't leave everything to the last moment."""

MOST_SHARDS = 128
"""Where these limits would make more shards than this, shards are larger: whoever reads at random holds all open."""

META = "meta.json"


@dataclass(frozen=True)
class Layout:
    """The fixed facts of one folder of rows; ``shapes`` are those of one row's tensors, without the batch."""

    n: int
    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    batch_size: int
    shard_batches: int
    engine: str
    format: int = FORMAT_VERSION

    @classmethod
    def plan(cls, n: int, dtype: str, shapes: tuple[tuple[int, ...], ...], batch_size: int, engine: str) -> Layout:
        """Return the layout of N new rows."""
        row_bytes = max(1, sum(math.prod(shape) for shape in shapes) * np.dtype(dtype).itemsize)
        batches = min(SHARD_BATCHES, max(1, SHARD_BYTES // (row_bytes * batch_size)))
        batches = max(batches, -(-n // (MOST_SHARDS * batch_size)))
        return cls(n, dtype, shapes, batch_size, batches, engine)

    @classmethod
    def read(cls, folder: Path) -> Layout | None:
        """Return the layout recorded in a folder; None when there is none or it can't be understood."""
        try:
            fields: dict[str, Any] = json.loads((folder / META).read_bytes())["layout"]
            shapes = tuple(tuple(int(size) for size in shape) for shape in fields["shapes"])
            layout = cls(**{**fields, "shapes": shapes})
            valid = layout.n >= 0 and layout.batch_size > 0 and layout.shard_batches > 0
            np.dtype(layout.dtype)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return layout if valid and layout.format == FORMAT_VERSION else None

    def write(self, folder: Path, spec: dict[str, Any], *, complete: bool) -> None:
        """Record the layout, the specification in words for whoever looks, and whether every shard was there once."""
        text = json.dumps({"spec": spec, "layout": asdict(self), "complete": complete}, indent=1)
        write_atomically(folder / META, text.encode())

    @property
    def rows_per_shard(self) -> int:
        """Rows in every shard but the last."""
        return self.batch_size * self.shard_batches

    @property
    def n_shards(self) -> int:
        """How many shards hold the rows; none for no rows."""
        return -(-self.n // self.rows_per_shard)

    @property
    def n_batches(self) -> int:
        """How many batches make the rows."""
        return -(-self.n // self.batch_size)

    @property
    def row_bytes(self) -> tuple[int, ...]:
        """Bytes of one row of each tensor."""
        return tuple(math.prod(shape) * np.dtype(self.dtype).itemsize for shape in self.shapes)

    @property
    def n_bytes(self) -> int:
        """Bytes of all rows."""
        return self.n * sum(self.row_bytes)

    def rows(self, shard: int) -> int:
        """Return how many rows a shard holds."""
        return min(self.rows_per_shard, self.n - shard * self.rows_per_shard)

    def batches(self, shard: int) -> range:
        """Return the indices of the batches that make a shard."""
        first = shard * self.shard_batches
        return range(first, min(first + self.shard_batches, self.n_batches))


def record_path(folder: Path, shard: int) -> Path:
    """Return where a shard's record is, whose existence is the shard's."""
    return folder / f"{shard:05d}.json"


def tensor_path(folder: Path, shard: int, tensor: int) -> Path:
    """Return where a shard's rows of one tensor are."""
    return folder / f"{shard:05d}.{tensor}.bin"


def sync_directory(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system can."""
    if os.name == "nt":  # directories can't be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that it is either whole or not there, even after a power cut."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)

"""Writes TIFF files of any layout from the specification (TIFF 6.0), by hand: no library writes all that exist."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Layout", "write_tiff"]

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
STRIP_ROWS, TILE_SIDE = 5, 16
TYPES = {"B": 1, "H": 3, "I": 4}


@dataclass(frozen=True)
class Layout:
    """How a file stores its samples; the field names are those of the tags."""

    bits: int
    photometric: int
    sample_format: int = UNSIGNED
    planar: int = 1
    order: str = "<"
    fill_order: int = 1
    deflate: bool = False
    predictor: int = 1
    tiled: bool = False
    extra: tuple[int, ...] = ()


def write_tiff(samples: NDArray[Any], layout: Layout, more: Sequence[tuple[int, str, Sequence[int]]] = ()) -> bytes:
    """Return a file of samples [H, W, S]; ``more`` are further tags, each as (tag, struct letter, values)."""
    height, width, n_samples = samples.shape
    planes = [samples] if layout.planar == 1 else np.split(samples, n_samples, axis=2)
    chunks = [_encoded(part, layout) for plane in planes for part in _parts(plane, tiled=layout.tiled)]
    offsets = [8 + sum(map(len, chunks[:n])) for n in range(len(chunks))]
    sizes = [len(chunk) for chunk in chunks]
    tags: list[tuple[int, str, Sequence[int]]] = [
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [layout.bits] * n_samples),
        (259, "H", [8 if layout.deflate else 1]),
        (262, "H", [layout.photometric]),
        (266, "H", [layout.fill_order]),
        (277, "H", [n_samples]),
        (284, "H", [layout.planar]),
        (317, "H", [layout.predictor]),
        (339, "H", [layout.sample_format] * n_samples),
        *([(338, "H", layout.extra)] if layout.extra else []),
        *(_tile_tags(offsets, sizes) if layout.tiled else _strip_tags(offsets, sizes)),
        *more,
    ]
    body = b"".join(chunks)
    body += b"\0" * (len(body) % 2)
    start = 8 + len(body)
    magic = b"II*\0" if layout.order == "<" else b"MM\0*"
    return magic + struct.pack(layout.order + "I", start) + body + _directory(sorted(tags), start, layout.order)


def _strip_tags(offsets: list[int], sizes: list[int]) -> list[tuple[int, str, list[int]]]:
    return [(273, "I", offsets), (278, "I", [STRIP_ROWS]), (279, "I", sizes)]


def _tile_tags(offsets: list[int], sizes: list[int]) -> list[tuple[int, str, list[int]]]:
    return [(322, "I", [TILE_SIDE]), (323, "I", [TILE_SIDE]), (324, "I", offsets), (325, "I", sizes)]


def _directory(tags: Sequence[tuple[int, str, Sequence[int]]], start: int, order: str) -> bytes:
    beyond = start + 2 + 12 * len(tags) + 4  # where values that don't fit into an entry go
    entries, values = [], b""
    for tag, letter, numbers in tags:
        raw = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", beyond + len(values))
        if len(raw) > 4:
            values += raw + b"\0" * (len(raw) % 2)
        entries.append(struct.pack(order + "HHI", tag, TYPES[letter], len(numbers)) + field)
    return struct.pack(order + "H", len(tags)) + b"".join(entries) + bytes(4) + values


def _parts(plane: NDArray[Any], *, tiled: bool) -> list[NDArray[Any]]:
    """Return the strips, or the tiles with those at the edges padded, in the order in which they are stored."""
    height, width, n_samples = plane.shape
    if not tiled:
        return [plane[row : row + STRIP_ROWS] for row in range(0, height, STRIP_ROWS)]
    tiles = []
    for row in range(0, height, TILE_SIDE):
        for column in range(0, width, TILE_SIDE):
            tile = np.zeros((TILE_SIDE, TILE_SIDE, n_samples), plane.dtype)
            part = plane[row : row + TILE_SIDE, column : column + TILE_SIDE]
            tile[: part.shape[0], : part.shape[1]] = part
            tiles.append(tile)
    return tiles


def _encoded(part: NDArray[Any], layout: Layout) -> bytes:
    if layout.predictor == 2:  # horizontal differencing (section 14)
        part = np.diff(part, axis=1, prepend=0) % (1 << layout.bits)
    rows = part.reshape(len(part), -1)
    if layout.bits % 8 == 0 and layout.bits != 24:
        kind = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}[layout.sample_format]
        data = rows.astype(f"{layout.order}{kind}{layout.bits // 8}").tobytes()
    else:
        shifts = np.arange(layout.bits - 1, -1, -1)
        data = np.packbits(((rows[:, :, None] >> shifts) & 1).reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()
    if layout.deflate:
        data = zlib.compress(data)
    if layout.fill_order == 2:  # the bits of each byte are stored in reverse
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        data = np.packbits(bits.reshape(-1, 8)[:, ::-1]).tobytes()
    return data

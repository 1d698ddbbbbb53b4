"""One segment of rows: written to temporary names and recorded when whole, checked block by block before it is trusted.

Its images are named by the first 128 bits of their content's digest, as two numbers: a row stays the row of its image
whatever the image is called, in whichever split, and whoever asks for it.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from frostline.files import sync_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from frostline.features._format import RowFormat

__all__ = [
    "ImageIds",
    "Segment",
    "SegmentWriter",
    "file_number",
    "ids_path",
    "image_ids",
    "read_segment",
    "remove_segment",
    "segment_numbers",
    "tensor_path",
]

ImageIds: TypeAlias = NDArray[np.uint64]
"""The names of N images, [N, 2]."""

BLOCK_BYTES = 1024 * 1024
"""A checksum is of about this many bytes: few enough to say where the damage is, enough to check at full speed."""

_NUMBERED = re.compile(r"(\d{5,})\.(?:json|ids|\d+\.bin)")


def image_ids(digests: Sequence[str]) -> ImageIds:
    """Return the names of images from the digests of their contents, hex of at least 32 digits."""
    text = "".join(digest[:32] for digest in digests)
    return np.frombuffer(bytes.fromhex(text), "<u8").reshape(-1, 2).astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment whose record and images were read.

    Attributes:
        folder, number: where it is.
        ids: its images, in the order of its rows.
        blocks: rows of each block that has a checksum.
        checksums: for each tensor, those of its blocks.
    """

    folder: Path
    number: int
    ids: ImageIds
    blocks: tuple[int, ...]
    checksums: tuple[tuple[int, ...], ...]

    def states(self) -> tuple[tuple[int, int, int], ...] | None:
        """Return what changes when one of its files is touched; None where one is missing."""
        paths = (tensor_path(self.folder, self.number, tensor) for tensor in range(len(self.checksums)))
        try:
            states = [path.stat() for path in (record_path(self.folder, self.number), *paths)]
        except OSError:
            return None
        return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states)

    def touch(self) -> None:
        """Count as used now."""
        with suppress(OSError):  # a store that can only be read
            os.utime(ids_path(self.folder, self.number))

    def check(self, row_bytes: Sequence[int]) -> str | None:
        """Return what is wrong with its rows, or None when every byte is right."""
        for tensor, (n_bytes, checksums) in enumerate(zip(row_bytes, self.checksums, strict=True)):
            sizes = [rows * n_bytes for rows in self.blocks]
            fault = _check_file(tensor_path(self.folder, self.number, tensor), sizes, checksums)
            if fault is not None:
                return fault
        return None


class SegmentWriter:
    """Writes one segment batch by batch; nothing of it exists for readers until ``finish``."""

    def __init__(self, folder: Path, number: int, row_format: RowFormat) -> None:
        self._folder, self._number, self._row_bytes = folder, number, row_format.row_bytes
        self._paths = [tensor_path(folder, number, tensor) for tensor in range(len(row_format.shapes))]
        self._files: list[BinaryIO] = []
        self._ids: list[ImageIds] = []
        self._blocks = [0]
        self._checksums = [[0] for _ in self._paths]
        self.n_rows = 0
        try:
            for path in self._paths:
                self._files.append(_partial(path).open("wb"))
        except OSError:
            self.abandon()
            raise

    def append(self, ids: ImageIds, tensors: Sequence[NDArray[Any]]) -> None:
        """Write rows of some images, one array [B, ...] of the format's dtype for each tensor."""
        if self._blocks[-1] * max(self._row_bytes, default=0) >= BLOCK_BYTES:
            self._blocks.append(0)
            for checksums in self._checksums:
                checksums.append(0)
        for file, checksums, rows in zip(self._files, self._checksums, tensors, strict=True):
            data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
            file.write(data)
            checksums[-1] = crc32c(data, checksums[-1])
        self._ids.append(ids)
        self._blocks[-1] += len(ids)
        self.n_rows += len(ids)

    def finish(self) -> None:
        """Make the segment exist: its bytes are on the disk before its record says so."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.flush()
            sync_file(file.fileno())
            file.close()
            _partial(path).replace(path)
        ids = np.concatenate(self._ids).astype("<u8").tobytes()
        write_atomically(ids_path(self._folder, self._number), ids)
        record = {"rows": self.n_rows, "ids": crc32c(ids), "blocks": self._blocks, "tensors": self._checksums}
        write_atomically(record_path(self._folder, self._number), json.dumps(record).encode())

    def abandon(self) -> None:
        """Drop what was written, giving its room back."""
        for file in self._files:
            with suppress(OSError):  # a full disk fails once more when the buffer is flushed
                file.close()
        for path in self._paths:
            _partial(path).unlink(missing_ok=True)


def read_segment(folder: Path, number: int, row_format: RowFormat) -> Segment | str:
    """Return a segment as its record has it, its rows not looked at yet, or what is wrong with the record."""
    try:
        record = json.loads(record_path(folder, number).read_bytes())
    except (OSError, ValueError) as error:
        return f"its record can't be read ({error})"
    try:
        ids = ids_path(folder, number).read_bytes()
    except OSError as error:
        return f"its list of images can't be read ({error.strerror or error})"
    try:
        blocks = tuple(int(rows) for rows in record["blocks"])
        checksums = tuple(tuple(int(crc) for crc in of_tensor) for of_tensor in record["tensors"])
        n_rows, crc = int(record["rows"]), int(record["ids"])
    except (KeyError, TypeError, ValueError):
        return "its record is damaged"
    fitting = len(checksums) == len(row_format.shapes) and all(len(each) == len(blocks) for each in checksums)
    if sum(blocks) != n_rows or not fitting:
        return "its record is damaged"
    if len(ids) != 16 * n_rows or crc32c(ids) != crc:
        return "its list of images is damaged"
    return Segment(folder, number, np.frombuffer(ids, "<u8").reshape(-1, 2), blocks, checksums)


def segment_numbers(folder: Path) -> tuple[set[int], set[int]]:
    """Return the numbers of the segments that have a record, and of files that have none: no segments, or no more."""
    recorded: set[int] = set()
    found: set[int] = set()
    for entry in _scan(folder):
        number = file_number(entry.name)
        if number is not None:
            (recorded if entry.name.endswith(".json") else found).add(number)
    return recorded, found - recorded


def file_number(name: str) -> int | None:
    """Return the number of the segment that a file belongs to, or None for any other file."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else None


def remove_segment(folder: Path, number: int) -> None:
    """Remove a segment: first its record, so that half of it is never taken for rows."""
    record_path(folder, number).unlink(missing_ok=True)
    for entry in list(_scan(folder)):
        if file_number(entry.name) == number:
            (folder / entry.name).unlink(missing_ok=True)


def record_path(folder: Path, number: int) -> Path:
    """Return where a segment's record is, whose existence is the segment's."""
    return folder / f"{number:05d}.json"


def ids_path(folder: Path, number: int) -> Path:
    """Return where a segment's images are listed; when the file was touched tells when the rows were last used."""
    return folder / f"{number:05d}.ids"


def tensor_path(folder: Path, number: int, tensor: int) -> Path:
    """Return where a segment's rows of one tensor are."""
    return folder / f"{number:05d}.{tensor}.bin"


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _check_file(path: Path, sizes: Sequence[int], checksums: Sequence[int]) -> str | None:
    # Read rather than mapped: a file that shrinks or a disk that fails while it is checked must not end the process.
    size, start = sum(sizes), 0
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                return f"{path.name} has {found} of {size} bytes" if found < size else f"{path.name} is too long"
            buffer = bytearray(max(sizes, default=0))
            for n_bytes, checksum in zip(sizes, checksums, strict=True):
                view = memoryview(buffer)[:n_bytes]
                filled = 0
                while filled < n_bytes and (n_read := file.readinto(view[filled:])):
                    filled += n_read
                if filled < n_bytes or crc32c(view) != checksum:
                    return f"{path.name} is damaged in its rows from {start} bytes on"
                start += n_bytes
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} can't be read ({error.strerror or error})"
    return None

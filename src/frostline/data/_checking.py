"""Decodes every chosen image once: its pixels' digest, or why it can't be used."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from frostline.data._dataset import Skipped, pixels_digest
from frostline.data._decoding import BadImageError
from frostline.data._remembered import Outcome, files_key, recall, remember
from frostline.data._workers import map_in_threads

if TYPE_CHECKING:
    from frostline.data._decoding import Pixels
    from frostline.data._source import Ids, ImageSource, Reader

__all__ = ["check_images"]


def check_images(source: ImageSource, ids: Ids, *, remembered: bool) -> tuple[list[Outcome], Reader]:
    """Return the outcome for each of some images, and their reader.

    ``remembered`` takes what an earlier check found in the same files, and reads nothing until it is needed.
    """
    files = source.files(ids)
    key = files_key(files, ids) if files else None
    known = recall(key, len(ids)) if remembered and key else None
    if known is not None:
        return known, _LateReader(source, ids)
    read = source.open(ids)

    def check(image: int) -> Outcome:
        try:
            return pixels_digest(read(image))
        except (OSError, ValueError) as error:  # ValueError: a bad image, or a path that no system accepts
            return Skipped(source.name(image), _cause(error))

    outcomes = map_in_threads(check, ids.tolist())
    if key and files_key(files, ids) == key:
        remember(key, outcomes)
    return outcomes, read


class _LateReader:
    """Opens a source's images when the first of them is read, by whichever thread."""

    def __init__(self, source: ImageSource, ids: Ids) -> None:
        self._source, self._ids, self._lock = source, ids, Lock()
        self._read: Reader | None = None

    def __call__(self, image: int) -> Pixels:
        with self._lock:
            if self._read is None:
                self._read = self._source.open(self._ids)
        return self._read(image)


def _cause(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError):
        return f"can't be read ({error.strerror or error})"
    return str(error) if isinstance(error, BadImageError) else f"can't be read ({error})"

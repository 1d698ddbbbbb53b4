"""CIFAR-10 from its official archive: 50,000 training and 10,000 test images of 32 by 32 pixels, ten classes."""

from __future__ import annotations

import errno
import gzip
import http.client
import socket
import tarfile
import urllib.error
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.data._source import ImageSource
from frostline.data_paths import data_path_fault, what_it_is
from frostline.errors import DataError, DiskFullError
from frostline.places import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.data._decoding import Pixels

__all__ = ["open_cifar10"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)
SILENCE_SECONDS = 60.0  # a server that says nothing for so long is taken for dead; urllib alone would wait for ever


def open_cifar10(path: str | None, *, download: bool = True) -> ImageSource:
    """Return CIFAR-10 (Krizhevsky 2009), downloaded through torchvision where it isn't at hand.

    Every file is compared with the checksum that torchvision knows, whether downloaded or not. Two processes
    download once. Nothing damaged is left where a later run would find it.

    Args:
        path: the folder of ``cifar-10-python.tar.gz`` or ``cifar-10-batches-py``, or one of these itself; the cache
            directory's ``datasets`` where left out.
        download: whether to download what is missing.

    Raises:
        DataError: missing or damaged and not to be downloaded, or the download failed; says which file to put where.
        DiskFullError: the folder can't be written.
    """
    from torchvision.datasets import CIFAR10

    fault = data_path_fault("cifar10", path) if path else None
    if fault is not None:
        raise DataError(f'data.path = "{path}": {fault}')
    root = Path(path).expanduser() if path else cache_directory() / "datasets"
    if root.name in (CIFAR10.base_folder, CIFAR10.filename):
        root = root.parent
    _require_files(CIFAR10, root)
    train = _at_hand(CIFAR10, root)
    if train is None:
        train = _fetched(CIFAR10, root, download)
    test = CIFAR10(root, train=False)
    images = np.concatenate([train.data, test.data])  # uint8 [N, 32, 32, 3]
    n_train = len(train.data)

    def read(image: int) -> Pixels:
        pixels: Pixels = images[image]
        return pixels

    def name(image: int) -> str:
        return f"train image {image}" if image < n_train else f"test image {image - n_train}"

    return ImageSource(
        classes=tuple(train.classes),
        labels=np.array([*train.targets, *test.targets], dtype=np.int64),
        parts={"train": np.arange(n_train), "test": np.arange(n_train, len(images))},
        name=name,
        open=lambda _: read,
    )


def _require_files(dataset: Any, root: Path) -> None:
    """Raise where something lies in a file's place that isn't one: reading or writing a pipe could wait for ever."""
    names = [name for name, _ in (*dataset.train_list, *dataset.test_list)] + [dataset.meta["filename"]]
    for path in (root / dataset.filename, *(root / dataset.base_folder / name for name in names)):
        if path.exists() and not path.is_file():
            raise DataError(f'data.source = "cifar10": {path} is a {what_it_is(path)}, not a file: remove it')


def _at_hand(dataset: Any, root: Path) -> Any | None:
    """Return torchvision's dataset when its unpacked files are complete and intact, else None."""
    try:
        return dataset(root, train=True)
    except RuntimeError:  # its way to say "not found or corrupted"
        return None


def _fetched(dataset: Any, root: Path, download: bool) -> Any:
    """Return the training images after unpacking the archive at hand or downloading it, in one process at a time."""
    from filelock import FileLock
    from torchvision.datasets.utils import check_integrity

    archive = root / dataset.filename
    try:
        if not (download or check_integrity(archive, dataset.tgz_md5)):
            raise DataError(f"{_state(dataset, root)}, and data.download = false. {_remedy(dataset, root)}")
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{dataset.filename}.lock"):
            train = _at_hand(dataset, root)  # another process may have fetched it meanwhile
            return train if train is not None else _download(dataset, root)
    except OSError as error:
        if isinstance(error, DiskFullError) or error.errno not in NO_ROOM:
            raise
        raise DiskFullError(
            f"{root}: can't hold CIFAR-10, which needs 350 MB ({error.strerror}); make room or set data.path to "
            "another folder"
        ) from error


def _download(dataset: Any, root: Path) -> Any:
    archive = root / dataset.filename
    before = _stamp(archive)
    try:
        with _no_endless_silence():
            return dataset(root, train=True, download=True)
    except (OSError, http.client.HTTPException, EOFError, tarfile.TarError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        cause = _cause(dataset, archive, error)
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it keeps the connection, and our own error keeps it
        if _stamp(archive) != before:
            archive.unlink(missing_ok=True)  # what this download left; a file that lay there before is the user's
        raise DataError(
            f'data.source = "cifar10": the download of {dataset.url} failed: {cause}. {_remedy(dataset, root)}'
        ) from error


def _cause(dataset: Any, archive: Path, error: Exception) -> str:
    """Return why it failed; torchvision says "File not found or corrupted." of a cut connection and of a wrong file."""
    if not isinstance(error, RuntimeError):
        reason = getattr(error, "reason", None) or error
        return " ".join(str(reason).split()) or type(error).__name__
    from torchvision.datasets.utils import calculate_md5

    if not archive.is_file():
        return "no file arrived"
    size = archive.stat().st_size
    if _is_cut_off(archive):
        return f"the connection broke after {size} bytes"
    found = calculate_md5(archive)
    if found != dataset.tgz_md5:
        return f"{size} bytes arrived with the MD5 checksum {found} instead of {dataset.tgz_md5}"
    return "the archive is intact but the files in it are not those of CIFAR-10"


def _is_cut_off(archive: Path) -> bool:
    """Tell whether a gzip file ends too early."""
    try:
        with gzip.open(archive) as stream:
            while stream.read(1 << 20):
                pass
    except EOFError:
        return True
    except OSError:
        return False
    return False


def _state(dataset: Any, root: Path) -> str:
    folder = root / dataset.base_folder
    named = f'data.source = "cifar10": {folder}'
    if not folder.is_dir():
        return f"{named} does not exist"
    from torchvision.datasets.utils import check_integrity

    files = [*dataset.train_list, *dataset.test_list, [dataset.meta["filename"], dataset.meta["md5"]]]
    wrong = [
        f"{name} is {'damaged' if (folder / name).exists() else 'missing'}"
        for name, md5 in files
        if not check_integrity(folder / name, md5)
    ]
    return f"{named} is incomplete: {', '.join(wrong)}"


def _remedy(dataset: Any, root: Path) -> str:
    return (
        f"Download {dataset.url} on any machine and put it at {(root / dataset.filename).absolute()} "
        f"(MD5 {dataset.tgz_md5}), or name the folder that holds it in data.path"
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None


@contextmanager
def _no_endless_silence() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

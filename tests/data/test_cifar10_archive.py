"""The CIFAR-10 source against a local server that gives a small archive of the real layout, whole, wrong or cut."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from frostline.data import load_dataset
from frostline.errors import DataError, DiskFullError
from frostline.places import cache_directory
from frostline.study import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ROWS = 20  # images of each batch file; the real ones hold 10,000
BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


@dataclass
class Archive:
    """A small cifar-10-python.tar.gz, its unpacked files, and the pixels [N, 32, 32, 3] of each batch."""

    data: bytes
    files: dict[str, bytes]
    images: dict[str, NDArray[np.uint8]]

    def md5(self, name: str | None = None) -> str:
        return hashlib.md5(self.data if name is None else self.files[name]).hexdigest()


@pytest.fixture(scope="module")
def archive() -> Archive:
    """As https://www.cs.toronto.edu/~kriz/cifar.html says: a row is 1,024 red, then green, then blue values."""
    rng = np.random.default_rng(0)
    files: dict[str, bytes] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    for name in BATCHES:
        pixels = rng.integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8)
        rows = pixels.transpose(0, 3, 1, 2).reshape(ROWS, 3072)
        batch = {"batch_label": name, "labels": [n % 10 for n in range(ROWS)], "data": rows}
        files[name] = pickle.dumps(batch, protocol=2)
        images[name] = pixels
    files["batches.meta"] = pickle.dumps({"label_names": CLASSES, "num_vis": 3072}, protocol=2)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Archive(stream.getvalue(), files, images)


@dataclass
class Server:
    """What the server sends; ``requests`` counts the times that the archive itself was asked for."""

    data: bytes
    fault: str = "none"
    requests: int = 0
    url: str = field(default="")


def answer(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # torchvision first follows redirects with a request of the same kind, which it doesn't read
            server.requests += 1
            if server.fault == "absent":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(server.data)))
            self.end_headers()
            try:
                self._send_body()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send_body(self) -> None:
            half = server.data[: len(server.data) // 2]
            if server.fault == "cut":
                self.wfile.write(half)
            elif server.fault == "reset":
                self.wfile.write(half)
                self.wfile.flush()
                # a linger of zero seconds makes close() send a reset in place of an orderly end
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            elif server.fault == "silent":
                self.wfile.write(half)
                self.wfile.flush()
                silence.wait(20)
            else:
                self.wfile.write(server.data)

        def log_message(self, *_: Any) -> None:
            pass

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    return Handler


silence = threading.Event()


@pytest.fixture
def server(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, with torchvision's address and checksums set to its archive's."""
    state = Server(archive.data)
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), answer(state))
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http_server.server_port}/cifar-10-python.tar.gz"
    expect(archive, state.url, monkeypatch)
    silence.clear()
    yield state
    silence.set()
    http_server.shutdown()
    http_server.server_close()
    thread.join()


def expect(archive: Archive, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(CIFAR10, "url", url)
    monkeypatch.setattr(CIFAR10, "tgz_md5", archive.md5())
    monkeypatch.setattr(CIFAR10, "train_list", [[name, archive.md5(name)] for name in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", archive.md5("test_batch")]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": archive.md5("batches.meta")})


def ask(path: Path | None, **others: Any) -> Data:
    return Data(source="cifar10", path=None if path is None else str(path), val=10, **others)


def unpack(archive: Archive, folder: Path) -> Path:
    folder = folder / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in archive.files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_good_download_is_loaded_whole_and_in_order(server: Server, archive: Archive, tmp_path: Path) -> None:
    dataset = load_dataset(ask(tmp_path))
    assert dataset.classes == tuple(CLASSES)
    assert [len(split) for split in dataset.splits] == [90, 10, 20]
    every = np.concatenate([archive.images[name] for name in BATCHES])
    for split in dataset.splits:
        assert split.labels.tolist() == [image % ROWS % 10 for image in split.ids.tolist()]
        for position, image in enumerate(split.ids.tolist()):
            np.testing.assert_array_equal(dataset.pixels(split, position), every[image])
    assert dataset.test.ids.tolist() == list(range(100, 120))
    assert dataset.name("test", 3) == "test image 3"
    assert dataset.name_of(7) == "train image 7"


def test_a_second_run_downloads_nothing(server: Server, tmp_path: Path) -> None:
    first = load_dataset(ask(tmp_path))
    requests = server.requests
    assert load_dataset(ask(tmp_path)).fingerprint == first.fingerprint
    assert server.requests == requests


def test_without_a_path_the_cache_directory_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    load_dataset(ask(None))
    assert (cache_directory() / "datasets" / "cifar-10-batches-py" / "batches.meta").is_file()


def test_many_at_once_download_once(server: Server, tmp_path: Path) -> None:
    load_dataset(ask(tmp_path / "alone"))
    alone = server.requests
    with ThreadPoolExecutor(4) as pool:
        prints = list(pool.map(lambda _: load_dataset(ask(tmp_path / "together")).fingerprint, range(4)))
    assert len(set(prints)) == 1
    assert server.requests == 2 * alone


@pytest.mark.parametrize("inside", [True, False])
def test_an_existing_folder_needs_no_server(
    archive: Archive, tmp_path: Path, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(archive, "http://127.0.0.1:9/never-asked", monkeypatch)
    folder = unpack(archive, tmp_path)
    dataset = load_dataset(ask(folder if inside else tmp_path, download=False))
    assert [len(split) for split in dataset.splits] == [90, 10, 20]


def test_an_archive_put_there_by_hand_is_unpacked(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(archive, "http://127.0.0.1:9/never-asked", monkeypatch)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive.data)
    assert [len(split) for split in load_dataset(ask(tmp_path, download=False)).splits] == [90, 10, 20]


def test_a_damaged_file_is_unpacked_again(server: Server, tmp_path: Path) -> None:
    first = load_dataset(ask(tmp_path))
    requests = server.requests
    damaged = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert load_dataset(ask(tmp_path)).fingerprint == first.fingerprint
    assert server.requests == requests


def wrong(server: Server) -> None:
    server.data = bytes(len(server.data) - 5)


def other_gzip(server: Server) -> None:
    server.data = gzip.compress(b"another file")


FAULTS: dict[str, tuple[Callable[[Server], Any], str]] = {
    "wrong contents": (wrong, r"\d+ bytes arrived with the MD5 checksum [0-9a-f]{32} instead of [0-9a-f]{32}"),
    "another archive": (other_gzip, r"\d+ bytes arrived with the MD5 checksum"),
    "nothing": (lambda server: setattr(server, "data", b""), r"0 bytes arrived with the MD5 checksum"),
    "cut mid-way": (lambda server: setattr(server, "fault", "cut"), r"the connection broke after \d+ bytes"),
    "reset mid-way": (
        lambda server: setattr(server, "fault", "reset"),
        "Connection reset by peer|the connection broke",
    ),
    "silent mid-way": (lambda server: setattr(server, "fault", "silent"), "timed out"),
    "no such file": (lambda server: setattr(server, "fault", "absent"), "HTTP Error 404|Not Found"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_failed_download_says_why_and_what_to_put_where(
    case: str, server: Server, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.data._cifar10.SILENCE_SECONDS", 0.3)
    break_it, message = FAULTS[case]
    break_it(server)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(ask(tmp_path))
    said = str(raised.value)
    assert f"the download of {server.url} failed" in said
    assert f"put it at {tmp_path / 'cifar-10-python.tar.gz'} (MD5 {archive.md5()})" in said
    assert socket.getdefaulttimeout() is None
    # nothing half-made stays behind, and the next try succeeds
    assert not (tmp_path / "cifar-10-python.tar.gz").exists()
    server.data, server.fault = archive.data, "none"
    assert len(load_dataset(ask(tmp_path)).train) == 90


def test_files_that_are_not_those_of_cifar10(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", "0" * 32]])
    with pytest.raises(DataError, match="the archive is intact but the files in it are not those of CIFAR-10"):
        load_dataset(ask(tmp_path))


def test_no_server(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:  # bound but not listening: nobody else can take the port meanwhile
        unused.bind(("127.0.0.1", 0))
        expect(archive, f"http://127.0.0.1:{unused.getsockname()[1]}/cifar-10-python.tar.gz", monkeypatch)
        with pytest.raises(DataError, match=r"failed: .*Connection refused.* put it at .*cifar-10-python.tar.gz \(MD5"):
            load_dataset(ask(tmp_path))


def test_no_network(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(archive, "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", monkeypatch)

    def unreachable(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(
        DataError, match=r"failed: .*Temporary failure in name resolution.* on any machine and put it at"
    ):
        load_dataset(ask(tmp_path))


def test_a_file_of_the_users_survives_a_failed_download(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(archive, "http://127.0.0.1:9/cifar-10-python.tar.gz", monkeypatch)
    theirs = tmp_path / "cifar-10-python.tar.gz"
    theirs.write_bytes(b"not the archive")
    with pytest.raises(DataError, match=r"failed: "):
        load_dataset(ask(tmp_path))
    assert theirs.read_bytes() == b"not the archive"


def test_nothing_is_downloaded_when_the_study_says_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"cifar-10-batches-py does not exist, and data.download = false. Download http"
    ):
        load_dataset(ask(tmp_path / "new", download=False))
    assert server.requests == 0
    assert not (tmp_path / "new").exists()


def test_damaged_files_are_named_when_nothing_may_be_downloaded(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    folder = unpack(archive, tmp_path)
    (folder / "data_batch_2").write_bytes(b"damaged")
    (folder / "batches.meta").unlink()
    with pytest.raises(
        DataError, match=r"is incomplete: data_batch_2 is damaged, batches.meta is missing, and data.down"
    ):
        load_dataset(ask(tmp_path, download=False))


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EPERM"])
def test_no_room_or_no_permission(number: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        code = getattr(errno, number)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", refuse)
    with pytest.raises(DiskFullError, match=r"can't hold CIFAR-10, which needs 350 MB .*; make room or set data.path"):
        load_dataset(ask(tmp_path))

"""Downloads through the libraries' own code, from a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from frostline.errors import WeightsError
from frostline.models import load_backbone
from frostline.models._sources import _find_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = "shufflenet_v2_x0_5"
REPO = "timm/test_vit.r160_in1k"


class Server(ThreadingHTTPServer):
    """Serves files from memory; a path in ``broken`` is cut off half way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        content = self.server.files.get(self.path)
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if body:
            self.wfile.write(content[: len(content) // 2] if self.path in self.server.broken else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A weights file of the small network, as torch's servers hold it."""
    path = tmp_path_factory.mktemp("weights") / "file.pth"
    state = load_backbone(SMALL, "none", 64).module.state_dict()
    torch.save({name: tensor + 1 for name, tensor in state.items()}, path)
    return path.read_bytes()


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let torchvision's own entry for the small network's weights name another server."""
    weights = torchvision.models.get_model_weights(SMALL).DEFAULT
    monkeypatch.setattr(weights.value, "url", url)
    _find_source.cache_clear()


def test_good_hash(
    server: Server,
    file: bytes,
    checkpoints: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"small-{hashlib.sha256(file).hexdigest()[:8]}.pth"
    server.files[f"/{name}"] = file
    point_at(monkeypatch, f"{server.address}/{name}")
    digests = {load_backbone(SMALL, "default", 64).weights_digest for _ in range(2)}
    assert len(digests) == 1
    assert digests != {load_backbone(SMALL, "none", 64).weights_digest}
    assert server.asked == [f"/{name}"]  # the second time from the cache
    assert (checkpoints / name).read_bytes() == file
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout is for results
    assert "Downloading" in captured.err


@pytest.mark.parametrize("fault", ["bad hash", "broken connection", "not found", "no network"])
def test_faults(fault: str, server: Server, file: bytes, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"small-{hashlib.sha256(file).hexdigest()[:8]}.pth"
    if fault == "bad hash":
        server.files[f"/{name}"] = file + b"more"
    elif fault == "broken connection":
        server.files[f"/{name}"] = file
        server.broken.add(f"/{name}")
    url = f"{server.address}/{name}" if fault != "no network" else f"http://127.0.0.1:9/{name}"
    point_at(monkeypatch, url)
    with pytest.raises(WeightsError) as caught:
        load_backbone(SMALL, "default", 64)
    message = str(caught.value)
    reasons = {"bad hash": "invalid hash", "not found": "404", "no network": "refused"}
    assert f"the weights of {SMALL} could not be downloaded from {url}: " in message
    assert reasons.get(fault, "") in message
    assert f"put that file at {checkpoints / name}, or set weights to a local file" in message
    assert not list(checkpoints.glob("*"))  # nothing half-done stays
    (checkpoints / name).write_bytes(file)  # the remedy it names
    assert load_backbone(SMALL, "default", 64).weights_from == url


def test_a_damaged_file_in_the_cache(file: bytes, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"small-{hashlib.sha256(file).hexdigest()[:8]}.pth"
    point_at(monkeypatch, f"http://127.0.0.1:9/{name}")
    checkpoints.mkdir(parents=True)
    flipped = bytearray(file)
    flipped[len(file) // 2] ^= 1
    (checkpoints / name).write_bytes(flipped)
    with pytest.raises(WeightsError, match=rf"{name} is damaged: its SHA-256 is .* delete it to download it again"):
        load_backbone(SMALL, "default", 64)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Path:
    """The Hugging Face hub's client, pointed at the server and at a cache of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_timms_download(server: Server, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from safetensors.torch import save_file

    random = load_backbone("timm:test_vit", "none", 160)
    state = {name: tensor + 1 for name, tensor in random.module.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    server.files[f"/{REPO}/resolve/main/model.safetensors"] = (tmp_path / "model.safetensors").read_bytes()
    loaded = load_backbone("timm:test_vit", "default", 160)
    torch.testing.assert_close(dict(loaded.module.state_dict()), state, rtol=0, atol=0)
    assert loaded.weights_from == REPO
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_backbone("timm:test_vit", "default", 160).weights_digest == loaded.weights_digest
    blob = next(hub.glob("models--timm--*/blobs/*"))
    damaged = bytearray(blob.read_bytes())
    damaged[-1] ^= 1
    blob.write_bytes(damaged)
    with pytest.raises(WeightsError, match=r"model.safetensors is damaged"):
        load_backbone("timm:test_vit", "default", 160)


def test_timm_without_a_network(hub: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        WeightsError, match=rf"could not be downloaded from {server.address}/{REPO}/.*set weights to its local path"
    ):
        load_backbone("timm:test_vit", "default", 160)


def test_a_network_without_pretrained_weights() -> None:
    with pytest.raises(WeightsError, match="timm:botnet50ts_256 has no pretrained weights: set weights to a local"):
        load_backbone("timm:botnet50ts_256", "default", 256)

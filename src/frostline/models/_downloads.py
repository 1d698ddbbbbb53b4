"""A library's own weights, through its own cache and download, with errors that say which file to put where."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from frostline.errors import ModelError, WeightsError

if TYPE_CHECKING:
    from torch import nn

    from frostline.models._sources import NetworkSource

__all__ = ["build_pretrained"]


def build_pretrained(source: NetworkSource) -> nn.Module:
    """Return a network with its library's own weights.

    Raises:
        WeightsError: there are none, they can't be downloaded, or the file is damaged.
    """
    if source.url is None and source.hub is None:
        raise WeightsError(
            f'backbone {source.backbone} has no pretrained weights: set weights to a local file, or to "none"'
        )
    cached = _cached_file(source)
    if cached.is_file():
        _check_hash(cached)
    try:
        # The libraries announce a download on stdout, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            return source.build(True)
    except ModelError:
        raise
    except Exception as error:  # whatever the network, the server, the disk or the file's reader raise
        reason = str(error).strip().splitlines()
        raise WeightsError(
            f"the weights of {source.backbone} could not be downloaded from {_address(source)}: "
            f"{reason[0] if reason else repr(error)}. {_remedy(source, cached)}"
        ) from error


def _cached_file(source: NetworkSource) -> Path:
    """Return where the library keeps the file, whether or not it is there yet."""
    if source.hub is not None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(source.hub, "model.safetensors")
        return Path(found) if isinstance(found, str) else Path(f"model of {source.hub}")
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(str(source.url)).path).name


def _address(source: NetworkSource) -> str:
    if source.hub is None:
        return str(source.url)
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.hub, "model.safetensors")


def _remedy(source: NetworkSource, cached: Path) -> str:
    if source.hub is None:
        return f"Without a network, put that file at {cached}, or set weights to a local file"
    return "Without a network, fetch that file elsewhere and set weights to its local path"


def _check_hash(path: Path) -> None:
    """Check a cached file against the hash in its name: torch's ``NAME-<hash>.pth``, or a blob of the Hub's cache."""
    name = path.resolve().name
    match = re.search(r"-([a-f0-9]{8,64})\.", path.name) or re.fullmatch(r"([a-f0-9]{64})", name)
    if match is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(match[1]):
        raise WeightsError(
            f"the weights file {path} is damaged: its SHA-256 is {digest[:16]}.., where its name says {match[1][:16]}; "
            "delete it to download it again"
        )

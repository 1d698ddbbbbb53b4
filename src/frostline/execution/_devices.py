"""The device to compute on, and which code and packages made a run's numbers."""

from __future__ import annotations

import platform
from importlib import metadata

import torch

from frostline._version import __version__
from frostline.errors import FrostlineError

__all__ = ["choose_device", "describe_provenance"]

_PACKAGES = ("torch", "torchvision", "timm", "openvino", "numpy", "pillow", "simplejpeg")


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        FrostlineError: the name isn't a device's, or the device isn't there.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind = name.partition(":")[0]
    if kind not in available:
        raise FrostlineError(f'device "{name}" is unknown: choose auto, {", ".join(available)}')
    if not available[kind]:
        usable = ", ".join(kind for kind, there in available.items() if there)
        raise FrostlineError(f'device "{name}" is not available here; usable: auto, {usable}')
    return torch.device(name)


def describe_provenance(device: torch.device) -> dict[str, str]:
    """Return the versions and the machine that make a run's numbers."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return {
        "frostline": __version__,
        "python": platform.python_version(),
        **versions,
        "machine": platform.machine(),
        "device": str(device),
        "threads": str(torch.get_num_threads()),
    }

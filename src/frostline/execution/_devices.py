"""The device to compute on, and which code and packages made a run's numbers."""

from __future__ import annotations

import platform
import re
from importlib import metadata

import torch

from frostline._version import __version__
from frostline.errors import FrostlineError

__all__ = ["choose_device", "choose_engine", "describe_provenance"]

_PACKAGES = ("torch", "torchvision", "timm", "openvino", "numpy", "pillow", "simplejpeg")


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        FrostlineError: the name isn't a device's, or the device isn't there.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if counts[kind]))
    match = re.fullmatch(r"(cpu|cuda|mps)(?::(\d{1,3}))?", name)
    if match is None:
        raise FrostlineError(f'device "{name}" is unknown: choose auto, {", ".join(counts)}, or cuda:N')
    if int(match[2] or 0) >= counts[match[1]]:
        usable = ", ".join(kind for kind, count in counts.items() if count)
        raise FrostlineError(f'device "{name}" is not available here; usable: auto, {usable}')
    return torch.device(name)


def choose_engine(name: str, device: torch.device) -> str:
    """Return the engine of feature passes that a name prefers on a device; ``auto`` is OpenVINO on the CPU.

    Raises:
        FrostlineError: there is no such engine.
    """
    if name == "auto":
        return "openvino" if device.type == "cpu" else "torch"
    if name not in ("openvino", "torch"):
        raise FrostlineError(f'engine "{name}" is unknown: choose auto, openvino, torch')
    return name


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

"""Where a run computes and how exactly, as far as rates depend on it; the CPU is known without loading torch."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frostline.plan import Precision

__all__ = ["CPU", "Place", "may_have_accelerator"]

DRIVERS = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg", "/dev/kfd")
"""What drivers of GPUs that torch can use leave on Linux: NVIDIA's, that of Windows below it, and AMD's."""


@dataclass(frozen=True)
class Place:
    """A device, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, and a precision."""

    device: str = "cpu"
    precision: Precision = "ieee"

    @property
    def kind(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        return self.device.partition(":")[0]

    @property
    def key(self) -> str:
        """What rates are remembered under: a device's name, as a machine may have GPUs of several kinds."""
        if self == CPU:
            return ""
        return f"-{_device_name(self.device)}-{self.precision}".replace(" ", "_")

    def synchronise(self) -> None:
        """Wait for what an accelerator has been asked for: it computes after the call that asks."""
        if self.kind == "cpu":
            return
        import torch

        torch.cuda.synchronize(self.device) if self.kind == "cuda" else torch.mps.synchronize()


CPU = Place()


def may_have_accelerator() -> bool:
    """Return False where there is surely no device but the CPU; asking torch would take seconds to load it."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return any(Path(driver).exists() for driver in DRIVERS)


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else device

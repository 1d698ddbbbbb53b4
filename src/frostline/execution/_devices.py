"""The device to compute on, and which code and packages made a run's numbers."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import get_args

import torch

from frostline._version import __version__
from frostline.errors import FrostlineError
from frostline.plan import Precision, precision_on

__all__ = ["choose_device", "choose_engine", "choose_precision", "describe_provenance"]

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"

AMPERE = (8, 0)
"""The compute capability of the first NVIDIA GPUs with TF32 and bfloat16."""

_NAMES = {"cpu": "the CPU", "cuda": "CUDA", "mps": "MPS"}

_PACKAGES = ("torch", "torchvision", "timm", "openvino", "numpy", "pillow", "simplejpeg")


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        FrostlineError: the name isn't a device's, or the device isn't there or can't be made deterministic any more.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        return _ready(torch.device(next(kind for kind in ("cuda", "mps", "cpu") if counts[kind])))
    match = re.fullmatch(r"(cpu|cuda|mps)(?::(\d{1,3}))?", name)
    if match is None:
        raise FrostlineError(f'device "{name}" is unknown: choose auto, {", ".join(counts)}, or cuda:N')
    if int(match[2] or 0) >= counts[match[1]]:
        usable = ", ".join(kind for kind, count in counts.items() if count)
        raise FrostlineError(f'device "{name}" is not available here; usable: auto, {usable}')
    return _ready(torch.device(name))


def _ready(device: torch.device) -> torch.device:
    """Have cuBLAS give the same bits each time, which it reads from the environment when CUDA begins."""
    if device.type == "cuda" and os.environ.get(CUBLAS) not in (":4096:8", ":16:8"):
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            raise FrostlineError(
                f"this program used the GPU before Frostline did, without {CUBLAS}, so that reruns could differ: set "
                f'os.environ["{CUBLAS}"] = ":4096:8" before anything uses the GPU, or use --device cpu (device="cpu")'
            )
        os.environ[CUBLAS] = ":4096:8"
    return device


def choose_engine(name: str, device: torch.device, precision: Precision) -> str:
    """Return the engine of feature passes that a name prefers; ``auto`` is OpenVINO on the CPU, in float32.

    OpenVINO's own bfloat16 isn't used: it only computes in it where the processor can, without saying whether it did,
    and rounds elsewhere than torch, so that the plain loop would be no reference.

    Raises:
        FrostlineError: there is no such engine, or it doesn't compute in that precision or there.
    """
    if name == "auto":
        return "openvino" if device.type == "cpu" and precision == "ieee" else "torch"
    if name not in ("openvino", "torch"):
        raise FrostlineError(f'engine "{name}" is unknown: choose auto, openvino, torch')
    if name == "openvino" and device.type != "cpu":
        raise FrostlineError(f'engine "openvino" runs on the CPU only, not on {device}: {_leave_out("engine")}')
    if name == "openvino" and precision != "ieee":
        raise FrostlineError(
            f'engine "openvino" computes in float32 only, not in {precision}: {_leave_out("engine")}, or '
            f"{_leave_out('precision')}"
        )
    return name


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of a name, where the device has it.

    Raises:
        FrostlineError: there is no such precision, or the device doesn't have it.
    """
    known: dict[str, Precision] = {precision: precision for precision in get_args(Precision)}
    if name not in known:
        raise FrostlineError(f'precision "{name}" is unknown: choose {", ".join(known)}')
    precision = known[name]
    if precision_on(precision, device.type) != precision:
        usable = ", ".join(each for each in known.values() if precision_on(each, device.type) == each)
        why = "has no effect" if precision == "tf32" else "is not offered"
        raise FrostlineError(f'precision "{name}" {why} on {_NAMES[device.type]}; usable there: {usable}')
    if precision != "ieee" and device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < AMPERE:
            raise FrostlineError(
                f'precision "{name}" needs an NVIDIA GPU of compute capability 8.0 or higher; '
                f"{torch.cuda.get_device_name(device)} has {capability[0]}.{capability[1]}: {_leave_out('precision')}"
            )
    return precision


def _leave_out(option: str) -> str:
    return f"leave out --{option} ({option}= in Python)"


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

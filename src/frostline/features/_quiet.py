"""Imports OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["import_openvino"]


def import_openvino() -> Any:
    """Return OpenVINO, which sends nobody word of its use.

    Its telemetry would send each conversion to a server, from a fork of this process: a fork of one with threads may
    hang, holds all of its memory, and outlives it where that is killed. OpenVINO does without where it isn't installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")

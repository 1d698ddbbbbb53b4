"""Versions of packages, for what is recorded and for what decides bits."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed_version"]


def installed_version(package: str) -> str:
    """Return a package's version, or ``none`` where it isn't installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"

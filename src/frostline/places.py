"""Where things live: results in the working directory, what can be made again in the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_directory", "workspace_directory"]


def cache_directory() -> Path:
    """Return the directory of what can be made again: ``$FROSTLINE_CACHE``, or the user's cache directory."""
    given = os.environ.get("FROSTLINE_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("frostline"))


def workspace_directory() -> Path:
    """Return the directory of results: ``$FROSTLINE_WORKSPACE``, or ``runs`` in the working directory."""
    return Path(os.environ.get("FROSTLINE_WORKSPACE") or "runs")

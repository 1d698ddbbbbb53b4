"""The command line: one file a command, importing only the public library, and that only when a command needs it."""

from __future__ import annotations

from frostline.cli._app import app, main

__all__ = ["app", "main"]

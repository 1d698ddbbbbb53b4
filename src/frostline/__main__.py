"""``python -m frostline``: the same as the ``frostline`` command."""

from __future__ import annotations

from frostline.cli import main

main()

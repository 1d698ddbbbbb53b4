"""How many threads compute: they divide sums among them, and so decide last bits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["on_threads"]


@contextmanager
def on_threads(n: int) -> Iterator[None]:
    """Let torch compute on ``n`` threads, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Independent random streams: one for each purpose, so that nothing perturbs anything else.

A stream is named by its purpose and by the integers it depends on. Adding a draw to one stream leaves every other
one as it was, and a stream can be entered at any epoch without replaying those before it.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

__all__ = ["numpy_stream", "stream_seed", "torch_stream"]

_global_generators = threading.RLock()


def stream_seed(purpose: str, *ids: int) -> int:
    """Return the seed, in [0, 2**63), of the stream of a purpose, e.g. ``stream_seed("dropout", seed, epoch)``."""
    text = ":".join([purpose, *(str(int(i)) for i in ids)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(purpose: str, *ids: int) -> np.random.Generator:
    """Return a fresh NumPy generator at the start of a stream."""
    return np.random.Generator(np.random.PCG64(stream_seed(purpose, *ids)))


@contextmanager
def torch_stream(seed: int | None = None, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Have torch's global generators to oneself, and put them back as they were.

    Layers draw from them when they are built and when they drop units; a process has one for each device. Another
    thread that asks for them waits until then, so hold them for a step or a network, not for an epoch.

    Args:
        seed: where to set them; left out, they begin as they are.
        devices: those of CUDA that are drawn on; with a seed all of them, as it sets them all.
    """
    import torch

    if seed is not None and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    with _global_generators, torch.random.fork_rng(devices=devices):
        if seed is not None:
            torch.manual_seed(seed)
        yield

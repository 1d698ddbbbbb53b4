"""Independent random streams: one for each purpose, so that nothing perturbs anything else.

A stream is named by its purpose and by the integers it depends on. Adding a draw to one stream leaves every other
one as it was, and a stream can be entered at any epoch without replaying those before it.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["numpy_stream", "stream_seed"]


def stream_seed(purpose: str, *ids: int) -> int:
    """Return the seed, in [0, 2**63), of the stream of a purpose, e.g. ``stream_seed("dropout", seed, epoch)``."""
    text = ":".join([purpose, *(str(int(i)) for i in ids)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(purpose: str, *ids: int) -> np.random.Generator:
    """Return a fresh NumPy generator at the start of a stream."""
    return np.random.Generator(np.random.PCG64(stream_seed(purpose, *ids)))

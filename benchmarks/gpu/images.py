"""Images like CIFAR-10's for a machine that hasn't got it: as many, as large, decoded at the same cost."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["N_CLASSES", "make_images"]

N_CLASSES = 10


def make_images(folder: Path, n_train: int, n_test: int) -> Path:
    """Write made-up images of ten classes as Parquet files in the Hugging Face layout; returns their folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for split, n, seed in (("train", n_train, 0), ("test", n_test, 1)):
        labels = np.arange(n) % N_CLASSES
        with ThreadPoolExecutor() as pool:
            encoded = list(pool.map(lambda i, seed=seed: _encode(seed, i), range(n)))
        images = [{"bytes": content, "path": f"{split}{i}.png"} for i, content in enumerate(encoded)]
        pq.write_table(pa.table({"img": images, "label": labels}), folder / f"{split}-00000-of-00001.parquet")
    return folder


def _encode(seed: int, index: int) -> bytes:
    """Return a PNG of 32 pixels: coarse noise on the colour of its class, as smooth as a photograph."""
    from PIL import Image

    generator = np.random.Generator(np.random.PCG64([seed, index]))
    coarse: Any = generator.normal(0, 40, (8, 8, 3)).repeat(4, axis=0).repeat(4, axis=1)
    colour = np.random.Generator(np.random.PCG64(index % N_CLASSES)).uniform(60, 190, 3)
    pixels = np.clip(coarse + colour + generator.normal(0, 4, (32, 32, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()

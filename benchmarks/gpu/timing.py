"""The benchmark itself, with what was installed for it: ``python -m benchmarks.gpu.timing JOB``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.images import make_images
from benchmarks.gpu.workloads import WORKLOADS, Sizes, measure
from frostline.data import load_dataset
from frostline.features import computing
from frostline.study import Data

__all__ = ["run"]

TINY = Sizes(n_images=100, image_size=32, batch_size=16, heads=(4, 8), head_epochs=2)

LEAST_SECONDS = 60.0
"""A workload isn't begun with less time left."""


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of all workloads that there is time for."""
    deadline = time.perf_counter() + job["seconds"]
    sizes, device, place = TINY if job["tiny"] else Sizes(), torch.device(job["device"]), Path(job["place"])
    n_test = max(20, sizes.n_images // 5)
    data = Path(job["data"]) if job["data"] else make_images(place / "images", sizes.n_images, n_test)
    images = _images(data, sizes)
    rows: list[dict[str, Any]] = []
    with computing(job["precision"], device.type):
        for name in WORKLOADS:
            if time.perf_counter() > deadline - (0 if job["tiny"] else LEAST_SECONDS):
                rows.append({"workload": name, "skipped": "no time left"})
                continue
            rows.append(measure(name, sizes, data, place / "runs", device, job["precision"], images))
    described = f"{sizes.n_images:,} {'images of CIFAR-10' if job['data'] else 'made-up images'}"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    described += f" at {sizes.image_size} px, ResNet-18 of random weights"
    return {
        "device": name,
        "precision": job["precision"],
        "torch": torch.__version__,
        "images": described,
        "rows": rows,
    }


def _images(data: Path, sizes: Sizes) -> torch.Tensor:
    """Return a tenth of the images, uint8 [N, 3, H, W]."""
    n = max(2 * sizes.batch_size, sizes.n_images // 10)
    dataset = load_dataset(Data(source="parquet", path=str(data), train=n, val=20))
    pixels = np.stack([dataset.pixels("train", position) for position in range(len(dataset.train))])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))

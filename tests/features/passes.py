"""A small network, its images and its passes, for every test of the features room and for its child processes."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torchvision
from torch import nn

from frostline.data import Preprocessing, normalise
from frostline.features import FeatureSpec, FeatureStore, PassReport, run_pass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.plan import Precision

N = 90
BATCH_SIZE = 4
SEGMENT_BATCHES = 3
"""12 rows a segment: 7 whole segments and one of 6 rows, whose last batch is half full."""

PREPROCESSING = Preprocessing(64)

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "input": ((3, 64, 64),),
    "layer2": ((64, 16, 16),),
    "layer3.0.conv2": ((256, 4, 4), (128, 8, 8)),
    "layer4": ((256, 4, 4),),
    "layer4.copy": ((256, 4, 4), (256, 4, 4)),
    "head": ((512,),),
}
"""One row's tensors at each cut; inside a residual block two cross, and one cut hands the same tensor over twice."""


class Prefix(nn.Module):
    """ResNet-18 up to some cuts."""

    def __init__(self, cuts: Sequence[str]) -> None:
        super().__init__()
        self.network, self.cuts = network(), tuple(cuts)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        net: Any = self.network
        found: dict[str, tuple[torch.Tensor, ...]] = {}
        x = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(x)))))
        found["layer2"] = (x,)
        x = net.layer2(x)
        block = net.layer3[0]
        found["layer3.0.conv2"] = (torch.relu(block.bn1(block.conv1(x))), x)
        x = net.layer3(x)
        found["layer4"] = (x,)
        found["layer4.copy"] = (x, x)
        found["head"] = (torch.flatten(net.avgpool(net.layer4(x)), 1),)
        return tuple(tensor for cut in self.cuts for tensor in found[cut])


@cache
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net: nn.Module = torchvision.models.resnet18()
    return net.eval()


@cache
def images() -> NDArray[np.uint8]:
    """All images, uint8 [N, 3, H, W]: smooth, so that activations are as unlike as those of photographs."""
    coarse = np.random.Generator(np.random.PCG64(5)).integers(0, 256, (N, 3, 8, 8), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 8, axis=2), 8, axis=3)


def make_specs(cuts: Sequence[str], dtype: Literal["float32", "float16"] = "float32") -> list[FeatureSpec]:
    return [
        FeatureSpec(PREPROCESSING, None, "resnet18", "random", cut, "uint8" if cut == "input" else dtype)
        for cut in cuts
    ]


@cache
def digests() -> tuple[str, ...]:
    """The names of all images, in order."""
    return tuple(hashlib.sha256(image.tobytes()).hexdigest()[:32] for image in images())


def normalise_batch(batch: torch.Tensor) -> torch.Tensor:
    return normalise(batch, PREPROCESSING)


def run(
    store: FeatureStore,
    cuts: Sequence[str],
    dtype: Literal["float32", "float16"] = "float32",
    seconds_a_batch: float = 0.0,
    chosen: Sequence[int] = range(N),
    precision: Precision = "ieee",
    **options: Any,
) -> PassReport:
    """Run a pass over the images, or some of them, on eager torch unless told otherwise."""

    def load(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        time.sleep(seconds_a_batch)
        pictures: NDArray[np.uint8] = images()[np.asarray(chosen)[positions]]
        return pictures

    settings = {"engine": "torch", "batch_size": BATCH_SIZE, **options}
    return run_pass(
        store,
        [replace(spec, precision=precision) for spec in make_specs(cuts, dtype)],
        lambda: Prefix([cut for cut in cuts if cut != "input"]),
        [SHAPES[cut] for cut in cuts],
        load,
        normalise_batch,
        [digests()[image] for image in chosen],
        **settings,
    )


def expected(cuts: Sequence[str]) -> list[tuple[NDArray[np.float32], ...]]:
    """Return the rows of all images at each cut, by eager torch in one batch."""
    result = []
    for cut in cuts:
        with torch.inference_mode():
            tensors = Prefix([cut])(normalise_batch(torch.from_numpy(images())))
        result.append(tuple(tensor.numpy() for tensor in tensors))
    return result


def contents(store: FeatureStore) -> dict[str, bytes]:
    """Return every file of rows and records in a store: what must be equal bit for bit."""
    return {
        str(path.relative_to(store.path)): path.read_bytes()
        for path in sorted(store.path.rglob("*"))
        if path.is_file() and path.parent.name != "locks"
    }


def segment_file(store: FeatureStore, cut: str, name: str) -> Path:
    return store.folder(make_specs([cut])[0]) / name

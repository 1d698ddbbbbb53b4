"""Feature passes, from JPEG to stored rows, beside OpenVINO's own loop on the same prefix and batch."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.rows import Row
from frostline.data import load_dataset, load_images, normalise
from frostline.features import BATCH_SIZE, FeatureSpec, FeatureStore, run_pass
from frostline.features._engine import Prefix
from frostline.models import build_chain, load_backbone
from frostline.study import Data, Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.measuring import Session
    from frostline.data import Dataset

NETWORKS = (
    ("resnet18", "none", 224, ("layer4", "head"), 768),
    ("timm:tf_efficientnet_lite0", "default", 224, ("head",), 1536),
    ("vgg16", "none", 96, ("head",), 512),
)
ROUNDS = 3


def measure(session: Session) -> list[Row]:
    data = load_dataset(Data(source="parquet", path=str(session.parquet), train=2000, val=100, test=100))
    rows = []
    for name, weights, size, cuts, n in NETWORKS:
        with tempfile.TemporaryDirectory(dir=session.place) as place:
            passes = _Passes(data, name, weights, size, cuts, FeatureStore(Path(place)))
            bare = _bare_loop(passes.module, passes.load(np.arange(BATCH_SIZE)))
            passes.run(2 * BATCH_SIZE)  # compiles
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(n / passes.run(n))
                theirs.append(n / bare(n))
        detail = f"{max(ours):.1f} of {max(theirs):.1f} images/s, the best of {ROUNDS} in turn"
        share = 100 * max(ours) / max(theirs)
        rows.append(Row(f"{name} at {size} px to {' and '.join(cuts)}", share, "%", 1, least=95, detail=detail))
    return rows


class _Passes:
    """Feature passes of one network, each to rows of its own."""

    def __init__(
        self, data: Dataset, name: str, weights: str, size: int, cuts: tuple[str, ...], store: FeatureStore
    ) -> None:
        self._data, self._name, self._cuts, self._store = data, name, cuts, store
        self._backbone = load_backbone(name, weights, size)
        chain = build_chain(self._backbone, 10, Head(), 0)
        self._shapes = [chain.facts.resolve(cut).shapes for cut in cuts]
        self._prefix = chain.prefix(cuts)
        self.module = Prefix(self._normalise, self._prefix, range(len(cuts)))
        self._n_passes = 0

    def load(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return load_images(self._data, self._data.train, positions, self._backbone.preprocessing, None)

    def run(self, n: int) -> float:
        """Make a new pass over so many images, and return its seconds."""
        self._n_passes += 1
        preprocessing, digest = self._backbone.preprocessing, self._backbone.weights_digest
        specs = [FeatureSpec(preprocessing, None, self._name, digest, cut, "float32") for cut in self._cuts]
        names = [f"{self._n_passes:016x}{position:016x}" for position in range(n)]
        prefix, shapes = self._prefix, self._shapes
        return run_pass(self._store, specs, lambda: prefix, shapes, self.load, self._normalise, names).seconds

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        return normalise(images, self._backbone.preprocessing)


def _bare_loop(module: torch.nn.Module, images: NDArray[np.uint8]) -> Callable[[int], float]:
    """Return what runs so many images through OpenVINO and returns the seconds: the same batch again and again."""
    import openvino

    with torch.no_grad():
        program = torch.export.export(module, (torch.from_numpy(images),), strict=False)
    model = openvino.convert_model(program)
    model.reshape(list(images.shape))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", settings))
    for request in queue:
        request.infer({0: images})

    def run(n: int) -> float:
        started = time.perf_counter()
        for _ in range(n // len(images)):
            queue.start_async(None)  # on the inputs that the request has
        queue.wait_all()
        return time.perf_counter() - started

    return run

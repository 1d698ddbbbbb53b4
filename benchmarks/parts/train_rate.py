"""Training a tail on stored activations, beside a bare loop over the same tail on a tensor in memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.rows import Row
from frostline.execution._rows import StoredRows
from frostline.features import FeatureSpec, FeatureStore, run_pass
from frostline.models import build_chain, freeze, load_backbone
from frostline.study import Head, Optimizer, Recipe
from frostline.training import PhaseTraining, apply_layout, in_layout

if TYPE_CHECKING:
    from benchmarks.measuring import Session
    from frostline.data import Preprocessing
    from frostline.models import Chain
    from frostline.plan import Layout

TAILS: tuple[tuple[str, int, str, Layout, int], ...] = (
    ("resnet18", 224, "layer4", "contiguous", 512),
    ("resnet18", 224, "layer4", "channels_last", 512),
    ("timm:tf_efficientnet_lite0", 128, "blocks.6", "channels_last", 2048),
)
ROUNDS, BATCH = 3, 64


def measure(session: Session) -> list[Row]:
    rows = []
    for name, size, train_from, layout, n in TAILS:
        recipe = Recipe(
            backbone=name, weights="none", image_size=size, batch_size=BATCH, train_from=train_from, epochs=ROUNDS + 1
        )
        backbone = load_backbone(name, "none", size)
        shapes = build_chain(backbone, 10, Head(), 0).facts.resolve(train_from).shapes
        tensors = [torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) for shape in shapes]
        labels = np.arange(n) % 10
        with tempfile.TemporaryDirectory(dir=session.place) as place:
            features = _stored(Path(place), tensors, backbone.preprocessing)
            ours = PhaseTraining(
                build_chain(backbone, 10, Head(), 0),
                recipe,
                0,
                train_from,
                0,
                labels,
                [str(i) for i in range(10)],
                torch.device("cpu"),
                layout,
            )
            stored = StoredRows([features], labels)
            bare = _Bare(build_chain(backbone, 10, Head(), 0), train_from, layout, tensors, labels)
            times: tuple[list[float], list[float]] = ([], [])
            for epoch in range(ROUNDS + 1):
                started = time.perf_counter()
                ours.run_epoch(epoch, stored, lambda step, n: None)
                times[0].append(time.perf_counter() - started)
                times[1].append(bare.run_epoch())
        fastest = [n / min(each[1:]) for each in times]
        detail = f"{fastest[0]:.1f} of {fastest[1]:.1f} images/s, the best of {ROUNDS} epochs in turn"
        what = f"{name} at {size} px from {train_from}, {layout}"
        rows.append(Row(what, 100 * fastest[0] / fastest[1], "%", 1, least=95, detail=detail))
    return rows


class _Bare:
    """The loop that anyone writes over tensors."""

    def __init__(self, chain: Chain, train_from: str, layout: Layout, tensors: list[torch.Tensor], labels: Any) -> None:
        apply_layout(chain.model, layout)
        self._tail = freeze(chain.tail(train_from), chain, train_from)
        self._inputs = in_layout(tuple(tensors), layout)
        self._labels = torch.from_numpy(labels)
        trained = [parameter for parameter in self._tail.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.Adam(trained, lr=Optimizer().lr)

    def run_epoch(self) -> float:
        started = time.perf_counter()
        self._tail.train()
        for chosen in torch.randperm(len(self._labels)).split(BATCH):  # type: ignore[no-untyped-call]
            self._optimizer.zero_grad()
            outputs = self._tail(*(tensor[chosen] for tensor in self._inputs))
            torch.nn.functional.cross_entropy(outputs, self._labels[chosen]).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return time.perf_counter() - started


def _stored(place: Path, tensors: list[torch.Tensor], preprocessing: Preprocessing) -> Any:
    """Return stored rows with these numbers, written by a pass whose prefix looks them up."""

    class Lookup(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            index = images[:, 0, 0, 0].long() * 256 + images[:, 1, 0, 0].long()
            return tuple(tensor[index] for tensor in tensors)

    def load(positions: Any) -> Any:
        images = np.zeros((len(positions), 3, 1, 1), np.uint8)
        images[:, 0, 0, 0], images[:, 1, 0, 0] = positions // 256, positions % 256
        return images

    store = FeatureStore(place)
    spec = FeatureSpec(preprocessing, None, "lookup", "0" * 64, "tail", "float32", "torch")
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    names = [f"{position:032x}" for position in range(len(tensors[0]))]
    run_pass(store, [spec], Lookup, [shapes], load, lambda images: images, names, engine="torch", batch_size=64)
    features = store.open(spec, names)
    assert features is not None
    return features

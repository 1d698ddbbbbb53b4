"""``python -m benchmarks.parts.many_rows PLACE N SHAPE..``: stores N rows, trains an epoch, prints its peak of memory.

The prefix makes numbers up, as what it computes doesn't matter to how much of the rows is in memory; storing, reading
and training are Frostline's own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.data import Preprocessing
from frostline.execution._rows import StoredRows
from frostline.features import FeatureSpec, FeatureStore, run_pass
from frostline.models import build_head
from frostline.study import Head, Phase, Recipe
from frostline.training import DropoutStream, HeadsTraining, StackMember, StackSpec, batch_order, train_epoch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from frostline.features import Features

N_CLASSES, BATCH = 10, 64


class _MadeUp(torch.nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        each = images.float().mean(dim=(1, 2, 3)).view(-1, *(1 for _ in self.shape))
        return (each.expand(-1, *self.shape).contiguous(),)


def main() -> None:
    place, n, *sizes = sys.argv[1:]
    shape = tuple(map(int, sizes))
    features, labels = _store(Path(place), int(n), shape), np.arange(int(n)) % N_CLASSES
    rows = StoredRows([features], labels)
    if len(shape) == 1:
        _train_head(rows, labels, shape[0])
    else:
        _train_tail(rows, shape[0])
    print(getrusage(RUSAGE_SELF).ru_maxrss * 1024)


def _store(place: Path, n: int, shape: tuple[int, ...]) -> Features:
    def load(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.repeat((positions % 256).astype(np.uint8), 3).reshape(-1, 3, 1, 1)

    store = FeatureStore(place)
    plain = Preprocessing(1)
    spec = FeatureSpec(plain, None, "made up", "0" * 64, "tail", "float32", "torch")
    names = [f"{position:032x}" for position in range(n)]
    run_pass(
        store, [spec], lambda: _MadeUp(shape), [[shape]], load, lambda x: x, names, engine="torch", batch_size=BATCH
    )
    features = store.open(spec, names)
    assert features is not None
    return features


def _train_head(rows: StoredRows, labels: NDArray[np.int64], width: int) -> None:
    recipe = Recipe(epochs=1, batch_size=BATCH)
    member = StackMember("one", Phase(epochs=1))
    spec = StackSpec(build_head(Head(), width, N_CLASSES, 0), recipe, (member,), rows, rows)
    with HeadsTraining([spec], labels, [str(i) for i in range(N_CLASSES)], torch.device("cpu")) as training:
        training.run_epoch(0, lambda step, n: None)


def _train_tail(rows: StoredRows, channels: int) -> None:
    tail = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, N_CLASSES))
    batches = rows.batches(batch_order(0, 0, rows.n, BATCH), 0, torch.device("cpu"))
    optimizer = torch.optim.Adam(tail.parameters())
    stream = DropoutStream(0, torch.device("cpu"))
    train_epoch(tail, batches, torch.nn.CrossEntropyLoss(), optimizer, None, stream, lambda step: None)


if __name__ == "__main__":
    main()

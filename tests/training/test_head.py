"""Head-only training on stored rows equals torch.optim on torch.nn.Linear, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from frostline.models import build_chain, load_backbone
from frostline.study import Head, Recipe
from frostline.training import PhaseTraining, batch_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

N, K, BATCH, EPOCHS = 50, 4, 8, 3
DRAWN = np.random.Generator(np.random.PCG64(0))
FEATURES = DRAWN.standard_normal((N, 512)).astype(np.float32)
LABELS = DRAWN.integers(0, K, N)


class MemoryRows:
    """Rows in memory."""

    n, concurrent = N, True

    def batches(
        self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        for positions in order:
            yield (torch.from_numpy(FEATURES[positions]),), torch.from_numpy(LABELS[positions])


@pytest.mark.parametrize(
    ("ours", "theirs", "settings"),
    [
        ({"name": "adam", "lr": 1e-3}, torch.optim.Adam, {"lr": 1e-3}),
        ({"name": "sgd", "lr": 1e-2, "momentum": 0.9}, torch.optim.SGD, {"lr": 1e-2, "momentum": 0.9}),
        ({"name": "adamw", "lr": 1e-2, "weight_decay": 0.1}, torch.optim.AdamW, {"lr": 1e-2, "weight_decay": 0.1}),
    ],
)
def test_equals_torch_on_a_linear_layer(ours: dict[str, Any], theirs: Any, settings: dict[str, Any]) -> None:
    recipe = Recipe(optimizer=ours, epochs=EPOCHS, batch_size=BATCH, seed=3, weights="none", image_size=32)
    chain = build_chain(load_backbone("resnet18", "none", 32), K, Head(), seed=3)
    training = PhaseTraining(chain, recipe, 0, "head", 0, LABELS, list("abcd"), torch.device("cpu"))
    layer = torch.nn.Linear(512, K)
    mine = dict(chain.model.get_submodule(chain.head_path).named_parameters())
    with torch.no_grad():
        for reference, own in zip(layer.parameters(), mine.values(), strict=True):
            reference.copy_(own)
    optimizer = theirs(layer.parameters(), **settings)
    for epoch in range(EPOCHS):
        steps: list[int] = []

        def on_step(step: int, n_steps: int, steps: list[int] = steps) -> None:
            steps.append(step)

        loss = training.run_epoch(epoch, MemoryRows(), on_step)
        total = 0.0
        for positions in batch_order(3, epoch, N, BATCH):
            x, y = torch.from_numpy(FEATURES[positions]), torch.from_numpy(LABELS[positions])
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(layer(x), y)
            torch.autograd.backward(value)
            optimizer.step()
            total += value.item() * len(positions)
        assert loss == pytest.approx(total / N, rel=1e-6)
        assert steps == list(range(1, 8))
        for reference, own in zip(layer.parameters(), mine.values(), strict=True):
            torch.testing.assert_close(own, reference, rtol=1e-6, atol=1e-7)

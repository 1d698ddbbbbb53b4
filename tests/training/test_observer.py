"""Whoever looks on at training sees gradients and updates, and changes no bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.models import build_chain, load_backbone
from frostline.study import Head, Recipe
from frostline.training import PhaseTraining

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from frostline.training import Batch

LABELS = np.arange(12) % 4


class Images:
    """Made-up images of four classes."""

    n = 12
    concurrent = True

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        images = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        for positions in order:
            yield (images[torch.from_numpy(positions)],), torch.from_numpy(LABELS[positions])


class Witness:
    """Keeps the norms of gradients and what each step changed, and draws random numbers meanwhile."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, float]] = []
        self.updates: list[float] = []
        self._before: dict[str, torch.Tensor] = {}

    def after_backward(self, step: int, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        torch.rand(7)
        assert step == len(self.gradients) % 3 + 1
        self.gradients.append({name: float(p.grad.norm()) for name, p in parameters.items() if p.grad is not None})
        self._before = {name: p.detach().clone() for name, p in parameters.items()}

    def after_step(self, step: int, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        torch.rand(7)
        changes = [(p.detach() - self._before[name]).abs().max() for name, p in parameters.items()]
        self.updates.append(float(torch.stack(changes).max()))


def train(observer: Witness | None) -> dict[str, torch.Tensor]:
    recipe = Recipe(
        backbone="resnet18",
        weights="none",
        image_size=32,
        train_from="layer4",
        batch_size=4,
        head=Head(hidden=(8,), dropout=0.5),
        optimizer={"name": "adam", "lr": 1e-3},
    )
    chain = build_chain(load_backbone("resnet18", "none", 32), 4, recipe.head, 0)
    training = PhaseTraining(chain, recipe, 0, None, 0, LABELS, list("abcd"), torch.device("cpu"), observer=observer)
    for epoch in range(2):
        training.run_epoch(epoch, Images(), lambda step, n_steps: None)
    return {name: tensor.clone() for name, tensor in training.model_state().items()}


def test_an_observer_sees_each_step_and_changes_no_bit() -> None:
    witness = Witness()
    alone, observed = train(None), train(witness)
    assert alone.keys() == observed.keys()
    assert all(torch.equal(alone[name], observed[name]) for name in alone)
    assert len(witness.gradients) == len(witness.updates) == 2 * 3
    trained = {name for name in witness.gradients[0] if name.startswith("layer4.")}
    assert trained
    assert not any(name.startswith("layer3.") for name in witness.gradients[0])
    assert all(norm > 0 for norm in witness.gradients[0].values())
    # Adam's first update is its learning rate, whatever the gradient (Kingma & Ba 2015, section 2.1).
    assert np.isclose(witness.updates[0], 1e-3, rtol=1e-3)

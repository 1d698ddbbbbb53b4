"""Stacked heads equal each head trained alone with torch.optim, and don't depend on their company in a single bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from frostline.models import build_head
from frostline.streams import stream_seed
from frostline.study import Head, Optimizer, Phase, Recipe
from frostline.training import (
    HeadsTraining,
    StackMember,
    StackSpec,
    _stepping,
    batch_order,
    build_loss,
    build_optimizer,
    build_scheduler,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

N, EPOCHS = 75, 3
CPU = torch.device("cpu")

OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "lr": 1e-1},
    {"name": "sgd", "lr": 1e-2, "momentum": 0.9},
    {"name": "sgd", "lr": 1e-2, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"name": "adam", "lr": 1e-3},
    {"name": "adam", "lr": 1e-1},
    {"name": "adam", "lr": 1e-2, "weight_decay": 0.1},
    {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1},
    {"name": "adamw", "lr": 1e-3},
]
SCHEDULES: list[Any] = ["constant", "cosine", "one-cycle", {"name": "step", "step_epochs": 1}]
PHASES = [
    Phase.model_validate({"optimizer": optimizer, "schedule": schedule, "epochs": EPOCHS})
    for optimizer, schedule in zip(OPTIMIZERS, SCHEDULES * 2, strict=True)
]


class MemoryRows:
    """Rows in memory, others for each seed as stored views are; labels are the same for all."""

    n, concurrent = N, True

    def __init__(self, seed: int = 0, width: int = 37, n_classes: int = 5) -> None:
        drawn = np.random.Generator(np.random.PCG64(seed))
        self.width, self.n_classes = width, n_classes
        self.features = drawn.standard_normal((N, width)).astype(np.float32)
        self.labels = np.random.Generator(np.random.PCG64(99)).integers(0, n_classes, N)

    def batches(
        self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        for positions in order:
            yield (torch.from_numpy(self.features[positions]),), torch.from_numpy(self.labels[positions])


LABELS, CLASSES = MemoryRows().labels, list("abcdefghijklmnopqrst")


def spec_of(recipe: Recipe, indices: Sequence[int], width: int = 37, n_classes: int = 5) -> StackSpec:
    head = build_head(recipe.head, width, n_classes, recipe.seed)
    members = tuple(StackMember(f"{recipe.seed}-{i}", PHASES[i]) for i in indices)
    rows = MemoryRows(recipe.seed, width, n_classes)
    return StackSpec(head, recipe, members, rows, rows)


def train(specs: Sequence[StackSpec], epochs: int = EPOCHS) -> dict[str, list[tuple[float, bytes]]]:
    """Return every head's loss and the bits of its logits, by epoch."""
    numbers: dict[str, list[tuple[float, bytes]]] = {}
    rows = specs[0].train_rows
    assert isinstance(rows, MemoryRows)
    with HeadsTraining(specs, rows.labels, CLASSES[: rows.n_classes], CPU) as training:
        for epoch in range(epochs):
            for id_, result in training.run_epoch(epoch, lambda step, n: None).items():
                numbers.setdefault(id_, []).append((result.train_loss, result.logits.numpy().tobytes()))
    return numbers


def alone(recipe: Recipe, phase: Phase) -> tuple[list[float], torch.Tensor]:
    """Train one head as anyone would with torch.optim; returns its loss by epoch and its logits [N, K]."""
    rows = MemoryRows(recipe.seed)
    head = build_head(recipe.head, rows.width, rows.n_classes, recipe.seed)
    loss_function = build_loss(recipe, rows.labels, CLASSES[: rows.n_classes])
    optimizer = build_optimizer(head.named_parameters(), phase.optimizer, lambda name: 0)
    steps = len(batch_order(recipe.seed, 0, N, recipe.batch_size))
    scheduler = build_scheduler(optimizer, phase.schedule, steps, phase.epochs)
    losses = []
    for epoch in range(phase.epochs):
        head.train()
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed("dropout", recipe.seed, epoch))
            for positions in batch_order(recipe.seed, epoch, N, recipe.batch_size):
                x, y = torch.from_numpy(rows.features[positions]), torch.from_numpy(rows.labels[positions])
                optimizer.zero_grad()
                loss = loss_function(head(x), y)
                loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                total += loss.item() * len(positions)
        losses.append(total / N)
    head.eval()
    with torch.no_grad():
        return losses, head(torch.from_numpy(rows.features))


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many threads there are: on one of them heads of two seeds are one stack."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


RECIPES = {
    "linear": {},
    "label smoothing": {"label_smoothing": 0.2},
    "class weights": {"class_weights": {"a": 2.0, "d": 0.5}},
    "both": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "one image a batch": {"batch_size": 1},
    "one batch an epoch": {"batch_size": 100},
    "hidden": {"head": {"hidden": [33]}},
    "hidden with dropout": {"head": {"hidden": [33, 6], "dropout": 0.5}, "label_smoothing": 0.1},
}


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES.keys())
def test_equals_each_head_trained_alone_with_torch_optim(settings: dict[str, Any]) -> None:
    recipes = [Recipe(**{"batch_size": 16, "seed": seed, **settings}) for seed in (3, 4)]
    stacked = train([spec_of(recipe, range(len(PHASES))) for recipe in recipes])
    for recipe in recipes:
        for index, phase in enumerate(PHASES):
            losses, logits = alone(recipe, phase)
            numbers = stacked[f"{recipe.seed}-{index}"]
            assert [loss for loss, _ in numbers] == pytest.approx(losses, rel=1e-5), phase
            own = torch.frombuffer(bytearray(numbers[-1][1]), dtype=torch.float32).view_as(logits)
            torch.testing.assert_close(own, logits, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES.keys())
def test_company_changes_no_bit(settings: dict[str, Any]) -> None:
    recipes = [Recipe(**{"batch_size": 16, "seed": seed, **settings}) for seed in (0, 1)]
    company = train([spec_of(recipe, range(len(PHASES))) for recipe in recipes])
    for indices in ([0], [7], [3, 1], [6, 5, 4, 2]):
        assert train([spec_of(recipes[0], indices)]).items() <= company.items()
    assert train([spec_of(recipe, range(len(PHASES))) for recipe in reversed(recipes)]) == company


@pytest.mark.parametrize("changed", ["absent", "other arguments", "another meaning"])
@pytest.mark.parametrize("settings", [RECIPES["linear"], RECIPES["hidden with dropout"]], ids=["linear", "hidden"])
def test_another_torch_without_its_private_kernel_gives_the_same(
    settings: dict[str, Any], changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [Recipe(**{"batch_size": 16, "seed": seed, **settings}) for seed in (0, 1)]
    usual = train([spec_of(recipe, range(len(PHASES))) for recipe in recipes])
    _stepping.has_fused_adam.cache_clear()
    if changed == "absent":
        monkeypatch.delattr(torch, "_fused_adam_")
    else:
        monkeypatch.setattr(
            torch, "_fused_adam_", (lambda: None) if changed == "other arguments" else lambda *_, **__: None
        )
    plain = train([spec_of(recipe, range(len(PHASES))) for recipe in recipes])
    assert not _stepping.has_fused_adam(CPU)
    for indices in ([3], [6, 5, 4, 2]):
        assert train([spec_of(recipes[0], indices)]).items() <= plain.items()
    monkeypatch.undo()
    _stepping.has_fused_adam.cache_clear()
    assert _stepping.has_fused_adam(CPU)
    assert plain.keys() == usual.keys()
    for id_, numbers in plain.items():
        assert [loss for loss, _ in numbers] == pytest.approx([loss for loss, _ in usual[id_]], rel=1e-5)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("width", "n_classes"), [(512, 10), (64, 20), (128, 2), (1, 10), (2, 10), (3, 10), (1, 2)])
@pytest.mark.parametrize("hidden", [(), (32,), (1,), (1, 1), (7, 1, 3)])
def test_company_changes_no_bit_of_heads_of_any_size(width: int, n_classes: int, hidden: tuple[int]) -> None:
    recipes = [Recipe(batch_size=32, seed=seed, head=Head(hidden=hidden)) for seed in range(3)]
    company = train([spec_of(recipe, range(len(PHASES)), width, n_classes) for recipe in recipes])
    for members, indices in (([2], [5]), ([0, 2], [0]), ([1], range(len(PHASES)))):
        few = train([spec_of(recipes[seed], indices, width, n_classes) for seed in members])
        assert few.items() <= company.items()


@pytest.mark.usefixtures("threads")
def test_a_seed_that_loses_a_head_keeps_its_numbers() -> None:
    recipes = [Recipe(batch_size=16, seed=seed) for seed in range(4)]
    whole = train([spec_of(recipe, range(8)) for recipe in recipes])
    with HeadsTraining([spec_of(recipe, range(8)) for recipe in recipes], LABELS, CLASSES[:5], CPU) as training:
        training.run_epoch(0, lambda step, n: None)
        training.drop(["2-3", "3-0"])
        results = training.run_epoch(1, lambda step, n: None)
    assert whole.keys() - results.keys() == {"2-3", "3-0"}
    for id_, result in results.items():
        assert (result.train_loss, result.logits.numpy().tobytes()) == whole[id_][1]


def test_dropping_and_restoring_change_no_bit() -> None:
    recipe = Recipe(batch_size=16, head=Head(hidden=(12,), dropout=0.3))
    uninterrupted = train([spec_of(recipe, range(8))])
    with HeadsTraining([spec_of(recipe, range(8))], LABELS, CLASSES[:5], CPU) as training:
        training.run_epoch(0, lambda step, n: None)
        checkpoint = {name: tensor.clone() for name, tensor in training.checkpoint().items()}
    with HeadsTraining([spec_of(recipe, [1, 4, 6])], LABELS, CLASSES[:5], CPU) as training:
        training.restore(checkpoint)
        training.run_epoch(1, lambda step, n: None)
        training.drop(["0-4"])
        results = training.run_epoch(2, lambda step, n: None)
    assert results.keys() == {"0-1", "0-6"}
    for id_, result in results.items():
        assert (result.train_loss, result.logits.numpy().tobytes()) == uninterrupted[id_][2]


def test_a_diverging_head_leaves_the_others_alone() -> None:
    recipe = Recipe(batch_size=16)
    wild = StackMember("wild", Phase(optimizer=Optimizer(name="sgd", lr=1e38)))
    spec = spec_of(recipe, [0, 3])
    company = StackSpec(spec.head, recipe, (wild, *spec.members), MemoryRows(), MemoryRows())
    numbers = train([company])
    assert not np.isfinite(numbers.pop("wild")[-1][0])
    assert numbers == train([spec])


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    train([spec_of(Recipe(batch_size=16), [0])], epochs=1)
    assert torch.get_num_threads() == before


def test_what_goes_wrong_in_a_stack_is_raised_and_stops_the_others() -> None:
    class Broken(MemoryRows):
        def batches(self, *args: Any) -> Any:
            raise OSError("no rows")

    spec = spec_of(Recipe(batch_size=16), [0])
    broken = StackSpec(nn.Linear(37, 5), Recipe(seed=9), (StackMember("b", PHASES[0]),), Broken(), MemoryRows())
    with HeadsTraining([spec, broken], LABELS, CLASSES[:5], CPU) as training, pytest.raises(OSError, match="no rows"):
        training.run_epoch(0, lambda step, n: None)

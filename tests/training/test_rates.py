"""The learning rates of heads trained together: those that torch's scheduler gives each of them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from frostline.study import Phase
from frostline.training import build_optimizer, build_scheduler
from frostline.training._rates import HeadRates

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_STEPS = 7
SCHEDULES: list[Any] = ["constant", "cosine", "one-cycle", {"name": "step", "step_epochs": 2, "gamma": 0.3}]
PHASES = [
    Phase.model_validate({"optimizer": {"name": "adam", "lr": lr}, "schedule": schedule, "epochs": epochs})
    for schedule in SCHEDULES
    for epochs in (3, 5)
    for lr in (1e-3, 3e-4, 0.1)
]


def torchs(phase: Phase, n_steps: int) -> NDArray[np.float32]:
    """Return torch's own rates of a whole phase, [epochs, steps]."""
    head = torch.nn.Linear(1, 1)
    optimizer = build_optimizer(head.named_parameters(), phase.optimizer, lambda name: 0)
    scheduler = build_scheduler(optimizer, phase.schedule, n_steps, phase.epochs)
    rates = []
    for _ in range(phase.epochs * n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return np.array(rates, np.float32).reshape(phase.epochs, n_steps)


def heads() -> HeadRates:
    """Return the rates of two heads of each phase, one of them with an epoch of other steps."""
    return HeadRates({f"{i} {n}": (phase, n) for i, phase in enumerate(PHASES) for n in (N_STEPS, 4)})


@pytest.mark.parametrize("first", [0, 2], ids=["from the start", "resumed"])
def test_equals_torch_bit_by_bit(first: int) -> None:
    rates = heads()
    expected = {f"{i} {n}": torchs(phase, n) for i, phase in enumerate(PHASES) for n in (N_STEPS, 4)}
    for epoch in range(first, 5):
        active = [id_ for id_, own in expected.items() if epoch < len(own)]
        given = rates.of_epoch(epoch, active)
        assert list(given) == active
        for id_, own in given.items():
            assert own.tobytes() == expected[id_][epoch].tobytes()


def test_an_epoch_again_is_the_same() -> None:
    rates, ids = heads(), [f"{i} {N_STEPS}" for i in range(len(PHASES))]
    passes = [[rates.of_epoch(epoch, ids) for epoch in (0, 1, 1, 2)] for _ in range(2)]
    for one, other in zip(*passes, strict=True):
        assert all(one[id_].tobytes() == other[id_].tobytes() for id_ in ids)


@pytest.mark.parametrize("schedule", SCHEDULES[1:], ids=["cosine", "one-cycle", "step"])
def test_a_phase_is_replayed_once_for_all_its_heads(schedule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = [
        Phase.model_validate({"optimizer": {"lr": 1e-3 * i}, "schedule": schedule, "epochs": 3}) for i in range(1, 9)
    ]
    rates = HeadRates({str(i): (phase, N_STEPS) for i, phase in enumerate(phases)})
    n_steps, step = 0, torch.optim.lr_scheduler.LRScheduler.step

    def count(scheduler: torch.optim.lr_scheduler.LRScheduler, *epoch: Any) -> None:
        nonlocal n_steps
        n_steps += 1
        step(scheduler, *epoch)

    monkeypatch.setattr(torch.optim.lr_scheduler.LRScheduler, "step", count)
    for epoch in range(3):
        rates.of_epoch(epoch, [str(i) for i in range(8)])
    assert n_steps == 3 * N_STEPS

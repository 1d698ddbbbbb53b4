"""Heads trained together: 64 (8 learning rates x 2 optimizers x 4 seeds) and 512 of them, beside one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from benchmarks.rows import Row
from benchmarks.workloads import RATES
from frostline.models import build_head
from frostline.study import Head, Optimizer, Phase, Recipe
from frostline.training import HeadsTraining, StackMember, StackSpec, batch_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.measuring import Session

N_TRAIN, N_VAL, WIDTH, N_CLASSES, EPOCHS, ROUNDS = 4000, 800, 512, 10, 3, 6
PHASES = [
    Phase(epochs=EPOCHS, optimizer=Optimizer(name=name, lr=lr, momentum=0.9 if name == "sgd" else 0.0))
    for name in ("adam", "sgd")
    for lr in RATES
]


class _Memory:
    """Rows in memory."""

    concurrent = True

    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.n, self.rows = n, torch.rand(n, WIDTH, generator=generator)
        self.labels = torch.randint(N_CLASSES, (n,), generator=generator)

    def batches(
        self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        for positions in order:
            chosen = torch.from_numpy(positions)
            yield (self.rows[chosen],), self.labels[chosen]


def measure(session: Session) -> list[Row]:
    train, val = _Memory(N_TRAIN, 0), _Memory(N_VAL, 1)
    contestants: dict[str, Callable[[], None]] = {
        "one": lambda: _together(train, val, PHASES[:1], 1),
        "64": lambda: _together(train, val, PHASES, 4),
        "512": lambda: _together(train, val, PHASES * 8, 4),
        "loop": lambda: _loop(train, val),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(ROUNDS + 1):
        for name, work in contestants.items():
            started = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - started)
    best = {name: min(each) for name, each in times.items()}
    rows = []
    for name, most in (("64", 4), ("512", 20)):
        detail = f"{best[name]:.2f} s, one by torch.optim {best['loop']:.2f} s"
        rows.append(Row(f"{name} heads, times one by torch.optim", best[name] / best["loop"], most=most, detail=detail))
    for name in ("64", "512"):
        detail = f"{best[name]:.2f} s, one as a stack {best['one']:.2f} s"
        rows.append(Row(f"{name} heads, times one as a stack", best[name] / best["one"], detail=detail))
    return rows


def _together(train: _Memory, val: _Memory, phases: Sequence[Phase], n_seeds: int) -> None:
    specs = []
    for seed in range(n_seeds):
        members = tuple(StackMember(f"{seed}-{i}", phase) for i, phase in enumerate(phases))
        head = build_head(Head(), WIDTH, N_CLASSES, seed)
        specs.append(StackSpec(head, Recipe(seed=seed, epochs=EPOCHS), members, train, val))
    classes = [str(i) for i in range(N_CLASSES)]
    with HeadsTraining(specs, train.labels.numpy(), classes, torch.device("cpu")) as training:
        for epoch in range(EPOCHS):
            training.run_epoch(epoch, lambda step, n: None)


def _loop(train: _Memory, val: _Memory) -> None:
    """Train one head as anyone would on tensors in memory."""
    head = torch.nn.Linear(WIDTH, N_CLASSES)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for epoch in range(EPOCHS):
        for positions in batch_order(0, epoch, N_TRAIN, Recipe().batch_size):
            chosen = torch.from_numpy(positions)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(train.rows[chosen]), train.labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            head(val.rows)

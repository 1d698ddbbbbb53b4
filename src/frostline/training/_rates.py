"""The learning rates of heads that are trained together, as torch's schedulers give them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from frostline.training._optimizers import build_scheduler

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from frostline.study import Phase, Schedule

__all__ = ["HeadRates"]


class HeadRates:
    """Gives the learning rates of heads, an epoch at a time.

    Heads that differ in their learning rate alone share a scheduler, which goes on from where the last epoch ended;
    an epoch's rates are all that is kept.

    Args:
        heads: the phase of each head by its id, and the steps of its epochs.
    """

    def __init__(self, heads: Mapping[str, tuple[Phase, int]]) -> None:
        alike: dict[tuple[Schedule, int, int], dict[float, list[str]]] = defaultdict(lambda: defaultdict(list))
        for id_, (phase, n_steps) in heads.items():
            alike[phase.schedule, n_steps, phase.epochs][phase.optimizer.lr].append(id_)
        self._places: dict[str, tuple[_Replay, int]] = {}
        for (schedule, n_steps, epochs), by_rate in alike.items():
            replay = _Replay(list(by_rate), schedule, n_steps, epochs)
            for index, ids in enumerate(by_rate.values()):
                self._places |= dict.fromkeys(ids, (replay, index))

    def of_epoch(self, epoch: int, ids: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """Return the rate in each step of an epoch (0-based) of some heads, by id."""
        rates = {}
        for id_ in ids:
            replay, index = self._places[id_]
            rates[id_] = replay.of_epoch(epoch)[index]
        return rates


class _StandIn(torch.optim.Optimizer):
    """Has learning rates and nothing to step: torch's own optimizers take longer to find that out than schedulers."""

    def step(self, closure: Any = None) -> Any:
        """Do nothing."""


class _Replay:
    """A scheduler of several rates, a parameter group each, without anything that is trained."""

    def __init__(self, rates: Sequence[float], schedule: Schedule, n_steps: int, epochs: int) -> None:
        self._rates, self._schedule, self._n_steps, self._epochs = rates, schedule, n_steps, epochs
        self._begin()

    def of_epoch(self, epoch: int) -> NDArray[np.float32]:
        """Return the rates of an epoch, [R, steps]."""
        if epoch < self._epoch:
            self._begin()
        while self._epoch < epoch:
            self._advance()
        return self._of_epoch

    def _begin(self) -> None:
        groups = [{"params": [torch.nn.Parameter(torch.zeros(()))], "lr": rate} for rate in self._rates]
        self._optimizer = _StandIn(groups, {})
        self._scheduler = build_scheduler(self._optimizer, self._schedule, self._n_steps, self._epochs)
        self._epoch = -1
        self._of_epoch = np.repeat(np.array(self._rates, np.float32)[:, None], self._n_steps, axis=1)

    def _advance(self) -> None:
        self._epoch += 1
        if self._scheduler is None:
            return
        self._of_epoch = np.empty_like(self._of_epoch)
        for step in range(self._n_steps):
            self._of_epoch[:, step] = self._scheduler.get_last_lr()
            self._optimizer.step()  # schedulers insist on it
            self._scheduler.step()

"""Steps of SGD, Adam or AdamW for heads that differ in their learning rates alone: all of them at once.

torch.optim takes some 50 microseconds to find out what to do, and one call for each learning rate; a small head is
stepped in five.
"""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.study import Optimizer

__all__ = ["HeadsOptimizer", "has_fused_adam"]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""torch.optim.Adam's defaults, which are also AdamW's (Kingma and Ba, 2015)."""


class HeadsOptimizer:
    """Steps heads in place.

    Args:
        parameters: each [..., P], a row for each head; they need no gradients of their own.
        optimizer: which one, and its settings; the learning rate is given with each step.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], optimizer: Optimizer) -> None:
        self._parameters, self._optimizer = list(parameters), optimizer
        adam = optimizer.name != "sgd"
        # Momentum, or Adam's first moment; and its second.
        self._first = [torch.zeros_like(p) for p in parameters] if adam or optimizer.momentum else []
        self._second = [torch.zeros_like(p) for p in parameters] if adam else []
        self._updates = [torch.zeros_like(p) for p in parameters] if adam else []
        self._adam = _fused_adam if adam and has_fused_adam(parameters[0].device) else _plain_adam

    def state(self) -> dict[str, list[torch.Tensor]]:
        """Return the tensors of the state, each [..., P], by name and in the order of the parameters; they are live."""
        return {"first": self._first, "second": self._second}

    def step(self, gradients: list[torch.Tensor], rates: torch.Tensor, n_steps: torch.Tensor) -> None:
        """Take one step.

        Args:
            gradients: each [..., P], as the parameters.
            rates: the learning rate of each head, [..., 1].
            n_steps: a scalar, counts the steps with this one.
        """
        settings = self._optimizer
        decay = settings.weight_decay
        if decay and settings.name == "adamw":
            for parameter in self._parameters:
                parameter.mul_(1 - rates * decay)
        elif decay:
            gradients = list(torch._foreach_add(gradients, self._parameters, alpha=decay))
        if settings.name == "sgd":
            updates = self._sgd(gradients)
        else:
            updates = self._updates
            self._adam(updates, gradients, self._first, self._second, n_steps)
        for parameter, update in zip(self._parameters, updates, strict=True):
            parameter.addcmul_(update, rates, value=-1)

    def _sgd(self, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return what a learning rate of 1 would take off each parameter."""
        momentum = self._optimizer.momentum
        if not momentum:
            return gradients
        torch._foreach_mul_(self._first, momentum)
        torch._foreach_add_(self._first, gradients)
        if self._optimizer.nesterov:
            return list(torch._foreach_add(gradients, self._first, alpha=momentum))
        return self._first


@cache
def has_fused_adam(device: torch.device) -> bool:
    """Return whether ``_fused_adam`` works on a device: what it calls is private to torch, which may change it."""
    gradient, n_steps = torch.tensor([0.3, -2.0], device=device), torch.ones((), device=device)
    updates, expected = ([torch.zeros_like(gradient)] for _ in range(2))
    try:
        for step, into in ((_fused_adam, updates), (_plain_adam, expected)):
            step(into, [gradient], [torch.zeros_like(gradient)], [torch.zeros_like(gradient)], n_steps)
    except (AttributeError, TypeError, RuntimeError):
        return False
    return torch.allclose(updates[0], expected[0], rtol=1e-4)


def _fused_adam(
    updates: list[torch.Tensor],
    gradients: list[torch.Tensor],
    first: list[torch.Tensor],
    second: list[torch.Tensor],
    n_steps: torch.Tensor,
) -> None:
    """Set ``updates`` to what a learning rate of 1 would take off each parameter, and step both moments in place."""
    torch._foreach_zero_(updates)
    # The kernel behind torch.optim: from 0 with a rate of -1 it arrives at the update itself.
    torch._fused_adam_(
        updates,
        [gradient.contiguous() for gradient in gradients],
        first,
        second,
        (),
        [n_steps] * len(updates),
        lr=-1.0,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def _plain_adam(
    updates: list[torch.Tensor],
    gradients: list[torch.Tensor],
    first: list[torch.Tensor],
    second: list[torch.Tensor],
    n_steps: torch.Tensor,
) -> None:
    """Do as ``_fused_adam`` does, but for the last bits, by the formulas of Kingma and Ba (2015, algorithm 1)."""
    n = float(n_steps)
    for update, gradient, mean, square in zip(updates, gradients, first, second, strict=True):
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        update.copy_(square).sqrt_().div_(sqrt(1 - BETA2**n)).add_(EPSILON)
        torch.div(mean, update, out=update).div_(1 - BETA1**n)

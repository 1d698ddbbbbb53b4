"""One step of SGD, Adam or AdamW for one head: the kernels behind torch.optim, without its bookkeeping.

torch.optim takes some 50 microseconds to find out what to do, many times what a small head takes to be stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.study import Optimizer

__all__ = ["HeadOptimizer"]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""torch.optim.Adam's defaults, which are also AdamW's (Kingma and Ba, 2015)."""


class HeadOptimizer:
    """Steps some parameters in place.

    Args:
        parameters: tensors that need no gradients of their own.
        optimizer: which one, and its settings.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], optimizer: Optimizer) -> None:
        self._parameters, self._optimizer = list(parameters), optimizer
        adam = optimizer.name != "sgd"
        # Momentum, or Adam's first moment; and its second.
        self._first = [torch.zeros_like(p) for p in parameters] if adam or optimizer.momentum else []
        self._second = [torch.zeros_like(p) for p in parameters] if adam else []

    def state(self) -> dict[str, torch.Tensor]:
        """Return the state by name; the tensors are live."""
        moments = (("first", self._first), ("second", self._second))
        return {f"{name}.{i}": tensor for name, tensors in moments for i, tensor in enumerate(tensors)}

    def step(self, gradients: tuple[torch.Tensor, ...], rate: float, n_steps: torch.Tensor) -> None:
        """Take one step with a learning rate; ``n_steps``, a scalar, counts the steps with this one."""
        settings = self._optimizer
        if settings.name == "sgd":
            torch._fused_sgd_(
                self._parameters,
                gradients,
                self._first,
                weight_decay=settings.weight_decay,
                momentum=settings.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=settings.nesterov,
                maximize=False,
                is_first_step=False,
            )
            return
        kernel = torch._fused_adam_ if settings.name == "adam" else torch._fused_adamw_
        kernel(
            self._parameters,
            gradients,
            self._first,
            self._second,
            (),
            [n_steps] * len(self._parameters),
            lr=rate,
            beta1=BETA1,
            beta2=BETA2,
            weight_decay=settings.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

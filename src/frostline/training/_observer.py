"""Looking on at training: gradients and updates, without changing a bit of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

__all__ = ["Observer"]


class Observer(Protocol):
    """Is shown each step of a phase; what it draws of random numbers isn't training's.

    The tensors are live: it reads them before it returns, and writes to none.
    """

    def after_backward(self, step: int, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Look at the gradients of a step (1-based within its epoch), before the optimizer uses them.

        Args:
            step: which.
            parameters: those that are trained, by name, each with its ``grad``.
        """

    def after_step(self, step: int, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Look at the parameters after the optimizer has updated them."""

"""Random numbers of dropout and stochastic depth, which draw from torch's global generators."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from frostline.streams import torch_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DropoutStream"]


class DropoutStream:
    """A stream of an epoch's own, in torch's global generators only while a step draws from it.

    What anyone else draws between steps, such as a listener, changes none of it; another thread that builds or measures
    a network does so between steps.

    Args:
        seed: where the stream begins.
        device: where numbers are drawn.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._states: list[torch.Tensor] | None = None
        self._own = torch.Generator().manual_seed(seed)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Have the stream in torch's global generators."""
        devices = [self._device] if self._device.type == "cuda" else []
        with torch_stream(devices=devices):
            if self._states is None:
                torch.manual_seed(self._seed)
            else:
                torch.set_rng_state(self._states[0])
                for device, state in zip(devices, self._states[1:], strict=True):
                    torch.cuda.set_rng_state(state, device)
            yield
            self._states = [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]

    def noise(self, shape: Sequence[int], dropout: float) -> torch.Tensor:
        """Return what ``nn.functional.dropout`` multiplies a tensor of a shape by; don't mix it with ``drawing``."""
        if self._device.type == "cpu":
            # As torch does it, from a generator that no other thread touches.
            return torch.empty(*shape).bernoulli_(1 - dropout, generator=self._own).div_(1 - dropout)
        with self.drawing():
            return nn.functional.dropout(torch.ones(*shape, device=self._device), dropout)

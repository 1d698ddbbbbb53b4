"""Steps that are replayed as a CUDA graph: a small head's step is a hundred kernels, each shorter than its launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Replayed"]

EAGER_STEPS = 3
"""Steps before one is recorded, in which libraries set up what they may not while recording."""


class Replayed:
    """A step that changes tensors in place, given others: recorded once on CUDA, and replayed with the same bits.

    Where it can't be recorded, and for a batch of another size, it is carried out as it is everywhere else.

    Args:
        step: the same operations on the same tensors each time but for those it is given, and no returned value.
        device: where.
    """

    def __init__(self, step: Callable[..., None], device: torch.device) -> None:
        self._step, self._on_cuda = step, device.type == "cuda"
        self._n_steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given: list[torch.Tensor] = []

    def __call__(self, *given: torch.Tensor) -> None:
        """Take a step."""
        if not self._on_cuda:
            self._step(*given)
            return
        if self._graph is None and self._n_steps == EAGER_STEPS:
            self._record(given)
        self._n_steps += 1
        if self._graph is None or [t.shape for t in given] != [t.shape for t in self._given]:
            self._step(*given)
            return
        for kept, tensor in zip(self._given, given, strict=True):
            kept.copy_(tensor)
        self._graph.replay()

    def _record(self, given: tuple[torch.Tensor, ...]) -> None:
        """Record a step, without carrying it out."""
        self._given = [tensor.clone() for tensor in given]
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads, which read rows ahead, may allocate meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step(*self._given)
        except RuntimeError:  # an operation that can't be recorded: what was is dropped, and nothing was carried out
            torch.cuda.synchronize()
            return
        self._graph = graph

"""Where a model's inputs come from: stored activations, or images decoded on the fly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from frostline.training._epoch import Batch

__all__ = ["Rows"]


class Rows(Protocol):
    """N labelled inputs that can be read in batches, in any order."""

    @property
    def n(self) -> int:
        """The number of rows, N."""

    @property
    def concurrent(self) -> bool:
        """Whether several threads may read at once."""

    def batches(self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yield the inputs and labels of each batch of positions, on a device; ``epoch`` selects the view."""

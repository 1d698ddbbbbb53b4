"""The torch engine: eager on the CPU, channels-last on an accelerator."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["TorchEngine"]


class TorchEngine:
    """Runs a module eagerly, in float32 without TF32; off the CPU on a channels-last copy of it."""

    def __init__(self, module: nn.Module, images: torch.Tensor, device: str) -> None:
        self._device = torch.device(device)
        self._module = module
        name = self._device.type
        if name != "cpu":
            # A copy: the prefix shares its parameters with networks that live elsewhere.
            self._module = copy.deepcopy(module).to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if name == "cuda":
            name = f"cuda {torch.cuda.get_device_name(self._device)}"
        self.identity = f"torch {torch.__version__} {name}"

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        """Yield the outputs, new arrays [B, ...], of each batch of images, uint8 [B, 3, H, W], in order."""
        for images in batches:
            with (
                torch.inference_mode(),
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            ):
                inputs = torch.from_numpy(images).to(self._device)
                outputs = tuple(tensor.contiguous().cpu().numpy() for tensor in self._module(inputs))
            yield outputs

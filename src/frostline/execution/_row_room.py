"""Where stored rows wait to be trained on beside an accelerator: on it, in pinned memory, or on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch

from frostline.features import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from frostline.features import Features
    from frostline.plan import Budgets, Totals

__all__ = ["RowRoom", "make_row_room", "to_device"]

ROWS_AT_ONCE = 4096

HOST_SHARE = 0.5
"""Of the memory that is free, what rows may take of it: pinned, it can be taken back by nobody."""


class RowRoom:
    """Holds stored rows as tensors, on a device or in memory that it copies from directly, while there is room.

    Where they lie changes no bit. They are held for as long as their ``Features``, once for all who read them.

    Args:
        device: where rows are needed.
        device_bytes: returns how much there is room for on the device now.
        host_bytes: the same, in this machine's memory.
    """

    def __init__(
        self, device: torch.device, device_bytes: Callable[[], int], host_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        self.device, self._device_bytes, self._host_bytes = device, device_bytes, host_bytes
        self._held: WeakKeyDictionary[Features, list[torch.Tensor] | None] = WeakKeyDictionary()

    def read(self, features: Features, positions: NDArray[np.int64]) -> tuple[torch.Tensor, ...] | None:
        """Return the rows at some positions on the device, float32 [B, ...]; None where they aren't held."""
        if features not in self._held:
            self._held[features] = self._hold(features)
        held = self._held[features]
        if held is None:
            return None
        index = torch.from_numpy(positions).to(held[0].device)
        return tuple(_copy(tensor[index], self.device).float() for tensor in held)

    def _hold(self, features: Features) -> list[torch.Tensor] | None:
        if not features.n or not features.n_bytes:
            return None
        if features.n_bytes <= self._device_bytes():
            try:
                return _load(features, self.device)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
        if features.n_bytes <= self._host_bytes():
            return _load(features, torch.device("cpu"))
        return None


def make_row_room(device: torch.device, budgets: Budgets, totals: Totals) -> RowRoom | None:
    """Return the room that a plan leaves on a device within the budgets; None on the CPU, whose memory rows are in.

    Args:
        device: the run's.
        budgets: of memory and of the device's.
        totals: what passes and training are predicted to take of both.
    """
    if device.type == "cpu":
        return None

    def device_bytes() -> int:
        free, taken = _device_memory(device)
        if budgets.device_memory is not None:
            free = min(free, budgets.device_memory - taken)
        return free - totals.device_peak_bytes

    def host_bytes() -> int:
        room = int(HOST_SHARE * _free_memory())
        return room if budgets.memory is None else min(room, budgets.memory - totals.peak_bytes)

    return RowRoom(device, device_bytes, host_bytes)


def to_device(array: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device; on CUDA through pinned memory, which the GPU copies by itself."""
    return _copy(torch.from_numpy(array), device)


def _copy(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _load(features: Features, device: torch.device) -> list[torch.Tensor]:
    dtype = torch.float16 if features.dtype == "float16" else torch.float32
    held = [torch.empty(features.n, *shape, dtype=dtype, device=device) for shape in features.shapes]
    order = [np.arange(start, min(start + ROWS_AT_ONCE, features.n)) for start in range(0, features.n, ROWS_AT_ONCE)]
    for positions, arrays in zip(order, features.batches(order), strict=True):
        for tensor, array in zip(held, arrays, strict=True):
            tensor[positions[0] : positions[-1] + 1] = torch.from_numpy(array)
    return held


def _device_memory(device: torch.device) -> tuple[int, int]:
    """Return what is free on a device, what torch keeps for itself included, and what tensors take."""
    if device.type == "cuda":
        taken = torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - taken, taken
    taken = torch.mps.current_allocated_memory()
    return torch.mps.recommended_max_memory() - taken, taken


def _free_memory() -> int:
    """Return the free bytes of this machine's memory; 0 where the system doesn't say."""
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0

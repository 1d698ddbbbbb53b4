"""What training keeps in memory between an operation's forward and its backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.autograd.graph import saved_tensors_hooks

if TYPE_CHECKING:
    import torch

__all__ = ["saved_bytes"]


def saved_bytes(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    """Return the bytes that autograd keeps of a forward pass, [B, ...] inputs in the module's present mode.

    Each memory is counted once, whatever views of it are kept or written over in place. Parameters and buffers aren't
    counted, nor are the inputs: they are there anyway.
    """
    there = {_memory(tensor) for tensor in (*inputs, *module.parameters(), *module.buffers())}
    # Held until the end, so that no address is met a second time for other numbers.
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _memory(tensor) not in there:
            kept[_memory(tensor)] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(*inputs)
    del output
    return sum(storage.nbytes() for storage in kept.values())


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()

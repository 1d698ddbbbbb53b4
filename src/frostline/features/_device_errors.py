"""What a device can't do, said with what to do about it."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

from frostline.errors import DeviceMemoryError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["explaining", "is_out_of_memory"]

P = ParamSpec("P")
R = TypeVar("R")

MEMORY_MESSAGES = ("MPS backend out of memory", "DefaultCPUAllocator: can't allocate memory")
"""What torch says, without an error of its own for it, where MPS and the CPU have no memory left."""

NOT_DETERMINISTIC = re.compile(r"(\S+) does not have a deterministic implementation")


def explaining(describe: Callable[P, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that explains errors of the device: no memory left, and no deterministic implementation.

    Args:
        describe: what the function was doing, from its arguments: "training ARM".
    """

    def decorate(work: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(work)
        def explained(*arguments: P.args, **options: P.kwargs) -> R:
            try:
                return work(*arguments, **options)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise DeviceMemoryError(_explain_memory(describe(*arguments, **options), error)) from error
                match = NOT_DETERMINISTIC.match(str(error))
                if match is None:
                    raise
                raise TrainingError(
                    f"{describe(*arguments, **options)}: {match[1]} has no deterministic implementation on this "
                    "device, so a rerun could give other numbers: choose a train_from after it or another backbone, "
                    'or train with --device cpu (device="cpu" in Python)'
                ) from error

        return explained

    return decorate


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device, or the CPU, has no memory left for a tensor."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MEMORY_MESSAGES)


def _explain_memory(what: str, error: BaseException) -> str:
    reason = str(error).strip().splitlines()[0].rstrip(".")
    if MEMORY_MESSAGES[1] in reason:
        return (
            f"{what}: there is not enough memory ({reason}): use a smaller batch_size or image_size, or set --memory "
            "(memory= in Python) so that less is held at once"
        )
    return (
        f"{what}: the device has not enough memory ({reason}): use a smaller batch_size or image_size, keep fewer "
        "activations there with --device-memory SIZE (device_memory= in Python), or choose another device with "
        "--device (cuda:1, cpu). What was finished before is kept"
    )

"""What a device can't do is said with what to do about it; what isn't the device's fault is left alone."""

from __future__ import annotations

import pytest
import torch

from frostline.errors import DeviceMemoryError, TrainingError
from frostline.features import explaining

CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.58 GiB"
MPS = "MPS backend out of memory (MPS allocated: 8.10 GB, other allocations: 1 GB, max allowed: 9.07 GB)."
CPU = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)
POOL = (
    "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set "
    "'torch.use_deterministic_algorithms(True)'. You can turn off determinism .."
)


@explaining(lambda error: "training head 3ep")
def work(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            torch.OutOfMemoryError(CUDA),
            DeviceMemoryError,
            r"head 3ep: the device has not .*2\.00 GiB.*batch_size.*--device-m",
        ),
        (
            RuntimeError(MPS),
            DeviceMemoryError,
            r"head 3ep: the device has not .*9\.07 GB\)\): use a smaller batch_size",
        ),
        (RuntimeError(CPU), DeviceMemoryError, r"head 3ep: there is not enough memory .*smaller batch_size.*--memory"),
        (
            RuntimeError(POOL),
            TrainingError,
            "head 3ep: adaptive_avg_pool2d_backward_cuda has no deter.*train_from after",
        ),
        (RuntimeError("shapes"), RuntimeError, "^shapes$"),
        (ValueError("not torch's"), ValueError, "^not torch's$"),
    ],
)
def test_errors_of_the_device_are_explained(error: Exception, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        work(error)

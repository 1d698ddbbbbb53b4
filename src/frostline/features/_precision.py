"""How exactly products are computed: set in one place for a whole run, and put back as it was afterwards."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from frostline.plan import Precision

__all__ = ["autocast", "computing"]


@contextmanager
def computing(precision: Precision, device: str) -> Iterator[None]:
    """Let torch compute in a precision, whatever the program around it has set, and put that back afterwards.

    On CUDA by deterministic algorithms only: an operation that has none is a RuntimeError. The settings are the
    process's own, so that all of its threads have them. They only allow TF32: bfloat16 is for ``autocast``, around each
    piece of a network.

    Args:
        precision: of the run.
        device: ``cpu``, ``cuda`` or ``mps``.
    """
    before = _Settings()
    try:
        _set_precision(precision)
        if device == "cuda":
            _be_deterministic()
        yield
    finally:
        before.put_back()


def autocast(precision: Precision, device: str) -> AbstractContextManager[Any]:
    """Return what a network's forward pass is computed in: bfloat16 products where that is the precision.

    For one forward pass each, as weights that were converted are remembered within. What comes out may be bfloat16:
    rows and logits are made float32 before anything is done with them.

    Args:
        precision: of the run.
        device: ``cpu``, ``cuda`` or ``mps``.
    """
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()


class _Settings:
    """What torch is set to. It has an older and a newer way to ask for TF32, and both have a memory of their own."""

    def __init__(self) -> None:
        self._products = _older(torch.get_float32_matmul_precision)
        self._convolutions = _older(lambda: torch.backends.cudnn.allow_tf32)
        self._newer = [(backend, backend.fp32_precision) for backend in _backends()]
        cudnn = torch.backends.cudnn
        self._cudnn = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
        self._only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
        self._deterministic = torch.are_deterministic_algorithms_enabled()
        self._filled = _fills_memory()

    def put_back(self) -> None:
        if self._products is not None:
            torch.set_float32_matmul_precision(self._products)
        if self._convolutions is not None:
            torch.backends.cudnn.allow_tf32 = self._convolutions
        for backend, value in self._newer:
            backend.fp32_precision = value
        cudnn = torch.backends.cudnn
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = self._cudnn
        torch.use_deterministic_algorithms(self._deterministic, warn_only=self._only_warn)
        _fill_memory(self._filled)


def _set_precision(precision: Precision) -> None:
    tf32 = precision == "tf32"
    # These set the newer ones, too, and torch refuses to compute where the two contradict each other.
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    for backend in _backends()[-2:]:  # the CPU's, which are exact in every precision: see autocast
        backend.fp32_precision = "ieee"


def _be_deterministic() -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = True, False, True
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory that it hasn't written; to fill all of it first takes time.
    _fill_memory(False)


def _fills_memory() -> bool:
    return bool(torch.utils.deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]


def _fill_memory(value: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = value  # type: ignore[attr-defined]


def _backends() -> list[Any]:
    cuda: Any = torch.backends.cudnn
    cpu: Any = torch.backends.mkldnn
    return [torch.backends.cuda.matmul, cuda.conv, cuda.rnn, cpu.matmul, cpu.conv]


def _older(read: Any) -> Any:
    """Return a setting of the older way, or None where torch can't tell as the newer one was used."""
    try:
        return read()
    except RuntimeError:
        return None

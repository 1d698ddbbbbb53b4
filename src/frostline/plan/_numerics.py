"""What decides the last bits of an answer and isn't in the recipe: by rule, from recipe, network and kind of device.

No clock decides here, nor load, nor what else is trained: an arm has the same numerics alone and in company, today and
tomorrow, in a study and by the plain loop.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from frostline.models.facts import BackboneFacts

__all__ = ["Layout", "Precision", "choose_layout", "choose_threads", "pass_batch_size", "precision_on"]

Layout: TypeAlias = Literal["contiguous", "channels_last"]
"""How the pixels of a map lie in memory."""

Precision: TypeAlias = Literal["ieee", "tf32", "bf16"]
"""How exactly products are computed: float32; on NVIDIA GPUs, of factors rounded to TF32's 11 bits; bfloat16's 8."""

OPERATIONS_A_THREAD = 1e9
"""Operations of a training step's forward pass that keep one thread busy: another gains little where it has less."""

X86 = ("x86_64", "AMD64")


def choose_layout(facts: BackboneFacts, device: str, machine: str | None = None) -> Layout:
    """Return the memory layout that a network's maps have wherever torch computes them.

    ``channels_last`` on x86 processors: of 15 networks trained with AVX-512 none was more than 2% slower in it, and
    depthwise ones up to 1.6 times as fast; with AVX2 12 of them were faster, ResNet-18 15% slower (``python -m
    benchmarks layouts``, docs/benchmarks.md). ``contiguous``, torch's own, elsewhere, where nothing was measured, and
    for networks whose strided 1x1 convolutions torch gets wrong in the other.

    Args:
        facts: the backbone's.
        device: ``cpu``, ``cuda`` or ``mps``.
        machine: the processor's architecture; this machine's when left out.
    """
    fast = device == "cpu" and (machine or platform.machine()) in X86
    return "channels_last" if fast and not facts.narrow_strides else "contiguous"


def choose_threads(operations: float, available: int) -> int:
    """Return how many threads train a trajectory: a power of two, as several small ones train side by side.

    Args:
        operations: of the forward pass of what is trained, for a batch.
        available: the threads that torch has here.
    """
    threads = 1
    while 2 * threads <= available and operations >= 2 * threads * OPERATIONS_A_THREAD:
        threads *= 2
    # All of them rather than the largest power of two below.
    return available if 2 * threads > available and operations >= available * OPERATIONS_A_THREAD else threads


def precision_on(precision: Precision, device: str) -> Precision:
    """Return the precision that what was trained in one computes in on another kind of device: float32 if not its own.

    Args:
        precision: that of the run.
        device: ``cpu``, ``cuda`` or ``mps``.
    """
    offered: dict[str, tuple[Precision, ...]] = {"cpu": ("ieee", "bf16"), "cuda": ("ieee", "tf32", "bf16")}
    return precision if precision in offered.get(device, ()) else "ieee"


def pass_batch_size(device: str) -> int:
    """Return how many images go through a prefix together.

    On the CPU OpenVINO ran 8 fastest or as fast as any of 4 to 32 on all networks tried; accelerators want more.
    """
    return 8 if device == "cpu" else 64

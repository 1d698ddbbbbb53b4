"""What runs a prefix: an engine is chosen, and believed only after it agrees with eager torch on real images."""

from __future__ import annotations

import copy
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from frostline.errors import FeatureError
from frostline.features._device_errors import is_out_of_memory
from frostline.features._openvino import OpenVinoEngine
from frostline.features._torch import TorchEngine
from frostline.quantities import format_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from frostline.plan import Layout, Precision

__all__ = ["ENGINES", "Engine", "Prefix", "ReadyEngine", "choose_engine"]

Images: TypeAlias = NDArray[np.uint8]
Outputs: TypeAlias = tuple[NDArray[Any], ...]

TOLERANCES: dict[Precision, float] = {"ieee": 1e-3, "tf32": 1e-2, "bf16": 5e-2}
"""Largest difference from eager torch in float32 on the CPU, relative to the largest number of a tensor, that an engine
may show in a precision."""


_ELSEWHERE = 'use --device cpu (device="cpu" in Python), or another backbone'


class Engine(Protocol):
    """Runs a module on batches of one fixed shape."""

    @property
    def identity(self) -> str:
        """What must be the same for the same bits: engine, version and device."""

    def run(self, batches: Iterable[Images]) -> Generator[Outputs]:
        """Yield the outputs, new arrays [B, ...], of each batch of images, uint8 [B, 3, H, W], in order."""


class OneByOne:
    """An engine made for a batch of one: for networks whose rows it would let depend on the images beside them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.identity = f"{engine.identity}, image by image"

    def run(self, batches: Iterable[Images]) -> Generator[Outputs]:
        """Yield the outputs, new arrays [B, ...], of each batch of images, uint8 [B, 3, H, W], in order."""
        sizes: deque[int] = deque()

        def single() -> Iterator[Images]:
            for images in batches:
                sizes.append(len(images))
                yield from np.split(images, len(images))

        rows: list[Outputs] = []
        with closing(self._engine.run(single())) as results:
            for outputs in results:
                rows.append(outputs)
                if len(rows) == sizes[0]:
                    yield tuple(np.concatenate(tensors) for tensors in zip(*rows, strict=True))
                    sizes.popleft()
                    rows = []


ENGINES: dict[str, Callable[..., Engine]] = {
    "openvino": OpenVinoEngine,
    "torch": TorchEngine,
}
"""How to build each engine: from a module, one batch of images, a device, a memory layout and a precision."""


class Prefix(nn.Module):
    """Images as they are stored, uint8 [B, 3, H, W], to the tensors wanted of a prefix."""

    def __init__(
        self, normalise: Callable[[torch.Tensor], torch.Tensor], prefix: nn.Module, wanted: Sequence[int]
    ) -> None:
        super().__init__()
        self.normalise, self.prefix, self.wanted = normalise, prefix, tuple(wanted)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the wanted tensors."""
        outputs = self.prefix(self.normalise(images))
        return tuple(outputs[index] for index in self.wanted)


@dataclass(frozen=True)
class ReadyEngine:
    """An engine that agreed with eager torch; ``sources[i]`` says which of its outputs is the i-th tensor wanted."""

    engine: Engine
    sources: tuple[int, ...]

    @property
    def identity(self) -> str:
        """What must be the same for the same bits."""
        return self.engine.identity

    def run(self, batches: Iterable[Images]) -> Generator[Outputs]:
        """Yield the tensors wanted of each batch of images, in order."""
        with closing(self.engine.run(batches)) as results:
            for outputs in results:
                yield tuple(outputs[source] for source in self.sources)


def choose_engine(
    names: Sequence[str],
    device: str,
    prefix: nn.Module,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    wanted: Sequence[int],
    shapes: Sequence[tuple[int, ...]],
    *,
    n_tensors: int,
    images: Images,
    notice: Callable[[str], None],
    layout: Layout = "contiguous",
    precision: Precision = "ieee",
) -> ReadyEngine:
    """Return the first engine of a list that can run the prefix and agrees with eager torch on a batch of images.

    Args:
        names: engines in order of preference; on the CPU eager torch is tried last whether named or not.
        device: ``cpu``, ``cuda`` or ``mps``, for the torch engine.
        prefix: float32 images [B, 3, H, W] to a flat tuple of tensors [B, ...], in eval mode.
        normalise: uint8 images to float32 ones.
        wanted: which of the prefix's tensors to compute, in order.
        shapes: what each of these must be, without the batch.
        n_tensors: how many tensors the prefix must return.
        images: uint8 [B, 3, H, W].
        notice: told why an engine was passed over.
        layout: how maps lie in memory on the torch engine; OpenVINO has its own.
        precision: of products.

    Raises:
        FeatureError: the prefix returns other tensors than ``shapes`` says, or an accelerator can't run it or gives
            other numbers: nothing moves to the CPU unasked.
    """
    batch = torch.from_numpy(images)
    if any(parameter.device.type != "cpu" for parameter in prefix.parameters()):
        prefix = copy.deepcopy(prefix).cpu()
    with torch.inference_mode():
        tensors = prefix(normalise(batch))
    if len(tensors) != n_tensors:
        raise FeatureError(f"the prefix gives {len(tensors)} tensors, expected {n_tensors}")
    expected = [tensors[index] for index in wanted]
    _check_shapes(expected, shapes, len(images))
    # A tensor that crosses several cuts is computed and fetched once; OpenVINO refuses to convert repeated outputs.
    first = {id(tensor): index for index, tensor in reversed(list(enumerate(expected)))}
    distinct = sorted(first.values())
    sources = tuple(distinct.index(first[id(tensor)]) for tensor in expected)
    module = Prefix(normalise, prefix, [wanted[index] for index in distinct])
    reference = [expected[index].numpy() for index in distinct]
    for name in names:
        if name == "torch" and device == "cpu":
            break
        try:
            engine = ENGINES[name](module, batch, device, layout, precision)
            outputs = next(iter(engine.run([images])))
        except Exception as error:  # whatever a converter trips over, eager torch can still do the work
            if is_out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if device != "cpu":
                raise FeatureError(
                    f"engine {name} can't run this network on {device} ({reason}): {_ELSEWHERE}"
                ) from error
            notice(f"engine {name} can't run this network ({reason}): eager torch on the CPU does, more slowly")
            continue
        problem = _describe_difference(name, outputs, reference, TOLERANCES[precision])
        if problem is None:
            if not _rows_stand_alone(engine, images, outputs):
                engine = OneByOne(ENGINES[name](module, batch[:1], device, layout, precision))
            return ReadyEngine(engine, sources)
        if device != "cpu":
            raise FeatureError(
                f'{problem}. Results on {device} would be wrong: use --device cpu (device="cpu"), or another backbone'
            )
        notice(f"{problem}: eager torch on the CPU is used instead, more slowly")
    return ReadyEngine(ENGINES["torch"](module, batch, "cpu", layout, precision), sources)


def _describe_difference(
    name: str, outputs: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]], tolerance: float
) -> str | None:
    """Return how an engine's outputs differ from eager torch by more than is allowed; None where they don't."""
    difference = largest_difference(outputs, reference)
    if difference <= tolerance:
        return None
    how = f"differs from eager torch by {format_difference(difference)} on the first batch"
    if not np.isfinite(difference):
        how = "gives NaN on the first batch, or other shapes than eager torch"
    return f"engine {name} {how}; up to {format_difference(tolerance)} is allowed"


def _rows_stand_alone(engine: Engine, images: Images, outputs: Outputs) -> bool:
    """Tell whether images have the same rows, bit for bit, in other places of a batch and beside other images."""
    moved, repeated = engine.run([np.ascontiguousarray(images[::-1]), np.repeat(images[:1], len(images), axis=0)])
    return all(
        np.array_equal(after[::-1], before) and all(np.array_equal(row, before[0]) for row in copies)
        for before, after, copies in zip(outputs, moved, repeated, strict=True)
    )


def _check_shapes(tensors: Sequence[torch.Tensor], shapes: Sequence[tuple[int, ...]], batch_size: int) -> None:
    found = [tuple(tensor.shape) for tensor in tensors]
    if found != [(batch_size, *shape) for shape in shapes]:
        raise FeatureError(
            f"the prefix gives tensors of shapes {found} for a batch of {batch_size}, expected one row each of "
            f"{[tuple(shape) for shape in shapes]}"
        )
    kinds = {tensor.dtype for tensor in tensors} - {torch.float32}
    if kinds:
        raise FeatureError(f"the prefix gives tensors of {', '.join(sorted(map(str, kinds)))}; only float32 is stored")


def largest_difference(outputs: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]]) -> float:
    """Return the largest difference relative to the largest number of each tensor; infinite for other shapes or NaN."""
    largest = 0.0
    for ours, theirs in zip(outputs, reference, strict=True):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return float("inf")
        finite = np.isfinite(theirs)
        if not np.array_equal(np.isfinite(ours), finite):
            return float("inf")
        scale = float(np.abs(theirs[finite]).max(initial=0.0))
        difference = float(np.abs(ours[finite] - theirs[finite]).max(initial=0.0))
        largest = max(largest, difference / max(scale, float(np.finfo(np.float32).tiny)))
    return largest

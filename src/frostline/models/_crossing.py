"""What crosses a cut: the tensors that the steps before it make and the steps after it use."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from frostline.models._measuring import BATCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.models._analysis import Analysis

__all__ = ["BatchMultiple", "Crossing", "RefusedError", "TensorTrait", "find_crossing"]


class RefusedError(Exception):
    """A place where a network can't be cut, and why."""


@dataclass(frozen=True)
class BatchMultiple:
    """A number that is a multiple of the batch size, such as the number of windows in a batch."""

    times: int


@dataclass(frozen=True)
class TensorTrait:
    """A device or a dtype, read off the first crossing tensor, as the network may have moved since."""

    name: str


@dataclass(frozen=True)
class Crossing:
    """The crossing tensors of a cut before ``position``, one image's shapes, and whether the tail overwrites each.

    ``known`` are crossing values that aren't tensors, with what the tail puts in their place: constants, and
    ``BatchMultiple`` or ``TensorTrait`` at any depth.
    """

    position: int
    nodes: tuple[fx.Node, ...]
    shapes: tuple[tuple[int, ...], ...]
    overwritten: tuple[bool, ...]
    known: dict[fx.Node, Any]


def find_crossing(analysis: Analysis, position: int) -> Crossing:
    """Return what crosses the cut before the node at a position.

    Raises:
        RefusedError: something crosses that can't be stored as one row for each image.
    """
    measured, nodes, before = analysis.measured, analysis.nodes, analysis.before(position)
    known = {node: value for node in nodes[position:] for value in _read_before(analysis, node, before)}
    used: dict[fx.Node, None] = {}
    for node in analysis.needed(analysis.running(nodes[position:]), before | known.keys()):
        used.update((arg, None) for arg in node.all_input_nodes if arg in before)
    tensors: list[fx.Node] = []
    shapes: list[tuple[int, ...]] = []
    for node in sorted(used, key=nodes.index):
        small, large = measured.values[node]
        if isinstance(small, torch.Tensor):
            tensors.append(node)
            shapes.append(_row_shape(small, large))
        else:
            known[node] = _known_value(small, large)
    if not tensors:
        raise RefusedError("no tensor crosses there")
    overwritten = tuple(measured.overwritten(node, position) for node in tensors)
    for node, written in zip(tensors, overwritten, strict=True):
        if written and any(measured.alias(node, other) for other in tensors if other is not node):
            raise RefusedError("two tensors cross there that share memory, and one is overwritten later")
    return Crossing(position, tuple(tensors), tuple(shapes), overwritten, known)


def _read_before(analysis: Analysis, node: fx.Node, before: set[fx.Node]) -> Iterator[Any]:
    """Yield what stands for a size that a node reads off a tensor from before a cut, which needn't cross for that."""
    if node in analysis.dependence.sizes and any(arg in before for arg in node.all_input_nodes):
        small, large = analysis.measured.values.get(node, (None, None))
        if small is not None:
            with contextlib.suppress(RefusedError):
                yield _known_value(small, large)


def _row_shape(small: torch.Tensor, large: torch.Tensor) -> tuple[int, ...]:
    """Return the shape of one image's row, given the tensor at both batch sizes."""
    if small.dtype != torch.float32:
        raise RefusedError(f"a tensor of {str(small.dtype).removeprefix('torch.')} crosses there")
    if small.ndim == 0 or (small.shape[0], large.shape[0]) != BATCHES or small.shape[1:] != large.shape[1:]:
        raise RefusedError(f"a tensor of shape {list(small.shape)} for {BATCHES[0]} images crosses there")
    return tuple(small.shape[1:])


def _known_value(small: Any, large: Any) -> Any:
    """Return what stands for a value that isn't a tensor, given it at both batch sizes."""
    if isinstance(small, (torch.device, torch.dtype)):
        return TensorTrait("device" if isinstance(small, torch.device) else "dtype")
    if isinstance(small, (tuple, list)) and len(small) == len(large):
        if any(isinstance(item, torch.Tensor) for item in small):
            raise RefusedError("several tensors cross there as one value")
        return tuple(_known_value(a, b) for a, b in zip(small, large, strict=True))
    if isinstance(small, (int, float, str, bool, type(None))):
        if small == large:
            return small
        if isinstance(small, int) and small % BATCHES[0] == 0 and small // BATCHES[0] * BATCHES[1] == large:
            return BatchMultiple(small // BATCHES[0])
    raise RefusedError(f"a {type(small).__name__} that depends on the batch crosses there")

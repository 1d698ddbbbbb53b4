"""What each node of a traced network makes, costs and overwrites, found by running it without numbers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from frostline.models._copies import copy_to_meta
from frostline.streams import torch_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.models._tracing import NetworkGraph

__all__ = ["BATCHES", "Measured", "images_like", "measure_graph"]

BATCHES = (2, 3)
"""The two batch sizes of the measuring runs: what differs between their values depends on the batch."""


@dataclass(frozen=True)
class Measured:
    """Values by node for both batch sizes, operations by node for one image, and who overwrites what."""

    values: dict[fx.Node, tuple[Any, Any]]
    flops: dict[fx.Node, int]
    _storages: tuple[dict[fx.Node, int], ...]
    _writes: tuple[tuple[tuple[int, int], ...], ...]

    def is_tensor(self, node: fx.Node) -> bool:
        """Return whether a node makes a tensor, or a collection with one."""
        return next(_tensors(self.values.get(node, (None, None))[0]), None) is not None

    def writes(self) -> Iterator[tuple[int, frozenset[fx.Node]]]:
        """Yield the index of each node that writes to a tensor in place, with all nodes that share its memory."""
        for storages, writes in zip(self._storages, self._writes, strict=True):
            for index, storage in writes:
                yield index, frozenset(node for node, own in storages.items() if own == storage)

    def overwritten(self, node: fx.Node, position: int) -> bool:
        """Return whether a node's tensor is written to in place by a node from a position on."""
        return any(
            index >= position and storages.get(node) == storage
            for storages, writes in zip(self._storages, self._writes, strict=True)
            for index, storage in writes
        )

    def alias(self, one: fx.Node, other: fx.Node) -> bool:
        """Return whether two nodes' tensors share memory, in either mode."""
        return any(one in s and s.get(one) == s.get(other) for s in self._storages)


def images_like(module: nn.Module, batch: int, image_size: int) -> torch.Tensor:
    """Return images of noise [B,3,H,W] in float32 on the device of a module.

    Other noise for another batch size: a number that is read off an image isn't taken for a constant then.
    """
    generator = torch.Generator().manual_seed(batch)
    images = torch.empty(batch, 3, image_size, image_size, device=next(module.parameters()).device)
    return images if images.is_meta else images.copy_(torch.rand(images.shape, generator=generator))


def measure_graph(module: nn.Module, network: NetworkGraph, image_size: int) -> Measured:
    """Run a graph without numbers on two batch sizes and in both modes.

    Where an operation has no meta kernel, the module itself is run on its own device; in train mode a copy of it.

    Raises:
        Exception: whatever the network raises for images of that size.
    """
    try:
        return _measure(copy_to_meta(module), network, image_size)
    except Exception:
        return _measure(copy.deepcopy(module), network, image_size)


def _measure(module: nn.Module, network: NetworkGraph, image_size: int) -> Measured:
    graph, bound = network.graph, network.bind(module, network.graph, "Network")
    runs = []
    for training, batch in ((False, BATCHES[0]), (False, BATCHES[1]), (True, BATCHES[0])):
        run = _Run(bound.train(training), graph)
        with torch.no_grad(), torch_stream():
            run.run_counted(images_like(module, batch, image_size))
        runs.append(run)
    first, second, trained = runs
    values = {node: (first.env[node], second.env[node]) for node in graph.nodes if node in first.env}
    flops = {node: count // BATCHES[0] for node, count in first.flops.items()}
    both = (first, trained)
    return Measured(values, flops, tuple(r.storages for r in both), tuple(tuple(r.writes) for r in both))


class _Run(fx.Interpreter):
    """One run of a graph that notes operations, storages and in-place writes, and keeps every value."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, garbage_collect_values=False, graph=graph)
        self._index = {node: i for i, node in enumerate(graph.nodes)}
        self._counter = FlopCounterMode(display=False)
        self._total = 0
        self.flops: dict[fx.Node, int] = {}
        self.storages: dict[fx.Node, int] = {}
        self.writes: list[tuple[int, int]] = []

    def run_counted(self, images: torch.Tensor) -> None:
        """Run the graph under the operation counter."""
        with self._counter:
            self.run(images)

    def run_node(self, n: fx.Node) -> Any:
        inputs = [self.env[arg] for arg in n.all_input_nodes]
        before = [(t, t._version) for value in inputs for t in _tensors(value)]
        value = super().run_node(n)
        for tensor, seen in before:
            if tensor._version != seen:
                self.writes.append((self._index[n], _storage(tensor)))
        if isinstance(value, torch.Tensor):
            self.storages[n] = _storage(value)
        total = self._counter.get_total_flops()
        self.flops[n], self._total = total - self._total, total
        return value


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _storage(tensor: torch.Tensor) -> int:
    """Return what identifies a tensor's memory; every value of a run is kept, so that it isn't used twice."""
    return int(tensor.untyped_storage()._cdata)

"""A network's graph at one image size, with what is known of each of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.models._dependence import Dependence, find_dependence
from frostline.models._measuring import Measured, measure_graph
from frostline.models._tracing import NetworkGraph, trace_network

if TYPE_CHECKING:
    from torch import fx, nn

__all__ = ["Analysis", "analyse_network"]


@dataclass(frozen=True)
class Analysis:
    """A network's graph, what its nodes make, and what they depend on."""

    network: NetworkGraph
    measured: Measured
    dependence: Dependence

    @property
    def nodes(self) -> list[fx.Node]:
        """The nodes in execution order."""
        return list(self.network.graph.nodes)

    def running(self, nodes: list[fx.Node]) -> list[fx.Node]:
        """Return those of some nodes that run for each batch of images, whatever they are used for."""
        return [n for n in nodes if n not in self.dependence.free and n not in self.dependence.checks]

    def before(self, position: int) -> set[fx.Node]:
        """Return the nodes before a position that a tail from there on can't compute anew."""
        return set(self.nodes[:position]) - self.dependence.free

    def needed(self, nodes: list[fx.Node], stop: set[fx.Node]) -> set[fx.Node]:
        """Return nodes with all that they depend on, not looking behind those in ``stop``."""
        needed: set[fx.Node] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in needed and node not in stop:
                needed.add(node)
                waiting.extend(self.dependence.inputs[node])
        return needed


def analyse_network(module: nn.Module, head_path: str, image_size: int) -> Analysis:
    """Return a network's graph, measured.

    Raises:
        UntraceableError: it has no graph.
        Exception: whatever the network raises for images of that size.
    """
    network = trace_network(module, head_path)
    measured = measure_graph(module, network, image_size)
    return Analysis(network, measured, find_dependence(network.graph, measured))

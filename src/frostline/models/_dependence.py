"""What each node of a network depends on: the images, or only parameters, constants and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import fx

    from frostline.models._measuring import Measured

__all__ = ["Dependence", "find_dependence"]


@dataclass(frozen=True)
class Dependence:
    """What nodes need, and which of them compute without the images.

    ``inputs`` are the nodes whose values a node takes, and those that wrote to these values before it. ``free`` nodes
    depend on no image but for its size, such as a class token that is repeated for each image of a batch: they are
    computed anew on whichever side of a cut they are used. ``sizes`` make no tensor, but a size or a trait of one.
    ``checks`` only raise, which they don't for this network.
    """

    inputs: dict[fx.Node, tuple[fx.Node, ...]]
    free: frozenset[fx.Node]
    sizes: frozenset[fx.Node]
    checks: frozenset[fx.Node]
    _used: dict[fx.Node, tuple[int, int]]

    def used(self, node: fx.Node, index: int) -> tuple[int, int]:
        """Return the indices of the first and the last node on which a node of some index takes effect."""
        return self._used.get(node, (index, index))


def find_dependence(graph: fx.Graph, measured: Measured) -> Dependence:
    """Return what the nodes of a measured graph depend on."""
    nodes = list(graph.nodes)
    writers: dict[fx.Node, set[int]] = {}
    for index, touched in measured.writes():
        for node in touched:
            writers.setdefault(node, set()).add(index)
    writing = {nodes[index] for indices in writers.values() for index in indices}
    position = {node: index for index, node in enumerate(nodes)}
    sizes = {node for node in nodes if node not in writing and not measured.is_tensor(node)}
    inputs: dict[fx.Node, tuple[fx.Node, ...]] = {}
    free: set[fx.Node] = set()
    for index, node in enumerate(nodes):
        earlier = {w for arg in node.all_input_nodes for w in writers.get(arg, ()) if position[arg] < w < index}
        inputs[node] = tuple(dict.fromkeys((*node.all_input_nodes, *(nodes[w] for w in sorted(earlier)))))
        if node.op in ("placeholder", "output"):
            continue
        # A size is the same on both sides of a cut, so it counts for no image; but it isn't made of tensors anew.
        known = free - sizes if node not in sizes else free & sizes
        if all(arg in known or (node not in sizes and arg in sizes) for arg in inputs[node]):
            free.add(node)
    checks = {
        node
        for node in nodes
        if node.op == "call_function"
        and not node.users
        and node not in writing
        and measured.values.get(node) == (None, None)
    }
    return Dependence(inputs, frozenset(free), frozenset(sizes), frozenset(checks), _find_used(nodes, inputs, free))


def _find_used(
    nodes: list[fx.Node], inputs: dict[fx.Node, tuple[fx.Node, ...]], free: set[fx.Node]
) -> dict[fx.Node, tuple[int, int]]:
    """Return the indices of the first and the last node with an image that use each free node."""
    used: dict[fx.Node, tuple[int, int]] = {}
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        if node in free and node not in used:
            continue  # it is used nowhere
        first, last = used[node] if node in free else (index, index)
        for arg in inputs[node]:
            if arg in free:
                low, high = used.get(arg, (first, last))
                used[arg] = min(low, first), max(high, last)
    return used

"""The two sides of a cut as modules, sharing the network's own layers."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch.fx.node import map_arg

from frostline.models._crossing import BatchMultiple, Crossing, TensorTrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from frostline.models._analysis import Analysis

__all__ = ["build_prefix", "build_tail"]


def build_prefix(root: nn.Module, analysis: Analysis, crossings: Sequence[Crossing]) -> fx.GraphModule:
    """Return images [B,3,H,W] to the tensors of each crossing in turn, as one flat tuple.

    A tensor that a later node of the prefix overwrites is copied at its own cut, so that it is returned as it was.
    """
    nodes = analysis.nodes
    last = max(crossing.position for crossing in crossings)
    wanted = analysis.needed(analysis.running(nodes[:last]), set())
    built = fx.Graph()
    env: dict[fx.Node, fx.Node] = {}
    outputs: dict[tuple[int, fx.Node], fx.Node] = {}
    by_position = sorted({crossing.position: crossing for crossing in crossings}.items())
    for position, node in enumerate(nodes[: last + 1]):
        while by_position and by_position[0][0] == position:
            _, crossing = by_position.pop(0)
            for value, overwritten in zip(crossing.nodes, crossing.overwritten, strict=True):
                made = env[value]
                if overwritten and position < last:
                    made = built.call_function(torch.clone, (made,))
                outputs[position, value] = made
        if position < last and node in wanted:
            env[node] = built.node_copy(node, env.__getitem__)
    built.output(tuple(outputs[c.position, value] for c in crossings for value in c.nodes))
    return analysis.network.bind(root, built, "Prefix")


def build_tail(root: nn.Module, analysis: Analysis, crossing: Crossing) -> fx.GraphModule:
    """Return the crossing tensors [B,..] to logits [B,K].

    Tensors that the tail overwrites are copied on entry, so that a caller's rows stay as they are.
    """
    nodes = analysis.nodes
    after = analysis.running(nodes[crossing.position :])
    wanted = analysis.needed(after, analysis.before(crossing.position) | crossing.known.keys())
    built = fx.Graph()
    entered = [built.placeholder(f"crossing_{i}") for i in range(len(crossing.nodes))]
    env: dict[fx.Node, Any] = {}
    for node, placeholder, overwritten in zip(crossing.nodes, entered, crossing.overwritten, strict=True):
        env[node] = built.call_function(torch.clone, (placeholder,)) if overwritten else placeholder
    for node, known in crossing.known.items():
        env[node] = _stand_in(built, known, entered[0])
    for node in nodes:
        if node in wanted and node not in env:
            if node.op == "output":
                built.output(map_arg(node.args[0], env.__getitem__))
            else:
                env[node] = built.node_copy(node, env.__getitem__)
    return analysis.network.bind(root, built, "Tail")


def _stand_in(graph: fx.Graph, known: Any, entered: fx.Node) -> Any:
    """Return an argument that has a known value, adding the nodes that compute it from the batch."""
    if isinstance(known, tuple):
        return tuple(_stand_in(graph, item, entered) for item in known)
    if isinstance(known, TensorTrait):
        return graph.call_function(getattr, (entered, known.name))
    if isinstance(known, BatchMultiple):
        size = graph.call_method("size", (entered, 0))
        return size if known.times == 1 else graph.call_function(operator.mul, (size, known.times))
    return known

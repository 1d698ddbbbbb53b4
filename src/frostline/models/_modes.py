"""What a network does by its mode outside of any layer, such as ``dropout(x, p, self.training)``."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

__all__ = ["ByMode", "ModesDifferError", "merge_modes", "module_stack", "record_stack"]

_STACK = "frostline_stack"


class ModesDifferError(Exception):
    """Graphs of both modes that differ in more than plain values."""


class ByMode(nn.Module):
    """A layer without inputs that gives one value in eval mode and another one in train mode."""

    def __init__(self, evaluating: Any, training: Any) -> None:
        super().__init__()
        self.values = (evaluating, training)

    def forward(self) -> Any:
        """Return the value of the mode it is in."""
        return self.values[int(self.training)]


def record_stack(node: fx.Node, stack: tuple[str, ...]) -> None:
    """Note the paths of the modules within which a node is run."""
    node.meta[_STACK] = stack


def module_stack(node: fx.Node) -> tuple[str, ...]:
    """Return the paths of the modules within which a node is run, outermost first, its own module last."""
    stack: tuple[str, ...] = node.meta.get(_STACK, ())
    return stack


def merge_modes(evaluating: fx.Graph, training: fx.Graph) -> dict[str, ByMode]:
    """Make a network's graph in eval mode that of both modes; return the layers that it calls beside the network's own.

    Where both graphs run the same operations on other plain values, a ``ByMode`` gives the value.

    Raises:
        ModesDifferError: they run other operations, or the same ones on other tensors.
    """
    nodes, twins = list(evaluating.nodes), list(training.nodes)
    if [(node.op, node.target) for node in nodes] != [(twin.op, twin.target) for twin in twins]:
        raise ModesDifferError
    own = dict(zip(twins, nodes, strict=True))
    layers: dict[str, ByMode] = {}

    def value_by_mode(node: fx.Node, one: Any, other: Any) -> fx.Node:
        name = f"_by_mode_{len(layers)}"
        layers[name] = ByMode(one, other)
        with evaluating.inserting_before(node):
            made = evaluating.call_module(name)
        stack = module_stack(node)
        record_stack(made, stack[:-1] if node.op == "call_module" else stack)
        return made

    def merged(node: fx.Node, one: Any, other: Any) -> Any:
        if isinstance(one, fx.Node) or isinstance(other, fx.Node):
            if not isinstance(other, fx.Node) or own[other] is not one:
                raise ModesDifferError
            return one
        for kind in (tuple, list):
            if isinstance(one, kind) and isinstance(other, kind) and len(one) == len(other):
                return kind(merged(node, a, b) for a, b in zip(one, other, strict=True))
        if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
            return {key: merged(node, one[key], other[key]) for key in one}
        if isinstance(one, slice) and isinstance(other, slice):
            return slice(*(merged(node, getattr(one, p), getattr(other, p)) for p in ("start", "stop", "step")))
        if one == other:
            return one
        if isinstance(one, (tuple, list, dict, slice)) or isinstance(other, (tuple, list, dict, slice)):
            raise ModesDifferError
        return value_by_mode(node, one, other)

    for node, twin in zip(nodes, twins, strict=True):
        node.args = merged(node, node.args, twin.args)
        node.kwargs = merged(node, node.kwargs, twin.kwargs)
    return layers

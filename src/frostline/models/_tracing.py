"""Networks as graphs of operations in execution order."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import fx, nn
from torch.fx.node import map_arg

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UntraceableError", "module_stack", "reads_training", "trace_network"]

_STACK = "frostline_stack"


class UntraceableError(Exception):
    """A network whose operations depend on its inputs or its mode in ways that a graph can't hold."""


def module_stack(node: fx.Node) -> tuple[str, ...]:
    """Return the paths of the modules within which a node is run, outermost first, its own module last."""
    stack: tuple[str, ...] = node.meta.get(_STACK, ())
    return stack


def trace_network(module: nn.Module, head_path: str) -> fx.Graph:
    """Return a network's graph, the same in train and eval mode.

    Modules without children, those of torch.nn, those that timm marks as untraceable, the head, and those whose forward
    asks whether it is training are single nodes, so that their behaviour in either mode stays theirs.

    Raises:
        UntraceableError: tracing fails, or the graphs of both modes differ.
    """
    training = module.training
    try:
        graphs = [_trace(module.train(mode), head_path) for mode in (False, True)]
    finally:
        module.train(training)
    if _listing(graphs[0], module) != _listing(graphs[1], module):
        raise UntraceableError("it runs other operations in train mode than in eval mode, outside of any layer")
    return graphs[0]


def _trace(module: nn.Module, head_path: str) -> fx.Graph:
    from timm.layers import get_notrace_functions, get_notrace_modules

    tracer = _Tracer(head_path, tuple(get_notrace_modules()), tuple(get_notrace_functions()))
    try:
        return tracer.trace(module)
    except Exception as error:  # tracing runs the network's own code on stand-ins, which can fail in any way
        raise UntraceableError(
            f"torch.fx can't trace it: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error


def _listing(graph: fx.Graph, module: nn.Module) -> list[tuple[str, str, str]]:
    """Return a graph's nodes as text, with each constant tensor by its contents in place of its running number."""
    listing: list[tuple[str, str, str]] = []
    numbers = {str(node): str(i) for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        target = str(node.target)
        if node.op == "get_attr" and target.startswith("_tensor_constant"):
            target = str(getattr(module, target))
        arguments = map_arg((node.args, node.kwargs), lambda arg: f"%{numbers[str(arg)]}")
        listing.append((node.op, target, str(arguments)))
    return listing


class _Tracer(fx.Tracer):
    """A tracer that records where each node is run and never looks inside what behaves by mode."""

    def __init__(
        self, head_path: str, leaves: tuple[type[nn.Module], ...], functions: tuple[Callable[..., Any], ...]
    ) -> None:
        super().__init__(autowrap_functions=functions, param_shapes_constant=True)
        self._head_path, self._leaves = head_path, leaves
        self._stack: list[str] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if module_qualified_name == self._head_path or next(m.children(), None) is None:
            return True
        if isinstance(m, self._leaves) or reads_training(m):
            return True
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self._stack.append(self.path_of_module(m))
        try:
            return super().call_module(m, forward, args, kwargs)
        finally:
            self._stack.pop()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        node.meta[_STACK] = tuple(self._stack)
        return node

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        # Only the images are an input; whatever else forward takes keeps its default.
        return root_fn, [self.root, self.create_proxy("placeholder", "images", (), {})]


def reads_training(module: nn.Module) -> bool:
    """Return whether a module's forward may behave by mode: it asks for ``training``, or its code can't be seen."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return code is None or "training" in code.co_names

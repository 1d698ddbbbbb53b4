"""Networks as graphs of operations in execution order."""

from __future__ import annotations

import inspect
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from frostline.models._modes import ByMode, ModesDifferError, merge_modes, record_stack
from frostline.streams import torch_stream

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NetworkGraph", "UntraceableError", "first_line", "reads_training", "trace_network"]


class UntraceableError(Exception):
    """A network whose operations depend on its inputs or its mode in ways that a graph can't hold."""


@dataclass(frozen=True)
class NetworkGraph:
    """A network's graph, the same in both modes, and what it uses beside the network's own layers and tensors.

    ``extras`` are those by name: tensors that tracing made out of constants, and ``ByMode`` layers. They are kept here,
    as the graph is used with every copy of the network, and with other weights.
    """

    graph: fx.Graph
    extras: dict[str, torch.Tensor | ByMode]

    def find(self, module: nn.Module, target: str) -> Any:
        """Return what a node's target names: an extra, or a layer, parameter or buffer of a network."""
        if target in self.extras:
            return self.extras[target]
        owner, _, name = target.rpartition(".")
        return getattr(module.get_submodule(owner), name)

    def bind(self, module: nn.Module, graph: fx.Graph, name: str) -> fx.GraphModule:
        """Return a graph made of this one's nodes as a module with a network's own layers and tensors.

        Extras are copies, on the network's device, and aren't part of its state.
        """
        targets = {str(node.target) for node in graph.nodes if node.op in ("get_attr", "call_module")}
        found = {target: self.find(module, target) for target in targets if target not in self.extras}
        device = next(module.parameters()).device
        for target in targets & self.extras.keys():
            extra = self.extras[target]
            copied = extra.to(device) if isinstance(extra, torch.Tensor) else ByMode(*extra.values)
            found[target] = copied.train(module.training) if isinstance(copied, ByMode) else copied
        bound = fx.GraphModule(found, graph, name)
        bound.training = module.training
        state = module.state_dict().keys()
        for target in targets:
            owner, _, attribute = target.rpartition(".")
            holder = bound.get_submodule(owner)
            if attribute in holder._buffers:  # torch.fx makes every tensor a part of the state
                holder.register_buffer(attribute, holder._buffers[attribute], persistent=target in state)
        return bound

    def stands_for(self, module: nn.Module) -> bool:
        """Return whether its constants have the numbers that a network needs: those of a meta device have none."""
        empty = any(isinstance(extra, torch.Tensor) and extra.is_meta for extra in self.extras.values())
        return not empty or next(module.parameters()).is_meta


def trace_network(module: nn.Module, head_path: str) -> NetworkGraph:
    """Return a network's graph.

    Modules without children, those of torch.nn, those that timm marks as untraceable, the head, and those whose forward
    asks whether it is training are single nodes, so that their behaviour in either mode stays theirs.

    Raises:
        UntraceableError: tracing fails, or the graphs of both modes differ in more than plain values.
    """
    mode = module.training
    try:
        # Entering train mode lets go of what a network has kept from a forward in eval mode, such as a bias table.
        training, constants = _trace(module.train(), head_path)
        evaluating, others = _trace(module.eval(), head_path)
        module.train()
    finally:
        module.train(mode)
    different = UntraceableError("it runs other operations in train mode than in eval mode, outside of any layer")
    if constants.keys() != others.keys() or not all(_same(constants[name], others[name]) for name in constants):
        raise different
    try:
        layers = merge_modes(evaluating, training)
    except ModesDifferError:
        raise different from None
    return NetworkGraph(evaluating, {**constants, **layers})


def _trace(module: nn.Module, head_path: str) -> tuple[fx.Graph, dict[str, torch.Tensor]]:
    """Return the graph of a network in its mode, and the constants that tracing made, taken off the network."""
    from timm.layers import get_notrace_functions, get_notrace_modules

    tracer = _Tracer(head_path, tuple(get_notrace_modules()), tuple(get_notrace_functions()))
    own = set(vars(module))
    constants: dict[str, torch.Tensor] = {}
    try:
        with torch_stream():
            graph = tracer.trace(module)
    except fx.proxy.TraceError as error:
        raise UntraceableError("what it runs depends on the size or the content of its images") from error
    except Exception as error:  # tracing runs the network's own code on stand-ins, which can fail in any way
        raise UntraceableError(f"torch.fx can't trace it: {first_line(error)}") from error
    finally:
        for name in vars(module).keys() - own:
            constants[name] = vars(module).pop(name)
    for node in reversed(graph.nodes):
        if node.target is getattr and not node.users:  # a device that was only looked at, in one of the modes
            graph.erase_node(node)
    return graph, constants


def first_line(error: BaseException) -> str:
    """Return an error's first line, or what it is where it says nothing."""
    return str(error).splitlines()[0] if str(error) else repr(error)


def _same(one: Any, other: Any) -> bool:
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return bool(one == other)
    alike = one.shape == other.shape and one.dtype == other.dtype and one.is_meta == other.is_meta
    return alike and (one.is_meta or torch.equal(one, other))


class _Proxy(fx.Proxy):
    """A stand-in for a value that can also be filled in place."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})


class _BufferProxy(_Proxy):
    """A stand-in for a buffer whose shape is known while tracing, as torch.fx has it for parameters."""

    def __init__(self, tracer: fx.Tracer, node: fx.Node, buffer: torch.Tensor) -> None:
        super().__init__(node, tracer)
        self._buffer = buffer

    @property
    def shape(self) -> torch.Size:
        return self._buffer.shape

    @property
    def ndim(self) -> int:
        return self._buffer.ndim

    def size(self, dim: int | None = None) -> Any:
        return self._buffer.shape if dim is None else self._buffer.shape[dim]

    def dim(self) -> int:
        return self._buffer.ndim

    def numel(self) -> int:
        return self._buffer.numel()


class _Tracer(fx.Tracer):
    """A tracer that records where each node is run and never looks inside what behaves by mode, but for the head."""

    def __init__(
        self, head_path: str, leaves: tuple[type[nn.Module], ...], functions: tuple[Callable[..., Any], ...]
    ) -> None:
        super().__init__(autowrap_functions=functions, param_shapes_constant=True)
        self._head_path, self._leaves = head_path, leaves
        self._stack: list[str] = []
        self._buffers: dict[int, str] = {}

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        # What is computed from a buffer is computed in the graph, as the buffer may get other numbers with weights.
        name = self._buffers.get(id(attr_val))
        if name is None:
            return super().getattr(attr, attr_val, parameter_proxy_cache)
        if name not in parameter_proxy_cache:
            made = self.create_proxy(
                "get_attr", name, (), {}, proxy_factory_fn=lambda node: _BufferProxy(self, node, attr_val)
            )
            parameter_proxy_cache[name] = made
        return parameter_proxy_cache[name]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        self._buffers = {id(buffer): name for name, buffer in root.named_buffers()}
        return super().trace(root, concrete_args)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if module_qualified_name == self._head_path or next(m.children(), None) is None:
            return True
        if self._head_path.startswith(f"{module_qualified_name}."):
            return False
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
        record_stack(node, tuple(self._stack))
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

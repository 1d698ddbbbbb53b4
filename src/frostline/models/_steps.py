"""A network as a sequence of steps: what is run, within which modules, with which parameters, at what cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from frostline.models._copies import copy_to_meta
from frostline.models._measuring import images_like
from frostline.models._tracing import module_stack, reads_training

if TYPE_CHECKING:
    from frostline.models._measuring import Measured

__all__ = ["Step", "constant_nodes", "steps_by_hooks", "steps_of_graph"]


@dataclass(frozen=True)
class Step:
    """One operation in execution order.

    ``stack`` are the paths of the modules around it, outermost first, ending with its own where it is a module call;
    ``shrinks`` tells a layer without parameters that makes a map smaller: pooling;
    ``by_mode`` a layer that behaves by whether it is training.
    """

    stack: tuple[str, ...]
    path: str | None
    parameters: frozenset[str]
    buffers: frozenset[str]
    flops: int
    shrinks: bool = False
    by_mode: bool = False


def constant_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that depend on no image: parameters, constants, and what is computed from them alone."""
    constant: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and all(arg in constant for arg in node.all_input_nodes):
            constant.add(node)
    return constant


def steps_of_graph(module: nn.Module, graph: fx.Graph, measured: Measured) -> tuple[Step, ...]:
    """Return one step for each node of a traced network.

    What a constant node reads counts for the steps that use it, so that a parameter belongs where it takes effect.
    """
    names, buffer_names = _names_by_id(module)
    constant = constant_nodes(graph)
    reads: dict[fx.Node, tuple[frozenset[str], frozenset[str]]] = {}
    steps = []
    for node in graph.nodes:
        parameters: set[str] = set()
        buffers: set[str] = set()
        for arg in node.all_input_nodes:
            if arg in constant:
                parameters |= reads[arg][0]
                buffers |= reads[arg][1]
        path, by_mode = None, False
        if node.op == "call_module":
            path = str(node.target)
            layer = module.get_submodule(path)
            by_mode = any(reads_training(m) for m in layer.modules())
            parameters |= {names[id(p)] for p in layer.parameters()}
            buffers |= {buffer_names[id(b)] for b in layer.buffers()}
        elif node.op == "get_attr":
            value = _attribute(module, str(node.target))
            parameters |= {names[id(value)]} if id(value) in names else set()
            buffers |= {buffer_names[id(value)]} if id(value) in buffer_names else set()
        reads[node] = frozenset(parameters), frozenset(buffers)
        read = (frozenset[str](), frozenset[str]()) if node in constant else reads[node]
        shrinks = path is not None and not parameters and _shrinks(node, measured)
        steps.append(Step(module_stack(node), path, *read, measured.flops.get(node, 0), shrinks, by_mode))
    return tuple(steps)


def steps_by_hooks(module: nn.Module, head_path: str, image_size: int) -> tuple[Step, ...]:
    """Return one step for each call of a layer, in the order a forward makes them, for a network without a graph."""
    try:
        return _steps_by_hooks(copy_to_meta(module), head_path, image_size)
    except Exception:  # an operation without a meta kernel: run the network itself
        return _steps_by_hooks(module, head_path, image_size)


def _steps_by_hooks(module: nn.Module, head_path: str, image_size: int) -> tuple[Step, ...]:
    names, buffer_names = _names_by_id(module)
    steps: list[Step] = []
    stack: list[str] = []
    counter = FlopCounterMode(display=False)
    entered: list[tuple[int, int]] = []
    assigned: set[str] = set()

    def enter(path: str) -> None:
        stack.append(path)
        entered.append((len(steps), counter.get_total_flops()))

    def leave(path: str, layer: nn.Module) -> None:
        first, flops = entered.pop()
        own = frozenset(names[id(p)] for p in layer.parameters())
        if path == head_path or next(layer.children(), None) is None:
            buffers = frozenset(buffer_names[id(b)] for b in layer.buffers())
            steps.append(Step(tuple(stack), path, own, buffers, counter.get_total_flops() - flops))
            assigned.update(own)
        else:
            assign_rest(first, own)
        stack.pop()

    def assign_rest(first: int, own: frozenset[str]) -> None:
        """Give what a container reads by itself, not through a layer's call, to the first step within it."""
        if own - assigned and first < len(steps):
            steps[first] = replace(steps[first], parameters=steps[first].parameters | (own - assigned))
            assigned.update(own)

    handles = []
    for path, layer in module.named_modules():
        inside = path.startswith(head_path + ".")
        if path and not inside:
            handles.append(layer.register_forward_pre_hook(lambda _m, _i, p=path: enter(p)))
            handles.append(layer.register_forward_hook(lambda m, _i, _o, p=path: leave(p, m)))
    training = module.training
    try:
        with torch.no_grad(), counter:
            module.eval()(images_like(module, 1, image_size))
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    assign_rest(0, frozenset(names.values()))
    return tuple(steps)


def _names_by_id(module: nn.Module) -> tuple[dict[int, str], dict[int, str]]:
    return {id(p): n for n, p in module.named_parameters()}, {id(b): n for n, b in module.named_buffers()}


def _attribute(module: nn.Module, target: str) -> Any:
    owner, _, name = target.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _shrinks(node: fx.Node, measured: Measured) -> bool:
    """Return whether a layer turns one map [B,C,H,W] into a smaller one."""
    inputs = [measured.values[arg][0] for arg in node.all_input_nodes]
    value = measured.values[node][0]
    maps = [t for t in [*inputs, value] if isinstance(t, torch.Tensor) and t.ndim == 4]
    return len(maps) == 2 and len(inputs) == 1 and maps[1].shape[2:].numel() < maps[0].shape[2:].numel()

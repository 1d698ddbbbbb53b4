"""A network as a sequence of steps: what is run, within which modules, with which parameters, at what cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from frostline.models._copies import copy_to_meta
from frostline.models._measuring import images_like
from frostline.models._modes import ByMode, module_stack
from frostline.models._tracing import reads_training
from frostline.streams import torch_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.models._analysis import Analysis
    from frostline.models._measuring import Measured

__all__ = ["Step", "steps_by_hooks", "steps_of_graph"]


@dataclass(frozen=True)
class Step:
    """One operation in execution order.

    ``stack`` are the paths of the modules around it, outermost first, ending with its own where it is a module call;
    ``first`` and ``last`` are the indices of the steps between which it takes effect: its own but for what is computed
    from no image, which is computed wherever it is used; ``shrinks`` tells a layer without parameters that makes a map
    smaller: pooling; ``mode_of`` is the path of the module by whose mode it behaves, the empty one for the network;
    ``takes`` is the shape of an image's tensor that a layer is called with.
    """

    stack: tuple[str, ...]
    path: str | None
    parameters: frozenset[str]
    flops: int
    first: int
    last: int
    shrinks: bool = False
    mode_of: str | None = None
    takes: tuple[int, ...] | None = None


def steps_of_graph(module: nn.Module, analysis: Analysis) -> tuple[Step, ...]:
    """Return one step for each node of a traced network.

    What is read to compute something from no image counts for the steps that use it, so that a parameter belongs where
    it takes effect.
    """
    network, measured, dependence = analysis.network, analysis.measured, analysis.dependence
    names = _names_by_id(module)
    reads: dict[fx.Node, frozenset[str]] = {}
    steps = []
    for index, node in enumerate(network.graph.nodes):
        free = node in dependence.free
        parameters = frozenset[str]().union(*(reads[arg] for arg in dependence.inputs[node] if arg in dependence.free))
        stack, path, mode_of = module_stack(node), None, None
        if node.op == "call_module":
            path = str(node.target)
            layer = network.find(module, path)
            parameters |= {names[id(p)] for p in layer.parameters()}
            if isinstance(layer, ByMode):
                mode_of = stack[-1] if stack else ""
            elif any(reads_training(m) for m in layer.modules()):
                mode_of = path
        elif node.op == "get_attr":
            value = network.find(module, str(node.target))
            parameters |= {names[id(value)]} if id(value) in names else set()
        reads[node] = frozenset() if node in dependence.sizes else parameters  # a size takes no number
        shrinks = path is not None and not parameters and not free and _shrinks(node, measured)
        first, last = dependence.used(node, index)
        own = frozenset[str]() if free else reads[node]
        takes = None if path is None else _row_shape([measured.values[arg][0] for arg in node.all_input_nodes])
        steps.append(Step(stack, path, own, measured.flops.get(node, 0), first, last, shrinks, mode_of, takes))
    return tuple(steps)


def steps_by_hooks(module: nn.Module, head_path: str, image_size: int) -> tuple[Step, ...]:
    """Return one step for each call of a layer, in the order a forward makes them, for a network without a graph."""
    try:
        return _steps_by_hooks(copy_to_meta(module), head_path, image_size)
    except Exception:  # an operation without a meta kernel: run the network itself
        return _steps_by_hooks(module, head_path, image_size)


def _steps_by_hooks(module: nn.Module, head_path: str, image_size: int) -> tuple[Step, ...]:
    names = _names_by_id(module)
    steps: list[Step] = []
    stack: list[str] = []
    counter = FlopCounterMode(display=False)
    entered: list[tuple[int, int]] = []
    assigned: set[str] = set()

    def enter(path: str) -> None:
        stack.append(path)
        entered.append((len(steps), counter.get_total_flops()))

    def leave(path: str, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        first, flops = entered.pop()
        own = frozenset(names[id(p)] for p in layer.parameters())
        if path == head_path or next(layer.children(), None) is None:
            mode_of = path if any(reads_training(m) for m in layer.modules()) else None
            index, total = len(steps), counter.get_total_flops()
            takes = _row_shape(inputs)
            steps.append(Step(tuple(stack), path, own, total - flops, index, index, mode_of=mode_of, takes=takes))
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
            handles.append(layer.register_forward_hook(lambda m, i, _o, p=path: leave(p, m, i)))
    training = module.training
    try:
        with torch.no_grad(), torch_stream(), counter:
            module.eval()(images_like(module, 1, image_size))
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    assign_rest(0, frozenset(names.values()))
    return tuple(steps)


def _names_by_id(module: nn.Module) -> dict[int, str]:
    return {id(p): n for n, p in module.named_parameters()}


def _row_shape(values: Sequence[Any]) -> tuple[int, ...] | None:
    """Return the shape of one image's part of the first of some values, if that is a tensor."""
    return tuple(values[0].shape[1:]) if values and isinstance(values[0], torch.Tensor) else None


def _shrinks(node: fx.Node, measured: Measured) -> bool:
    """Return whether a layer turns one map [B,C,H,W] into a smaller one."""
    inputs = [measured.values[arg][0] for arg in node.all_input_nodes]
    value = measured.values[node][0]
    maps = [t for t in [*inputs, value] if isinstance(t, torch.Tensor) and t.ndim == 4]
    return len(maps) == 2 and len(inputs) == 1 and maps[1].shape[2:].numel() < maps[0].shape[2:].numel()

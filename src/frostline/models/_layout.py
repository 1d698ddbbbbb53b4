"""The layout of a network at one image size: its steps, stages, cuts and what crosses each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.errors import ModelError
from frostline.models._crossing import Crossing, RefusedError, find_crossing
from frostline.models._measuring import Measured, measure_graph
from frostline.models._stages import StageStart, find_stages
from frostline.models._steps import Step, steps_by_hooks, steps_of_graph
from frostline.models._tracing import UntraceableError, trace_network

if TYPE_CHECKING:
    from torch import fx, nn

__all__ = ["Cut", "Layout", "lay_out"]

_RESERVED = {"input", "head", "all", "stem"}
"""Words of ours; a module of that name is reached under the names of the modules within it."""


@dataclass(frozen=True)
class Cut:
    """A cut before the step at ``position``; ``crossing`` is None in a network without a graph."""

    name: str
    position: int
    paths: tuple[str, ...]
    crossing: Crossing | None


@dataclass(frozen=True)
class Layout:
    """What a network is made of, in execution order; compiled once and then only read.

    ``graph`` and ``measured`` are None, and ``why_not`` says why, for a network that can't be cut.
    """

    image_size: int
    head_path: str
    steps: tuple[Step, ...]
    stages: tuple[StageStart, ...]
    cuts: tuple[Cut, ...]
    refused: tuple[tuple[str, str], ...]
    graph: fx.Graph | None
    measured: Measured | None
    why_not: str | None

    def trained(self, position: int) -> frozenset[str]:
        """Return the names of the parameters that steps from a position on use."""
        return frozenset[str]().union(*(step.parameters for step in self.steps[position:]))

    def stage_index(self, position: int) -> int:
        """Return the index of the stage that the step at a position belongs to."""
        return max(i for i, stage in enumerate(self.stages) if stage.position <= position)


def lay_out(module: nn.Module, head_path: str, image_size: int) -> Layout:
    """Return the layout of a network whose classifier is the module at ``head_path``.

    Raises:
        ModelError: the network doesn't take images of that size.
    """
    graph: fx.Graph | None = None
    measured: Measured | None = None
    why_not = None
    try:
        graph = trace_network(module, head_path)
        measured = measure_graph(module, graph, image_size)
        steps = steps_of_graph(module, graph, measured)
    except Exception as error:
        why_not = str(error) if isinstance(error, UntraceableError) else f"its graph can't be run: {error}"
        graph = measured = None
        try:
            steps = steps_by_hooks(module, head_path, image_size)
        except Exception as cause:  # the network's own code, on images of a size it may not take
            raise ModelError(f"it can't be run on images of {image_size} pixels: {cause}") from cause
    heads = [i for i, step in enumerate(steps) if step.path == head_path]
    if len(heads) != 1:
        raise ModelError(f"its classifier {head_path} is run {len(heads)} times, where once is needed")
    stages = find_stages(module, steps, head_path, heads[0])
    if graph is not None and measured is not None and not _returns(graph, measured, heads[0]):
        raise ModelError(f"what its classifier {head_path} returns isn't what the network returns")
    names = {stage.position: stage.name for stage in stages if stage.name not in _RESERVED}
    cuts, refused = _find_cuts(steps, heads[0], names, graph, measured)
    named = {cut.position: cut.name for cut in cuts} | {0: "stem"}
    # A stage that can't be cut off belongs to the one before it.
    stages = tuple(StageStart(named[s.position], s.position) for s in stages if s.position in named)
    return Layout(image_size, head_path, steps, stages, cuts, refused, graph, measured, why_not)


def _returns(graph: fx.Graph, measured: Measured, position: int) -> bool:
    """Return whether a network's output is the tensor of the node at a position, or that tensor reshaped."""
    nodes = list(graph.nodes)
    return measured.alias(nodes[position], nodes[-1])


def _find_cuts(
    steps: tuple[Step, ...],
    head_position: int,
    stage_names: dict[int, str],
    graph: fx.Graph | None,
    measured: Measured | None,
) -> tuple[tuple[Cut, ...], tuple[tuple[str, str], ...]]:
    """Return the cuts in execution order, and the paths at which a cut is refused with the reason."""
    begins: dict[int, list[str]] = {}
    seen: set[str] = set()
    first = next(i for i, step in enumerate(steps) if step.parameters)
    for position, step in enumerate(steps[: head_position + 1]):
        for path in step.stack:
            if path not in seen:
                seen.add(path)
                # Before the first layer with parameters there is nothing to freeze: that is the input's cut.
                begins.setdefault(0 if position <= first else position, []).append(path)
    begins.setdefault(0, [])
    cuts, refused = [], []
    for position, paths in sorted(begins.items()):
        name = "input" if position == 0 else "head" if position == head_position else None
        name = name or stage_names.get(position) or _name(paths)
        if name is None:
            continue
        try:
            crossing = _cross(steps, position, graph, measured)
        except RefusedError as error:
            if name == "head":
                raise ModelError(f"it can't be cut before its classifier: {error}") from error
            refused += [(path, str(error)) for path in paths if path not in _RESERVED]
            continue
        cuts.append(Cut(name, position, tuple(p for p in paths if p not in _RESERVED), crossing))
    return tuple(cuts), tuple(refused)


def _name(paths: list[str]) -> str | None:
    return next((path for path in paths if path not in _RESERVED), None)


def _cross(
    steps: tuple[Step, ...], position: int, graph: fx.Graph | None, measured: Measured | None
) -> Crossing | None:
    if graph is None or measured is None:
        return None
    before, after = steps[:position], steps[position:]
    if position:
        shared = _union(before) & _union(after)
        shared |= {s.path for s in before if s.by_mode and s.path} & {s.path for s in after if s.path}
        if shared:
            raise RefusedError(f"{min(shared)} is used on both sides")
    # The placeholder of the images is the first node; they are what crosses the input's cut.
    return find_crossing(graph, measured, max(position, 1))


def _union(steps: tuple[Step, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(step.parameters for step in steps))

"""The layout of a network at one image size: its steps, stages, cuts and what crosses each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.errors import ModelError
from frostline.models._analysis import Analysis, analyse_network
from frostline.models._crossing import Crossing, RefusedError, find_crossing
from frostline.models._stages import StageStart, find_stages
from frostline.models._steps import Step, steps_by_hooks, steps_of_graph
from frostline.models._tracing import UntraceableError, first_line

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Cut", "NotRunnableError", "StageLayout", "lay_out", "runs_at"]

_RESERVED = {"input", "head", "all", "stem"}
"""Words of ours; a module of that name is reached under the names of the modules within it."""


class NotRunnableError(ModelError):
    """A network that can't be run on images of a size; its text is the network's own."""


@dataclass(frozen=True)
class Cut:
    """A cut before the step at ``position``; ``crossing`` is None in a network without a graph."""

    name: str
    position: int
    paths: tuple[str, ...]
    crossing: Crossing | None


@dataclass(frozen=True)
class StageLayout:
    """What a network is made of, in execution order; compiled once and then only read.

    ``head_features`` is D, the length of what the classifier takes. ``analysis`` is None, and ``why_not`` says why, for
    a network that can't be cut. ``has_numbers`` is False for what was found on a meta device.
    """

    image_size: int
    head_path: str
    head_features: int
    steps: tuple[Step, ...]
    stages: tuple[StageStart, ...]
    cuts: tuple[Cut, ...]
    refused: tuple[tuple[str, str], ...]
    analysis: Analysis | None
    why_not: str | None
    has_numbers: bool

    def trained(self, position: int) -> frozenset[str]:
        """Return the names of the parameters that steps from a position on use."""
        return frozenset[str]().union(*(step.parameters for step in self.steps[position:]))

    def stands_for(self, module: nn.Module) -> bool:
        """Return whether it is of use to a network with numbers, too: what was found on a meta device may lack some."""
        if self.analysis is None:
            return self.has_numbers or next(module.parameters()).is_meta
        return self.analysis.network.stands_for(module)

    def stage_index(self, position: int) -> int:
        """Return the index of the stage that the step at a position belongs to."""
        return max(i for i, stage in enumerate(self.stages) if stage.position <= position)


def lay_out(module: nn.Module, head_path: str, image_size: int) -> StageLayout:
    """Return the layout of a network whose classifier is the module at ``head_path``.

    Raises:
        NotRunnableError: the network can't be run on images of that size.
        ModelError: a new head can't replace its classifier.
    """
    analysis: Analysis | None = None
    why_not = None
    try:
        analysis = analyse_network(module, head_path, image_size)
        steps = steps_of_graph(module, analysis)
    except Exception as error:
        why_not = str(error) if isinstance(error, UntraceableError) else f"its graph can't be run: {first_line(error)}"
        analysis = None
        try:
            steps = steps_by_hooks(module, head_path, image_size)
        except Exception as cause:  # the network's own code, on images of a size it may not take
            raise NotRunnableError(first_line(cause)) from cause
    heads = [i for i, step in enumerate(steps) if step.path == head_path]
    if len(heads) != 1:
        raise ModelError(f"its classifier {head_path} is run {len(heads)} times, where once is needed")
    features = steps[heads[0]].takes or ()
    if len(features) != 1:
        raise ModelError(
            f"it has no classifier that takes one vector for each image: {head_path} takes {list(features)}"
        )
    stages = find_stages(module, steps, head_path, heads[0])
    if analysis is not None and not _returns(analysis, heads[0]):
        raise ModelError(f"what its classifier {head_path} returns isn't what the network returns")
    names = {stage.position: stage.name for stage in stages if stage.name not in _RESERVED}
    cuts, refused = _find_cuts(steps, heads[0], names, analysis)
    named = {cut.position: cut.name for cut in cuts} | {0: "stem"}
    # A stage that can't be cut off belongs to the one before it.
    stages = tuple(StageStart(named[s.position], s.position) for s in stages if s.position in named)
    has_numbers = not next(module.parameters()).is_meta
    return StageLayout(image_size, head_path, features[0], steps, stages, cuts, refused, analysis, why_not, has_numbers)


def runs_at(module: nn.Module, head_path: str, image_size: int) -> bool:
    """Return whether a network can be run on images of a size."""
    try:
        return bool(steps_by_hooks(module, head_path, image_size))
    except Exception:
        return False


def _returns(analysis: Analysis, position: int) -> bool:
    """Return whether a network's output is the tensor of the node at a position, or that tensor reshaped."""
    nodes = analysis.nodes
    return analysis.measured.alias(nodes[position], nodes[-1])


def _find_cuts(
    steps: tuple[Step, ...],
    head_position: int,
    stage_names: dict[int, str],
    analysis: Analysis | None,
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
            crossing = _cross(steps, position, analysis)
        except RefusedError as error:
            if name == "head":
                raise ModelError(f"it can't be cut before its classifier: {error}") from error
            refused += [(path, str(error)) for path in paths if path not in _RESERVED]
            continue
        cuts.append(Cut(name, position, tuple(p for p in paths if p not in _RESERVED), crossing))
    return tuple(cuts), tuple(refused)


def _name(paths: list[str]) -> str | None:
    return next((path for path in paths if path not in _RESERVED), None)


def _cross(steps: tuple[Step, ...], position: int, analysis: Analysis | None) -> Crossing | None:
    """Return what crosses a cut, None in a network without a graph.

    Raises:
        RefusedError: it can't be cut there, or would be frozen and trained at once.
    """
    before = [step for step in steps if step.first < position]
    after = [step for step in steps if step.last >= position]
    if position:
        shared = _parameters(before) & _parameters(after)
        shared |= {s.mode_of for s in before if s.mode_of} & {s.mode_of for s in after if s.mode_of}
        if shared:
            raise RefusedError(f"{min(shared)} is used on both sides")
        if any(s.mode_of == "" for s in before) and any(s.mode_of == "" for s in after):
            raise RefusedError("the network itself asks on both sides whether it is training")
    # The placeholder of the images is the first node; they are what crosses the input's cut.
    return None if analysis is None else find_crossing(analysis, max(position, 1))


def _parameters(steps: list[Step]) -> frozenset[str]:
    return frozenset[str]().union(*(step.parameters for step in steps))

"""The facts of a backbone, measured."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from frostline.errors import ModelError
from frostline.models._classifier import isolate_classifier
from frostline.models._layout import Cut, NotRunnableError, StageLayout, lay_out, runs_at
from frostline.models._sources import find_source
from frostline.models.facts import BackboneFacts, CutFacts, StageFacts

if TYPE_CHECKING:
    from frostline.models._sources import NetworkSource

__all__ = ["describe_layout", "facts_of_layout", "measure_backbone"]

NARROW = 16
"""Input channels below the widest vector's numbers, AVX-512's (AVX2 has 8): seen to go wrong from 2 to 15."""


def measure_backbone(backbone: str, image_size: int, any_size: bool = False) -> BackboneFacts:
    """Return the facts of a backbone, built without weights and, where its code allows it, without numbers.

    Raises:
        ModelError: the backbone is unknown, has no linear classifier, or doesn't take images of that size.
    """
    source = find_source(backbone, image_size, any_size=any_size)
    module = _build_without_numbers(source)
    if module is not None:
        with contextlib.suppress(NotRunnableError):
            facts = _measure(source, module, image_size)
            if facts.cuttable:
                return facts
    # Whatever a network without numbers can't do, it may do with them, as in a run.
    return _measure(source, source.build_random(), image_size)


def _build_without_numbers(source: NetworkSource) -> nn.Module | None:
    """Return a network on the meta device, None where its code computes with numbers while it is built."""
    try:
        with torch.device("meta"):
            return source.build(False)
    except ModelError:
        raise
    except Exception:
        return None


def _measure(source: NetworkSource, module: nn.Module, image_size: int) -> BackboneFacts:
    module.eval()
    head_path = isolate_classifier(module, source.backbone)
    return facts_of_layout(source, module, describe_layout(source, module, head_path, image_size))


def describe_layout(source: NetworkSource, module: nn.Module, head_path: str, image_size: int) -> StageLayout:
    """Return the layout of a network of a source, found once for all of them, as that takes up to a second.

    Raises:
        ModelError: the network can't be used on images of that size.
    """
    key = (head_path, image_size)
    known = source.layouts.get(key)
    if known is None or not known.stands_for(module):
        try:
            source.layouts[key] = lay_out(module, head_path, image_size)
        except NotRunnableError as error:
            remedy = ""
            if source.own_size not in (None, image_size) and runs_at(module, head_path, source.own_size):
                remedy = f"; it can on those of {source.own_size}: set image_size = {source.own_size}"
            raise NotRunnableError(
                f"backbone {source.backbone}: it can't be run on images of {image_size} pixels ({error}){remedy}"
            ) from error
        except ModelError as error:
            raise ModelError(f"backbone {source.backbone}: {error}") from error
    return source.layouts[key]


def facts_of_layout(source: NetworkSource, module: nn.Module, layout: StageLayout) -> BackboneFacts:
    """Return a layout's facts as plain data."""
    sizes = {name: p.numel() for name, p in module.named_parameters()}
    head = sum(p.numel() for p in module.get_submodule(layout.head_path).parameters())

    def cut_facts(cut: Cut) -> CutFacts:
        shapes = cut.crossing.shapes if cut.crossing else ()
        values = sum(torch.Size(shape).numel() for shape in shapes)
        size = 1 if cut.name == "input" else 4
        before = frozenset[str]().union(*(step.parameters for step in layout.steps[: cut.position]))
        return CutFacts(
            name=cut.name,
            paths=cut.paths,
            shapes=shapes,
            row_bytes=values * size,
            flops_before=sum(step.flops for step in layout.steps[: cut.position]),
            parameters_before=sum(sizes[name] for name in before),
            stage=layout.stages[layout.stage_index(cut.position)].name,
            folds=_folds(module, cut),
        )

    cuts = tuple(cut_facts(cut) for cut in layout.cuts)
    by_position = {cut.position: cut.name for cut in layout.cuts}
    ends = [stage.position for stage in layout.stages[1:]] + [len(layout.steps)]
    stages = []
    seen: set[str] = set()
    for stage, end in zip(layout.stages, ends, strict=True):
        steps = layout.steps[stage.position : end]
        names = frozenset[str]().union(*(step.parameters for step in steps)) - seen
        seen |= names
        owners = {name.rpartition(".")[0] for name in names}
        stages.append(
            StageFacts(
                name=stage.name,
                cut=by_position[stage.position],
                layers=sum(1 for owner in owners if owner),
                parameters=sum(sizes[name] for name in names),
                flops=sum(step.flops for step in steps),
            )
        )
    total = sum(sizes.values())
    return BackboneFacts(
        backbone=source.backbone,
        image_size=layout.image_size,
        stages=tuple(stages),
        cuts=cuts,
        refused=layout.refused,
        head_path=layout.head_path,
        head_features=layout.head_features,
        parameters=total,
        parameters_without_head=total - head,
        flops=sum(step.flops for step in layout.steps),
        mean=source.mean,
        std=source.std,
        interpolation=source.interpolation,
        cuttable=layout.analysis is not None,
        why_not=layout.why_not,
        narrow_strides=any(_is_narrow_and_strided(layer) for layer in module.modules()),
    )


def _is_narrow_and_strided(layer: nn.Module) -> bool:
    if not isinstance(layer, nn.Conv2d):
        return False
    pointwise = layer.kernel_size == (1, 1) and max(layer.stride) > 1
    return pointwise and layer.groups == 1 and layer.in_channels < NARROW


def _folds(module: nn.Module, cut: Cut) -> bool:
    """Return whether a cut separates a convolution or a linear layer from the BatchNorm that follows it."""
    if cut.crossing is None or not any(isinstance(module.get_submodule(path), _BatchNorm) for path in cut.paths):
        return False
    before = [module.get_submodule(str(node.target)) for node in cut.crossing.nodes if node.op == "call_module"]
    return any(isinstance(layer, (_ConvNd, nn.Linear)) for layer in before)

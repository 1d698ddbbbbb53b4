"""Writes what an arm leaves behind, and says in the ledger where it is."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from frostline.artifacts import (
    ArmDescription,
    EndedArm,
    Numerics,
    Predictions,
    WeightsIdentity,
    save_arms,
    save_split,
)
from frostline.ledger import FileRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch

    from frostline.execution._context import Context
    from frostline.plan import TrajectoryPlan

__all__ = ["Ended", "record_arms", "record_test"]

Ended: TypeAlias = "tuple[str, TrajectoryPlan, dict[str, torch.Tensor], torch.Tensor]"
"""An arm by name, the trajectory that it ends with, what training changed, and its validation logits [N, K]."""

KINDS = {
    "arm.json": "description",
    "model.safetensors": "model",
    "val.safetensors": "predictions",
    "test.safetensors": "test predictions",
}


def record_arms(context: Context, ended: Iterable[Ended]) -> None:
    """Store arms' trained tensors and validation logits, each complete or absent, and record them, all or none.

    Args:
        context: the run.
        ended: the arms; the numerics of each are those of its trajectory.
    """
    arms = (
        EndedArm(
            context.files.arm(name), _describe(context, name, planned), model, _predictions(context, "val", logits)
        )
        for name, planned, model, logits in ended
    )
    written = save_arms(arms)
    if written:
        _record(context, written)


def record_test(context: Context, description: ArmDescription, logits: torch.Tensor) -> None:
    """Store the test logits [N, K] of an arm beside what is there of it, and record them."""
    folder = context.files.arm(description.name)
    written = save_split(folder, description, "test", _predictions(context, "test", logits))
    _record(context, {description.name: written})


def _describe(context: Context, name: str, planned: TrajectoryPlan) -> ArmDescription:
    recipe = next(arm.recipe for arm in context.prepared.arms if arm.name == name)
    identity = context.networks.identity(recipe)
    is_file = recipe.weights not in ("default", "none")
    given = str(Path(recipe.weights).expanduser().absolute()) if is_file else recipe.weights
    numerics = Numerics(
        device=context.device.type,
        engine=context.engine,
        cut=planned.cut,
        activations="float16" if planned.activations == "float16" and not context.plain else "float32",
        layout=planned.layout,
        threads=planned.threads,
        stacked=not context.plain and context.plan.is_stacked(planned.id),
        versions=_versions(),
        precision=context.precision,
    )
    return ArmDescription(
        name=name,
        study=context.prepared.study.name,
        run=context.run,
        recipe=recipe,
        classes=context.dataset.classes,
        preprocessing=identity.preprocessing,
        weights=WeightsIdentity(recipe.backbone, given, recipe.weights_key, identity.weights_digest),
        numerics=numerics,
    )


def _predictions(context: Context, split: str, logits: torch.Tensor) -> Predictions:
    chosen = context.dataset.split(split)
    return Predictions(logits, chosen.labels, chosen.digests, context.dataset.names(split))


@cache
def _versions() -> Mapping[str, str]:
    """Return the versions of the packages that compute; asking takes a millisecond, and arms are many."""
    return {package: metadata.version(package) for package in ("frostline", "torch", "openvino")}


def _record(context: Context, written: Mapping[str, Mapping[str, str]]) -> None:
    """Record the digests of files by arm and name."""
    files = {}
    for name, digests in written.items():
        folder = context.files.arm(name).relative_to(context.files.root)
        files[name] = [FileRow(KINDS[file], (folder / file).as_posix(), digest) for file, digest in digests.items()]
    context.recorder.record_files(files)

"""Writes what an arm leaves behind, and says in the ledger where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frostline._version import __version__
from frostline.artifacts import ArmDescription, Numerics, Predictions, WeightsIdentity, save_arm, save_split
from frostline.versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from frostline.execution._context import Context
    from frostline.plan import TrajectoryPlan

__all__ = ["record_arm", "record_test"]

KINDS = {
    "arm.json": "description",
    "model.safetensors": "model",
    "val.safetensors": "predictions",
    "test.safetensors": "test predictions",
}


def record_arm(
    context: Context, name: str, planned: TrajectoryPlan, model: dict[str, torch.Tensor], logits: torch.Tensor
) -> None:
    """Store an arm's trained tensors and its validation logits [N, K], complete or absent, and record them.

    Args:
        context: the run.
        name: of the arm.
        planned: the trajectory that it ends with, whose numerics it has.
        model: what training changed.
        logits: those of the validation images, in order.
    """
    description = _describe(context, name, planned)
    written = save_arm(context.files.arm(name), description, model, _predictions(context, "val", logits))
    _record(context, name, written)


def record_test(context: Context, description: ArmDescription, logits: torch.Tensor) -> None:
    """Store the test logits [N, K] of an arm beside what is there of it, and record them."""
    folder = context.files.arm(description.name)
    _record(context, description.name, save_split(folder, description, "test", _predictions(context, "test", logits)))


def _describe(context: Context, name: str, planned: TrajectoryPlan) -> ArmDescription:
    recipe = next(arm.recipe for arm in context.prepared.arms if arm.name == name)
    identity = context.networks.identity(recipe)
    is_file = recipe.weights not in ("default", "none")
    given = str(Path(recipe.weights).expanduser().absolute()) if is_file else recipe.weights
    numerics = Numerics(
        device=context.device.type,
        engine=context.engine,
        cut=planned.cut,
        activations="float16" if planned.activations == "float16" else "float32",
        layout=planned.layout,
        threads=planned.threads,
        stacked=not context.plain and context.plan.is_stacked(planned.id),
        versions={"frostline": __version__, **{name: installed_version(name) for name in ("torch", "openvino")}},
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


def _record(context: Context, name: str, written: Mapping[str, str]) -> None:
    folder = context.files.arm(name).relative_to(context.files.root)
    for file, digest in written.items():
        context.ledger.record_file(context.run, name, KINDS[file], folder / file, digest)

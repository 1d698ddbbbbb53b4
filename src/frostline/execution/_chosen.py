"""Chosen on validation, judged on test, once."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from frostline.artifacts import ArmFiles, evaluate_rows, read_description
from frostline.errors import ArtifactError, TrainingError
from frostline.execution._artifacts import record_test
from frostline.execution._passes import make_pass
from frostline.execution._rows import rows_of
from frostline.features import explaining
from frostline.training import load_model_state, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frostline.execution._context import Context
    from frostline.ledger import ArmRecord, Ledger
    from frostline.plan import PassPlan, TrajectoryPlan
    from frostline.study import Arm, Recipe

__all__ = ["choose_arms", "judge"]


def choose_arms(arms: Sequence[ArmRecord]) -> list[ArmRecord]:
    """Return the arms of the best recipe: the highest validation accuracy, as a mean over its seeds.

    A recipe counts only when all of its seeds are complete: one that diverges now and then is no recommendation. Ties
    go to the lower validation loss, then to the arm that stands first; no such recipe gives an empty list.
    """
    recipes: dict[str, list[ArmRecord]] = defaultdict(list)
    for arm in arms:
        recipes[_without_seed(arm.recipe)].append(arm)
    sound = [group for group in recipes.values() if all(arm.status == "complete" for arm in group)]
    if not sound:
        return []

    def merit(group: list[ArmRecord]) -> tuple[float, float]:
        accuracy = np.mean([arm.epochs[-1].val_accuracy or 0.0 for arm in group])
        loss = np.mean([arm.epochs[-1].val_loss or 0.0 for arm in group])
        return float(accuracy), -float(loss)

    return max(sound, key=merit)


def judge(context: Context, ledger: Ledger, chosen: Sequence[ArmRecord]) -> None:
    """Record the choice, then evaluate the chosen arms on the test split; what has been judged is left alone."""
    ledger.record_choice(context.run, [record.name for record in chosen])
    by_name = {arm.name: arm for arm in context.prepared.arms}
    stored: set[str] = set()
    for record in chosen:
        if record.test_accuracy is None:
            loss, accuracy = _test(context, by_name[record.name], stored)
            ledger.set_test(context.run, record.name, loss, accuracy)


@explaining(lambda context, arm, stored: f"testing {arm.name}")
def _test(context: Context, arm: Arm, stored: set[str]) -> tuple[float, float]:
    """Return the loss and accuracy of a stored arm on the test split, through the cut that it was trained at.

    ``stored`` names the passes over the test split that are made already; the seeds of a recipe share one.
    """
    files = ArmFiles(context.files.arm(arm.name))
    chain = context.networks.chain(arm.recipe, len(context.dataset.classes))
    try:
        description = read_description(files.folder)
        load_model_state(chain.model, load_file(files.model))
    except (ArtifactError, OSError, SafetensorError) as error:
        raise TrainingError(
            f"{files.folder}: what a finished arm left behind can't be read ({error}); run with --no-resume"
        ) from error
    last = _last_trajectory(context, arm)
    if last.mode == "cached":
        planned = _test_pass(context, arm.recipe, last)
        if planned.name not in stored:
            make_pass(context, planned)
            stored.add(planned.name)
    rows = rows_of(context, last, arm.recipe, "test")
    chain.model.to(context.device)
    logits = evaluate_rows(chain, arm.recipe, description.numerics, rows, context.device)
    record_test(context, description, logits)
    return score(logits, context.dataset.test.labels)


def _last_trajectory(context: Context, arm: Arm) -> TrajectoryPlan:
    """Return the trajectory at whose cut an arm's model takes rows."""
    path = next(planned.path for planned in context.plan.arms if planned.name == arm.name)
    return next(planned for planned in context.plan.trajectories if planned.id == path[-1][0])


def _test_pass(context: Context, recipe: Recipe, last: TrajectoryPlan) -> PassPlan:
    """Return the pass that takes the test images to a trajectory's cut, through a prefix that was compiled already."""
    planned = next(
        p
        for p in context.plan.passes
        if (p.backbone, p.weights, p.weights_key, p.image_size, p.activations)
        == (recipe.backbone, recipe.weights, recipe.weights_key, recipe.image_size, last.activations)
        and last.cut in p.cuts
        and "val" in p.splits  # not the augmented pass of some seed
    )
    n = len(context.dataset.test)
    return replace(planned, name=f"{planned.name}, test", splits={"test": n})


def _without_seed(recipe: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in recipe.items() if key != "seed"}, sort_keys=True)

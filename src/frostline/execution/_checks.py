"""What only networks and images can tell of a study: backbones, stages, weights and classes that aren't there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frostline.errors import ModelError, StudyError, closest
from frostline.models import WEIGHTS_SUFFIXES
from frostline.models.facts import backbone_facts
from frostline.study import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frostline.study import Arm, Recipe, Study

__all__ = ["check_classes", "check_networks", "raise_problems"]


def check_networks(study: Study) -> list[Problem]:
    """Return what is wrong with the backbones, frost lines and weights of a study's arms, each problem once.

    Imports torch for a backbone that isn't known yet on this machine.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for arm in study.expand():
        for key, message in _problems(arm.recipe):
            problems.setdefault((key, message), Problem(None, None, None, f'arm "{arm.name}": {key}', message))
    return list(problems.values())


def check_classes(arms: Sequence[Arm], classes: Sequence[str]) -> list[Problem]:
    """Return the class weights of arms that name classes which the images don't have."""
    return [
        Problem(None, None, None, f'arm "{arm.name}": class_weights.{name}', f"no such class{closest(name, classes)}")
        for arm in arms
        if isinstance(arm.recipe.class_weights, dict)
        for name in arm.recipe.class_weights
        if name not in classes
    ]


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise StudyError with all problems, if there are any."""
    if problems:
        raise StudyError("\n".join(str(problem) for problem in problems), problems)


def _weights_problems(given: str) -> Iterator[str]:
    path = Path(given).expanduser()
    remedy = 'give a .safetensors or .pth file, "default" or "none"'
    try:
        if not path.is_file():
            yield f'no file "{given}": {remedy}{closest(given, ("default", "none"))}'
        elif path.suffix not in WEIGHTS_SUFFIXES:
            yield f'"{given}" is of another kind: {remedy}'
    except OSError as error:
        yield f'"{given}" can\'t be read ({error.strerror}): {remedy}'


def _problems(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.weights not in ("default", "none"):
        yield from (("weights", problem) for problem in _weights_problems(recipe.weights))
    try:
        facts = backbone_facts(recipe.backbone, recipe.image_size, recipe.weights)
    except ModelError as error:
        yield "backbone", str(error)
        return
    for phase in recipe.phases:
        try:
            facts.resolve(phase.train_from)
        except ModelError as error:
            yield "train_from", str(error)
            return
    if recipe.batch_size == 1:
        from frostline.execution._batch_of_one import batch_of_one_problem

        problem = batch_of_one_problem(recipe)
        if problem is not None:
            yield "batch_size", problem

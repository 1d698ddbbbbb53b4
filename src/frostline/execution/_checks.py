"""What only networks and images can tell of a study: backbones, stages, weights and classes that aren't there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.errors import ModelError, StudyError, closest
from frostline.execution._own import knows_networks
from frostline.execution.events import Notice
from frostline.models import WEIGHTS_SUFFIXES, find_own, known_backbones
from frostline.models.facts import backbone_facts
from frostline.study import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frostline.execution._networks import Networks
    from frostline.execution.events import Listener
    from frostline.study import Arm, Recipe, Study

__all__ = ["check_classes", "check_networks", "raise_problems"]

LISTED = 20


@knows_networks
def check_networks(
    study: Study, *, networks: Networks | None = None, read_weights: bool = True, listener: Listener | None = None
) -> list[Problem]:
    """Return what is wrong with the backbones, frost lines and weights of a study's arms, each problem once.

    Imports torch for a backbone that isn't known yet on this machine, and where there are weights files to read.

    Args:
        study: what is asked.
        networks: keeps what is loaded, for a run that goes on to use it.
        read_weights: whether weights files are read and own networks built; else only whether they are there.
        listener: told what there is to know about weights files.
    """
    problems: dict[tuple[str, str, str], Problem] = {}
    for name in study.networks:
        if name in known_backbones():
            message = "is the name of a torchvision network: give yours another"
            problems["networks", name, message] = Problem(None, None, None, f"networks.{name}", message)
    reading = _Reading(networks) if read_weights else None
    for arm in study.expand():
        for key, given, message in _problems(arm.recipe, reading):
            problem = Problem(
                None, None, None, f'arm "{arm.name}": {key}', _without_subject(key, given, message), given
            )
            problems.setdefault((key, given, message), problem)
    if reading is not None and listener is not None:
        for note in reading.notes:
            listener(Notice(note))
    return list(problems.values())


def check_classes(arms: Sequence[Arm], classes: Sequence[str]) -> list[Problem]:
    """Return the class weights of arms that name classes which the images don't have."""
    more = f" and {len(classes) - LISTED} more" if len(classes) > LISTED else ""
    there = ", ".join(map(_quoted, classes[:LISTED])) + more
    return [
        Problem(
            *(None, None, None, f'arm "{arm.name}": class_weights.{name}'),
            f"no such class; the classes are {there}{closest(name, classes)}",
        )
        for arm in arms
        if isinstance(arm.recipe.class_weights, dict)
        for name in arm.recipe.class_weights
        if name not in classes
    ]


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise StudyError with all problems, if there are any."""
    if problems:
        raise StudyError("\n".join(str(problem) for problem in problems), problems)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class _Reading:
    """Loads weights files and own networks, each once, and keeps what is wrong with them."""

    def __init__(self, networks: Networks | None) -> None:
        self._networks = networks
        self._found: dict[tuple[object, ...], str | None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say about the weights that were read."""
        return () if self._networks is None else self._networks.notes

    def problem(self, recipe: Recipe) -> str | None:
        """Return what keeps a recipe's network from being loaded."""
        from frostline.execution._networks import Networks

        if self._networks is None:
            self._networks = Networks()
        key = (recipe.backbone, recipe.weights, recipe.weights_key, recipe.image_size)
        if key not in self._found:
            try:
                self._networks.of(recipe)
                self._found[key] = None
            except ModelError as error:
                self._found[key] = str(error)
        return self._found[key]


def _weights_problem(given: str) -> str | None:
    path = Path(given).expanduser()
    remedy = f'give a file ending in {", ".join(WEIGHTS_SUFFIXES)}, "default" or "none"'
    try:
        if not path.is_file():
            return f"there is no such file; {remedy}{closest(given, ('default', 'none'))}"
        if not path.name.endswith(WEIGHTS_SUFFIXES):
            return f"is not a weights file; {remedy}"
    except OSError as error:
        return f"can't be read ({error.strerror}); {remedy}"
    return None


def _without_subject(key: str, given: str, message: str) -> str:
    """Return a message without the key and the value that it may begin with, as the problem has these itself."""
    bare = json.loads(given) if given.startswith('"') else given
    return re.sub(rf'^({key} ("[^"]*"|{re.escape(bare)})|{re.escape(bare)})(: | )', "", message)


def _problems(recipe: Recipe, reading: _Reading | None) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the key, its value as a study has it, and the message."""
    backbone, file = _quoted(recipe.backbone), _quoted(recipe.weights)
    is_file = recipe.weights not in ("default", "none")
    weights = _weights_problem(recipe.weights) if is_file else None
    if weights is not None:
        yield "weights", file, weights
    try:
        facts = backbone_facts(recipe.backbone, recipe.image_size, recipe.weights)
    except ModelError as error:
        yield "backbone", backbone, str(error)
        return
    if reading is not None and weights is None and (is_file or find_own(recipe.backbone) is not None):
        problem = reading.problem(recipe)
        if problem is not None:
            yield ("weights", file, problem) if is_file else ("backbone", backbone, problem)
    for phase in recipe.phases:
        try:
            facts.resolve(phase.train_from)
        except ModelError as error:
            yield "train_from", _quoted(phase.train_from), str(error)
            return
    if recipe.batch_size == 1:
        from frostline.execution._batch_of_one import batch_of_one_problem

        problem = batch_of_one_problem(recipe)
        if problem is not None:
            yield "batch_size", "1", problem

"""From arms to the tree of trajectories: what several arms train in common is trained once.

Two arms stand on one trajectory when everything that decides its numbers is equal. The number of epochs decides
nothing under a schedule that ignores the horizon: 2, 3 and 5 epochs are then three points on one line. A later phase is
a branch that begins where its arm leaves the phase before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.models.facts import BackboneFacts, CutFacts
    from frostline.study import Arm, Phase, Recipe

__all__ = ["Node", "grow_tree"]


@dataclass
class Node:
    """A trajectory under construction: the arm and phase that describe it, and the arms that pass through it.

    ``uses`` maps an arm's index to the number of epochs it takes of this trajectory.
    """

    id: str
    arm: int
    phase: int
    train_from: CutFacts
    deepest: CutFacts
    parent: Node | None
    parent_epochs: int
    first_epoch: int
    uses: dict[int, int] = field(default_factory=dict)
    branches: set[int] = field(default_factory=set)

    @property
    def epochs(self) -> int:
        """The epochs that its longest arm asks for."""
        return max(self.uses.values())


def grow_tree(arms: Sequence[Arm], facts_of: Callable[[Recipe], BackboneFacts]) -> list[Node]:
    """Return the trajectories of the arms, parents before children; ModelError names a stage that doesn't exist."""
    nodes: dict[str, Node] = {}
    for index, arm in enumerate(arms):
        parent: Node | None = None
        parent_epochs = first_epoch = 0
        for number, phase in enumerate(arm.recipe.phases):
            facts = facts_of(arm.recipe)
            cut = facts.resolve(phase.train_from)
            digest = _digest(arm.recipe, phase, cut.name, parent, parent_epochs)
            if digest not in nodes:
                # What an earlier phase trained is no longer the pretrained network: the deepest frost line so far
                # bounds what may come from stored activations.
                deepest = cut if parent is None else min(cut, parent.deepest, key=facts.cuts.index)
                nodes[digest] = Node(digest, index, number, cut, deepest, parent, parent_epochs, first_epoch)
            node = nodes[digest]
            node.uses[index] = phase.epochs
            if parent is not None:
                parent.branches.add(parent_epochs)
            parent, parent_epochs, first_epoch = node, phase.epochs, first_epoch + phase.epochs
    return list(nodes.values())


def _digest(recipe: Recipe, phase: Phase, cut: str, parent: Node | None, parent_epochs: int) -> str:
    """Return twelve hex digits of everything that decides a trajectory's numbers."""
    common = recipe.model_dump(mode="json", exclude={"phases"}, exclude_none=True)
    decides = {
        "recipe": common,
        "train_from": cut,
        "optimizer": phase.optimizer.model_dump(mode="json"),
        "schedule": phase.schedule.model_dump(mode="json"),
        "horizon": None if phase.schedule.ignores_horizon else phase.epochs,
        "parent": None if parent is None else [parent.id, parent_epochs],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]

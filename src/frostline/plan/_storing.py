"""Stored activations or recomputing: by rule where there is one, else by cost, for all that share a pass at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.errors import BudgetError
from frostline.plan._disk_budget import choose_halved, fit, kind_of, rows_of
from frostline.plan._passes import source_of
from frostline.plan._storing_gain import StoringGain
from frostline.quantities import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from frostline.models.facts import BackboneFacts, CutFacts
    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._disk_budget import Place, RowsAt
    from frostline.plan._passes import Missing
    from frostline.plan._plan import Activations, CachePolicy, Decided, Mode, RowSource
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["Choice", "choose_modes"]


@dataclass(frozen=True)
class Choice:
    """Where a trajectory's rows enter, whether they are stored or computed anew each epoch, in which numbers, and why.

    Stored or not, the same engine makes the same rows: the choice is one of time and room, and changes no answer.
    """

    mode: Mode
    cut: CutFacts
    why: str
    activations: Activations = "float32"

    def epoch_seconds(self, costs: CostModel, work: EpochWork) -> float:
        """Return the predicted seconds of an epoch of training by itself."""
        return (costs.epoch_seconds if self.mode == "cached" else costs.recomputed_seconds)(work, self.cut)


def choose_modes(
    nodes: Sequence[Node],
    arms: Sequence[Arm],
    works: Mapping[str, EpochWork],
    counts: Mapping[str, int],
    costs_of: Callable[[Recipe], CostModel],
    cache: CachePolicy,
    decided: Mapping[str, Decided],
    disk: int | None = None,
    missing: Missing | None = None,
) -> dict[str, Choice]:
    """Return the choice of each trajectory by its id; BudgetError where everything is to be stored and doesn't fit."""
    choices: dict[str, Choice] = {}
    groups: dict[object, list[Node]] = defaultdict(list)
    taken = []
    for node in nodes:
        recipe = arms[node.arm].recipe
        settled = _settle(node, recipe, costs_of(recipe), decided.get(node.id))
        if settled is None:
            kind = "float32" if recipe.activations == "auto" and disk is None else recipe.activations
            groups[source_of(recipe, "train", "float32"), kind].append(node)
            continue
        choices[node.id] = settled
        if settled.mode == "cached":
            taken.append(rows_of(recipe, settled.cut, settled.activations, counts))
    weighed = [StoringGain(group, arms, works, counts, costs_of, missing) for group in groups.values()]
    halved = choose_halved([group.candidate(cut) for group in weighed for cut in group.wanted], counts, disk, taken)
    shelved: list[dict[str, Place]] = [{} for _ in weighed]
    if cache != "never":
        shelved = (_store_all if cache == "always" else _store_what_pays)(weighed, counts, disk, taken, halved)
    for group, places in zip(weighed, shelved, strict=True):
        stored = [cut for cut, place in places.items() if place.refused is None]
        for node in group.nodes:
            cut = node.deepest.name
            if cut not in stored:
                why = str(places[cut].refused) if cut in places else group.why_not(cut)
                why = "as asked" if cache == "never" else why
                choices[node.id] = Choice("recomputed", node.deepest, why, kind_of(group.candidate(cut), halved))
                continue
            why = "as asked" if cache == "always" else group.why(cut, stored)
            if places[cut].halved and disk is not None:
                why += f"; in float16, as float32 is more than the disk budget of {format_bytes(disk)}"
            choices[node.id] = Choice("cached", node.deepest, why, places[cut].activations)
    return choices


def _store_all(
    groups: Sequence[StoringGain],
    counts: Mapping[str, int],
    disk: int | None,
    taken: Sequence[Mapping[RowsAt, int]],
    halved: Collection[RowSource],
) -> list[dict[str, Place]]:
    """Return where every cut of every group is stored; BudgetError where they don't fit."""
    candidates = [group.candidate(cut) for group in groups for cut in group.wanted]
    places, total = fit(candidates, counts, disk, taken, halved)
    if disk is not None and any(place.refused for place in places):
        exact = any(candidate.recipe.activations == "float32" for candidate in candidates)
        halve = ', halve what is stored (activations = "float16", or "auto")' if exact else ""
        raise BudgetError(
            f'cache "always" would store {format_bytes(total)} of activations, more than the disk budget of '
            f"{format_bytes(disk)}: raise --disk (disk= in Python){halve}, or let what doesn't fit be recomputed with "
            '--cache auto (cache="auto" in Python)'
        )
    return _by_group(groups, places)


def _store_what_pays(
    groups: Sequence[StoringGain],
    counts: Mapping[str, int],
    disk: int | None,
    taken: Sequence[Mapping[RowsAt, int]],
    halved: Collection[RowSource],
) -> list[dict[str, Place]]:
    """Return where the cuts that save time are stored, as far as they fit, and why the others of them don't."""
    for group in groups:
        group.give_up_losses(group.wanted)
    while True:
        candidates = [group.candidate(cut) for group in groups for cut in group.wanted]
        places, _ = fit(candidates, counts, disk, taken, halved)
        shelved = _by_group(groups, places)
        # What doesn't fit may leave a pass behind for which the rest doesn't pay, and the room that the rest takes.
        lost = [
            group.give_up_losses([cut for cut, place in own.items() if place.refused is None])
            for group, own in zip(groups, shelved, strict=True)
        ]
        if not any(lost):
            return shelved


def _by_group(groups: Sequence[StoringGain], places: Sequence[Place]) -> list[dict[str, Place]]:
    """Sort the places of every group's wanted cuts, in order, by group and cut."""
    rest = iter(places)
    return [{cut: next(rest) for cut in group.wanted} for group in groups]


def _settle(node: Node, recipe: Recipe, costs: CostModel, decided: Decided | None) -> Choice | None:
    """Return what a rule or an earlier plan decides; None leaves it to the user, the cost and the budget."""
    whole = _why_from_images(node, recipe, costs.facts)
    if whole is not None:
        return Choice("recomputed" if costs.facts.cuttable else "uncut", costs.facts.cuts[0], whole)
    if recipe.augmentation != "none" and recipe.views == "fresh":
        return Choice("recomputed", node.deepest, "augmentation is fresh in each epoch", _numbers(recipe))
    if decided is not None:
        kind = decided.activations or _numbers(recipe)
        return Choice(decided.mode, node.deepest, "as planned when the run began", kind)
    return None


def _numbers(recipe: Recipe) -> Activations:
    """Return the numbers of rows where no disk budget has a say."""
    return "float16" if recipe.activations == "float16" else "float32"


def _why_from_images(node: Node, recipe: Recipe, facts: BackboneFacts) -> str | None:
    """Return the rule by which a trajectory runs the whole network on images in its own batches, if there is one."""
    if not facts.cuttable:
        return f"{facts.backbone} can't be cut: {facts.why_not}"
    if node.deepest == facts.cuts[0]:
        return "nothing is frozen" if node.parent is None else "an earlier phase trained from the images on"
    if recipe.frozen_norm == "batch":
        return "frozen BatchNorm uses each batch's statistics, so activations depend on the batch"
    return None

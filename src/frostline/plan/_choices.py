"""Stored activations or recomputing: by rule where there is one, else by cost, for all that share a pass at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.plan._passes import gather_needs, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from frostline.models.facts import BackboneFacts, CutFacts
    from frostline.plan._costs import CostModel, EpochWork, Layout
    from frostline.plan._plan import CachePolicy, Mode
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["Choice", "choose_modes"]


@dataclass(frozen=True)
class Choice:
    """Where a trajectory's stored rows enter, and why."""

    mode: Mode
    cut: CutFacts
    layout: Layout
    why: str


def choose_modes(
    nodes: Sequence[Node],
    arms: Sequence[Arm],
    works: Mapping[str, EpochWork],
    counts: Mapping[str, int],
    costs_of: Callable[[Recipe], CostModel],
    cache: CachePolicy,
    decided: Mapping[str, tuple[str, Layout]],
) -> dict[str, Choice]:
    """Return the choice of each trajectory by its id."""
    choices: dict[str, Choice] = {}
    groups: dict[object, list[Node]] = defaultdict(list)
    for node in nodes:
        recipe = arms[node.arm].recipe
        settled = _settle(node, recipe, costs_of(recipe), cache, decided.get(node.id))
        if settled is not None:
            choices[node.id] = settled
        else:
            groups[source_of(recipe, "train")].append(node)
    for group in groups.values():
        choices |= _weigh(group, arms, works, counts, costs_of)
    return choices


def _settle(
    node: Node, recipe: Recipe, costs: CostModel, cache: CachePolicy, decided: tuple[str, Layout] | None
) -> Choice | None:
    """Return what a rule, an earlier plan or the user decides; None leaves it to the cost."""
    image = costs.facts.cuts[0]
    layout = costs.layout(node.train_from) if decided is None else decided[1]
    forced = _why_not_cached(node, recipe, costs.facts)
    if forced is not None:
        return Choice("recomputed" if costs.facts.cuttable else "uncut", image, layout, forced)
    if decided is not None:
        cut = costs.facts.resolve(decided[0])
        return Choice("recomputed" if cut == image else "cached", cut, layout, "as planned when the run began")
    if cache == "always":
        return Choice("cached", node.deepest, layout, "as asked")
    if cache == "never":
        return Choice("recomputed", image, layout, "as asked")
    return None


def _why_not_cached(node: Node, recipe: Recipe, facts: BackboneFacts) -> str | None:
    """Return the rule that keeps a trajectory from using stored activations, if there is one."""
    if not facts.cuttable:
        return f"{facts.backbone} can't be cut: {facts.why_not}"
    if node.deepest == facts.cuts[0]:
        return "nothing is frozen" if node.parent is None else "an earlier phase trained from the images on"
    if recipe.frozen_norm == "batch":
        return "frozen BatchNorm uses each batch's statistics, so activations depend on the batch"
    if recipe.augmentation != "none" and recipe.views == "fresh":
        return "augmentation is fresh in each epoch"
    return None


def _weigh(
    group: Sequence[Node],
    arms: Sequence[Arm],
    works: Mapping[str, EpochWork],
    counts: Mapping[str, int],
    costs_of: Callable[[Recipe], CostModel],
) -> dict[str, Choice]:
    """Choose for trajectories whose rows would come out of one pass: a cut is stored where that saves time.

    Cuts are given up one by one, that with the largest loss first, as long as one loses.
    """
    needs = gather_needs([(node.deepest.name, node.uses) for node in group], arms, counts, costs_of)
    savings: dict[str, float] = defaultdict(float)
    for node in group:
        costs = costs_of(arms[node.arm].recipe)
        recomputed = costs.epoch_seconds(works[node.id], costs.facts.cuts[0])
        savings[node.deepest.name] += node.epochs * (recomputed - costs.epoch_seconds(works[node.id], node.deepest))

    def price(cuts: Collection[str]) -> float:
        return sum(need.seconds([cut for cut in need.users if cut in cuts]) for need in needs)

    kept = sorted(savings)
    while kept:
        gains = {cut: savings[cut] - (price(kept) - price([c for c in kept if c != cut])) for cut in kept}
        worst = min(kept, key=gains.__getitem__)
        if gains[worst] >= 0:
            break
        kept.remove(worst)
    if sum(savings[cut] for cut in kept) < price(kept):
        kept = []
    choices = {}
    for node in group:
        cut, costs = node.deepest.name, costs_of(arms[node.arm].recipe)
        layout = costs.layout(node.train_from)
        if cut in kept:
            why = f"stored activations save {savings[cut]:.3g} s of training; the pass takes {price(kept):.3g} s"
            choices[node.id] = Choice("cached", node.deepest, layout, why)
        else:
            why = f"recomputing is cheaper: storing would save {savings[cut]:.3g} s and take {price([cut]):.3g} s"
            choices[node.id] = Choice("recomputed", costs.facts.cuts[0], layout, why)
    return choices

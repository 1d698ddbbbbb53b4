"""What storing saves and costs trajectories whose rows would come out of one pass, cut by cut."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from frostline.plan._disk_budget import Candidate
from frostline.plan._passes import gather_needs
from frostline.quantities import format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._passes import Missing
    from frostline.plan._plan import Activations
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["StoringGain"]


class StoringGain:
    """Trajectories that take the same images through the same prefix, to one or more cuts.

    ``wanted`` are the cuts whose rows are to be stored, all of them to begin with.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        arms: Sequence[Arm],
        works: Mapping[str, EpochWork],
        counts: Mapping[str, int],
        costs_of: Callable[[Recipe], CostModel],
        missing: Missing | None,
    ) -> None:
        self.nodes = nodes
        self.recipe = arms[nodes[0].arm].recipe
        kind: Activations = "float16" if self.recipe.activations == "float16" else "float32"
        self._needs = gather_needs(
            [(node.deepest.name, kind, node.uses) for node in nodes], arms, counts, costs_of, missing
        )
        self._by_cut: dict[str, list[Node]] = defaultdict(list)
        self._savings: dict[str, float] = defaultdict(float)
        self._operations: dict[str, float] = defaultdict(float)
        for node in nodes:
            costs, cut = costs_of(arms[node.arm].recipe), node.deepest
            recomputed = costs.recomputed_seconds(works[node.id], cut)
            self._by_cut[cut.name].append(node)
            self._operations[cut.name] += node.epochs * (counts["train"] + counts["val"]) * cut.flops_before
            self._savings[cut.name] += node.epochs * (recomputed - costs.epoch_seconds(works[node.id], cut))
        self.wanted = sorted(self._by_cut)

    def candidate(self, cut: str) -> Candidate:
        """Return the rows at a cut, for the budget."""
        nodes = self._by_cut[cut]
        return Candidate(self.recipe, nodes[0].deepest, self._operations[cut])

    def give_up_losses(self, cuts: Collection[str]) -> bool:
        """Want no more those of some cuts that don't save what storing them costs; return whether there are any.

        They are given up one by one, that with the largest loss first, as long as one loses.
        """
        kept = sorted(cuts)
        while kept:
            gains = {c: self._savings[c] - (self._price(kept) - self._price([k for k in kept if k != c])) for c in kept}
            worst = min(kept, key=gains.__getitem__)
            if gains[worst] >= 0:
                break
            kept.remove(worst)
        if sum(self._savings[cut] for cut in kept) < self._price(kept):
            kept = []
        lost = set(cuts) - set(kept)
        self.wanted = [cut for cut in self.wanted if cut not in lost]
        return bool(lost)

    def why(self, cut: str, stored: Collection[str]) -> str:
        """Return why a cut is stored, among those that are."""
        saved, cost = self._savings[cut], self._price(stored)
        price = f"storing them takes {format_seconds(cost)}" if cost else "they are stored already"
        return f"{_describe_saving(saved)}; {price}"

    def why_not(self, cut: str) -> str:
        """Return why a cut isn't wanted."""
        saved, cost = self._savings[cut], self._price([cut])
        price = f"storing them would take {format_seconds(cost)}" if cost else "they are stored already"
        return f"recomputing is cheaper: {_describe_saving(saved)}; {price}"

    def _price(self, cuts: Collection[str]) -> float:
        return sum(need.storing_seconds([cut for cut in need.users if cut in cuts]) for need in self._needs)


def _describe_saving(seconds: float) -> str:
    """Say what training on stored activations saves, or that it takes longer, as reading them may."""
    if seconds < 0:
        return f"training on stored activations takes {format_seconds(-seconds)} longer"
    return f"stored activations save {format_seconds(seconds)} of training"

"""The memory budget: the predicted peak of each piece of work, heads divided into groups that fit, or a refusal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from frostline.errors import BudgetError
from frostline.plan._device_memory import device_heads_bytes, device_pass_bytes, device_trajectory_bytes
from frostline.plan._memory_budget import BASE_BYTES, heads_bytes, pass_bytes, resident_bytes, trajectory_bytes
from frostline.quantities import format_bytes, format_number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frostline.plan._budgets import Budgets
    from frostline.plan._costs import CostModel, EpochWork
    from frostline.plan._passes import Need
    from frostline.plan._storing import Choice
    from frostline.plan._trajectories import Node
    from frostline.study import Arm, Recipe

__all__ = ["Peaks"]


class Peaks:
    """Peaks of resident memory, each that of the whole process while one thing is done, and the budget for them.

    Args:
        nodes, arms, works, choices, costs_of: the trajectories, where their rows enter, and what they cost.
        needs: what is stored for them.
        n_classes: K.
        budgets: of memory and of a device's own, None for no limit.

    ``notes`` say which heads were divided to keep the budget.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        arms: Sequence[Arm],
        works: Mapping[str, EpochWork],
        choices: Mapping[str, Choice],
        costs_of: Callable[[Recipe], CostModel],
        needs: Sequence[Need],
        n_classes: int,
        budgets: Budgets,
    ) -> None:
        self._arms, self._works, self._choices, self._costs_of = arms, works, choices, costs_of
        self.n_classes, self._memory, self._device_memory = n_classes, budgets.memory, budgets.device_memory
        self.notes: list[str] = []
        recipes = [arms[node.arm].recipe for node in nodes]
        self.resident = resident_bytes([(recipe, costs_of(recipe)) for recipe in recipes], needs)
        self.passes = max((self.resident + pass_bytes(need) for need in needs), default=self.resident)
        for need in needs:
            self._keep(self.resident + pass_bytes(need), f"the feature pass {need.name}", "image_size")
            if need.costs.device != "cpu":
                self._keep_device(device_pass_bytes(need), f"the feature pass {need.name}", "image_size")
        self._needs = needs

    def trajectory(self, node: Node) -> int:
        """Return the peak while a trajectory is trained by itself; BudgetError names an arm that needs too much."""
        recipe = self._arms[node.arm].recipe
        peak = self.resident + self._training(node)
        where = recipe.phases[node.phase].train_from
        what = f"training {recipe.backbone} from {where} in batches of {recipe.batch_size}"
        named = f'arm "{self._arms[node.arm].name}" ({what})'
        self._keep(peak, named, "batch_size or image_size, a later train_from")
        self._keep_device(self._training_on_device(node), named, "batch_size or image_size, a later train_from")
        return peak

    def side_by_side(self, nodes: Sequence[Node], n: int) -> int:
        """Return the peak of ``n`` processes that train trajectories, and of the one that waits for them."""
        largest = sorted((self._training(node) for node in nodes), reverse=True)[:n]
        return self.resident + sum(BASE_BYTES + each for each in largest)

    def allow(self, nodes: Sequence[Node], n: int) -> bool:
        """Return whether the budget leaves room for so many processes."""
        return self._memory is None or self.side_by_side(nodes, n) <= self._memory

    def _training(self, node: Node) -> int:
        recipe = self._arms[node.arm].recipe
        choice, work = self._choices[node.id], self._works[node.id]
        return trajectory_bytes(choice, recipe, node.phase, work, self._costs_of(recipe), self.n_classes)

    def heads(self, nodes: Sequence[Node]) -> int:
        """Return the peak while heads are trained together."""
        arms = [self._arms[node.arm] for node in nodes]
        heads = [
            (self._choices[node.id], arm.recipe, self._works[node.id]) for node, arm in zip(nodes, arms, strict=True)
        ]
        return self.resident + heads_bytes(heads, self._costs_of(arms[0].recipe), self.n_classes)

    def divide(self, nodes: Sequence[Node]) -> list[list[Node]]:
        """Return heads in as few groups, one after another, as the budget allows; they are alike as far as can be.

        A head's numbers don't depend on its company. BudgetError names an arm whose head alone needs too much.
        """
        if self._fits(nodes):
            return [list(nodes)]
        for node in nodes:
            named = f'arm "{self._arms[node.arm].name}"'
            self._keep(self.heads([node]), named, "head or batch_size, fewer validation images")
            self._keep_device(self._heads_on_device([node]), named, "head or batch_size")
        n_groups, groups = 1, [list(nodes)]
        while not all(self._fits(group) for group in groups):
            n_groups += 1
            bounds = [len(nodes) * i // n_groups for i in range(n_groups + 1)]
            groups = [list(nodes[start:end]) for start, end in pairwise(bounds)]
        self.notes.append(
            f"{format_number_of(len(nodes), 'head')} in {n_groups} groups, one after another: together they need about "
            f"{self._describe_excess(nodes)}"
        )
        return groups

    def _fits(self, nodes: Sequence[Node]) -> bool:
        on_device = self._device_memory is None or self._heads_on_device(nodes) <= self._device_memory
        return on_device and (self._memory is None or self.heads(nodes) <= self._memory)

    def _describe_excess(self, nodes: Sequence[Node]) -> str:
        if self._memory is not None and self.heads(nodes) > self._memory:
            peak, budget, what = self.heads(nodes), self._memory, "memory"
        else:
            peak, budget, what = self._heads_on_device(nodes), self._device_memory or 0, "the device's memory"
        return f"{format_bytes(peak)} of {what}, more than the budget of {format_bytes(budget)}"

    def on_device(self, groups: Sequence[Sequence[Node]], stacked: Sequence[bool]) -> int:
        """Return the peak of the device's own memory, of passes and of what is trained together; 0 without one.

        Args:
            groups: the nodes that are trained together.
            stacked: whether each of them are heads.
        """
        passes = [device_pass_bytes(need) for need in self._needs if need.costs.device != "cpu"]
        training = [
            self._heads_on_device(group) if heads else self._training_on_device(group[0])
            for group, heads in zip(groups, stacked, strict=True)
        ]
        return max([0, *passes, *training])

    def _training_on_device(self, node: Node) -> int:
        recipe = self._arms[node.arm].recipe
        costs = self._costs_of(recipe)
        if costs.device == "cpu":
            return 0
        return device_trajectory_bytes(self._choices[node.id], recipe, node.phase, self._works[node.id], costs)

    def _heads_on_device(self, nodes: Sequence[Node]) -> int:
        recipes = [self._arms[node.arm].recipe for node in nodes]
        if self._costs_of(recipes[0]).device == "cpu":
            return 0
        heads = [(self._choices[n.id], recipe, self._works[n.id]) for n, recipe in zip(nodes, recipes, strict=True)]
        return device_heads_bytes(heads, self.n_classes)

    def check_heads(self, nodes: Sequence[Node]) -> None:
        """Raise BudgetError where heads that an earlier plan put together need too much."""
        what = f"training {format_number_of(len(nodes), 'head')} together, as planned when the run began,"
        anew = "study, begin anew with --no-resume (resume=False in Python)"
        self._keep(self.heads(nodes), what, anew)
        self._keep_device(self._heads_on_device(nodes), what, anew)

    def _keep(self, peak: int, what: str, smaller: str) -> None:
        if self._memory is not None and peak > self._memory:
            more = "raise --memory (memory= in Python)"
            # Where libraries and weights alone are too much, nothing smaller helps.
            advice = f"use a smaller {smaller}, or {more}" if self.resident <= self._memory else more
            raise BudgetError(
                f"{what} needs about {format_bytes(peak)} of memory ({format_bytes(self.resident)} of it for libraries "
                f"and pretrained weights), more than the budget of {format_bytes(self._memory)}: {advice}"
            )

    def _keep_device(self, peak: int, what: str, smaller: str) -> None:
        if self._device_memory is not None and peak > self._device_memory:
            raise BudgetError(
                f"{what} needs about {format_bytes(peak)} of the device's memory, more than the budget of "
                f"{format_bytes(self._device_memory)}: use a smaller {smaller}, raise --device-memory "
                "(device_memory= in Python), or choose another --device"
            )

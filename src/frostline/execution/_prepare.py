"""From a study to its plan: images counted, networks described, this machine measured where it hasn't been."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from frostline.data import load_dataset
from frostline.errors import FrostlineError
from frostline.execution._calibration import known_rates, measure_rates
from frostline.execution._checks import check_classes, check_networks, raise_problems
from frostline.execution.events import Notice
from frostline.models.facts import backbone_facts
from frostline.plan import NO_BUDGETS, CachePolicy, CostModel, build_plan, read_budgets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frostline.data import Dataset
    from frostline.execution.events import Listener
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Budgets, Decided, Plan
    from frostline.study import Arm, Recipe, Study

__all__ = ["Prepared", "check_cache_policy", "plan_study", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A study ready to be planned: its arms, images, and the cost model of each backbone at each image size."""

    study: Study
    arms: tuple[Arm, ...]
    dataset: Dataset
    costs: Mapping[tuple[str, int], CostModel]

    @property
    def counts(self) -> dict[str, int]:
        """Images by split."""
        return {split.name: len(split) for split in self.dataset.splits}

    def plan(
        self,
        cache: CachePolicy = "auto",
        decided: Mapping[str, Decided] | None = None,
        measured: Mapping[str, float] | None = None,
        budgets: Budgets = NO_BUDGETS,
    ) -> Plan:
        """Return the plan; see build_plan for what an earlier plan decided and what a run measured."""
        return build_plan(
            self.study.name,
            self.arms,
            self.counts,
            len(self.dataset.classes),
            self.costs_of,
            cache,
            decided,
            measured,
            budgets,
        )

    def costs_of(self, recipe: Recipe) -> CostModel:
        """Return the cost model of a recipe's backbone at its image size."""
        return self.costs[recipe.backbone, recipe.image_size]


def prepare(study: Study, listener: Listener | None = None) -> Prepared:
    """Read what planning needs: the images' labels, the networks' stages, and this machine's rates.

    Facts and rates are remembered in the user's cache directory; where they are, torch is not loaded.

    Raises:
        StudyError, DataError, ModelError: the study asks for what isn't there.
    """
    arms = study.expand()
    raise_problems(check_networks(study))  # before the images, which may take a download
    dataset = load_dataset(study.data)
    raise_problems(check_classes(arms, dataset.classes))
    known: dict[tuple[str, int], BackboneFacts] = {}
    needed: dict[tuple[str, int], set[str]] = {}
    for arm in arms:
        recipe = arm.recipe
        facts = backbone_facts(recipe.backbone, recipe.image_size, recipe.weights)
        key = (recipe.backbone, recipe.image_size)
        known[key] = facts
        needed.setdefault(key, set()).update(facts.resolve(phase.train_from).name for phase in recipe.phases)
    costs = {}
    for key, facts in known.items():
        cuts = needed[key]
        rates = known_rates(facts, cuts)
        if rates is None:
            if listener is not None:
                listener(Notice(f"measuring {facts.backbone} at {facts.image_size} pixels on this machine, once"))
            rates = measure_rates(facts, cuts)
        costs[key] = CostModel(facts, rates)
    return Prepared(study, arms, dataset, costs)


def plan_study(
    study: Study,
    *,
    cache: CachePolicy = "auto",
    disk: int | str | None = None,
    listener: Listener | None = None,
) -> Plan:
    """Return what a study would share, train and cost; measures this machine first where it hasn't been.

    Args:
        study: what is asked.
        cache: ``auto`` stores activations where that is predicted cheaper, ``always`` wherever it gives the same
            answer, ``never`` nowhere.
        disk: the most that the study's stored activations may take together, in bytes or as text such as ``10GB``;
            what doesn't fit is recomputed.
        listener: told when the machine is measured, and what there is to know about the images.

    Raises:
        BudgetError: a budget is no size, or can't be kept.
        StudyError, DataError, ModelError: the study asks for what isn't there.
    """
    check_cache_policy(cache)
    budgets = read_budgets(disk)
    prepared = prepare(study, listener)
    if listener is not None:
        for warning in prepared.dataset.warnings:
            listener(Notice(warning))
    return prepared.plan(cache, budgets=budgets)


def check_cache_policy(cache: str) -> None:
    """Raise FrostlineError for a policy that doesn't exist."""
    if cache not in get_args(CachePolicy):
        raise FrostlineError(f'cache "{cache}" is unknown: choose {", ".join(get_args(CachePolicy))}')

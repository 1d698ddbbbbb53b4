"""What a study's plan is made from: images counted, networks described, this machine measured where it hasn't been."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from frostline.data import load_dataset, load_images, summarise_data
from frostline.errors import FrostlineError
from frostline.execution._checks import check_classes, check_networks, raise_problems
from frostline.execution._own import is_only_here
from frostline.execution.events import DataRead, Notice
from frostline.machine import (
    CPU,
    Asked,
    Bench,
    Place,
    Situation,
    known_rates,
    measure_rates,
    prefix_cuts,
)
from frostline.models.facts import backbone_facts, known_facts
from frostline.plan import NO_BUDGETS, CachePolicy, CostModel, build_plan, choose_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from frostline.data import Dataset
    from frostline.execution._networks import Networks
    from frostline.execution.events import Listener
    from frostline.features import Engines
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Budgets, Decided, Missing, Plan, Precision
    from frostline.study import Arm, Recipe, Study

__all__ = ["Prepared", "is_measured", "prepare", "read_data"]


MOST_IMAGES = 32
"""Real images to measure on: the most that are batched."""


@dataclass(frozen=True)
class Prepared:
    """A study ready to be planned: its arms, images, and the cost model of each backbone at each image size."""

    study: Study
    arms: tuple[Arm, ...]
    dataset: Dataset
    costs: Mapping[tuple[str, int], CostModel]
    precision: Precision = "ieee"

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
        missing: Missing | None = None,
    ) -> Plan:
        """Return the plan; see build_plan for what an earlier plan decided, a run measured and the cache has."""
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
            missing,
        )

    def costs_of(self, recipe: Recipe) -> CostModel:
        """Return the cost model of a recipe's backbone at its image size."""
        return self.costs[recipe.backbone, recipe.image_size]


def prepare(
    study: Study,
    listener: Listener | None = None,
    networks: Networks | None = None,
    engines: Engines | None = None,
    engine: str = "openvino",
    measuring: Callable[[], AbstractContextManager[None]] = nullcontext,
    bench: Bench | None = None,
    device: str = "cpu",
    threads: int | None = None,
    dataset: Dataset | None = None,
    precision: Precision = "ieee",
) -> Prepared:
    """Read what planning needs: the images' labels, the networks' stages, and this machine's rates.

    Facts and rates are remembered in the user's cache directory; where they are, torch is not loaded.

    Args:
        study: what is asked.
        listener: told what of the images is used, and when the machine is measured.
        networks: where a run has its networks; what is measured is then measured on them.
        engines: where compiled prefixes are kept for the run's passes.
        engine: what runs the frozen stages.
        measuring: what measuring happens within, so that its time can be counted.
        bench: the process that measures, which may have started already.
        device: what it all runs on: ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        threads: those that torch has in this process; left out, those that it had when the machine was measured.
        dataset: the study's images, where they were read already.
        precision: of products.

    Raises:
        StudyError, DataError, ModelError: the study asks for what isn't there.
    """
    arms = study.expand()
    if networks is None:  # a run has checked them, and read their weights
        raise_problems(check_networks(study, read_weights=False))  # before the images, which may take a download
    if dataset is None:
        dataset = read_data(study, listener, remembered=True)  # a plan only counts them

    def facts_of(recipe: Recipe) -> BackboneFacts:
        return backbone_facts(recipe.backbone, recipe.image_size, recipe.weights)

    costs = {}
    place = Place(device, precision)
    for key, (recipe, asked) in _asked(arms, facts_of, engine, place).items():
        facts = facts_of(recipe)
        rates = known_rates(facts, asked)
        compiled: frozenset[tuple[str, str | None, tuple[str, ...]]] = frozenset()
        if rates is None:
            if listener is not None:
                listener(Notice(f"measuring {facts.backbone} at {facts.image_size} pixels on this machine, once"))
            situation = None
            if networks is not None and engines is not None:
                backbone = networks.of(recipe)
                first = np.arange(min(MOST_IMAGES, len(dataset.train)))
                images = load_images(dataset, dataset.train, first, backbone.preprocessing)
                situation = Situation(backbone, prefix_cuts(facts, asked.cuts), images, engines)
            with measuring():
                rates = measure_rates(facts, asked, situation, bench)
            if rates.doubt and listener is not None:
                listener(Notice(f"{rates.doubt}; it is measured anew next time"))
            if situation is not None and device == "cpu":
                # What was compiled to be measured is what a pass to the same cuts uses.
                compiled = frozenset({(recipe.weights, recipe.weights_key, situation.cuts)})
        if threads is not None:  # which decide bits, as nothing does that was measured
            rates = replace(rates, threads=threads)
        costs[key] = CostModel(facts, rates, place.kind, is_only_here(facts.backbone), compiled)
    return Prepared(study, arms, dataset, costs, precision)


def read_data(study: Study, listener: Listener | None, *, remembered: bool = False) -> Dataset:
    """Return a study's images, checked to go with its arms, and tell what of them is used; see ``load_dataset``."""
    dataset = load_dataset(study.data, remembered=remembered)
    raise_problems(check_classes(study.expand(), dataset.classes))
    if listener is not None:
        listener(DataRead(summarise_data(dataset)))
    return dataset


def is_measured(study: Study, engine: str = "openvino", place: Place = CPU) -> bool:
    """Return whether the cache has the facts and rates that a study's plan needs; imports no torch.

    What is wrong with the study is for others to say: there is nothing to measure then.
    """
    arms = study.expand()

    def facts_of(recipe: Recipe) -> BackboneFacts:
        known = known_facts(recipe.backbone, recipe.image_size, recipe.weights)
        if known is None:
            raise LookupError
        return known

    try:
        asked = _asked(arms, facts_of, engine, place)
        return all(known_rates(facts_of(recipe), each) is not None for recipe, each in asked.values())
    except LookupError:
        return False
    except FrostlineError:
        return True


def _asked(
    arms: Sequence[Arm], facts_of: Callable[[Recipe], BackboneFacts], engine: str, place: Place
) -> dict[tuple[str, int], tuple[Recipe, Asked]]:
    """Return a recipe of each backbone and image size, and what all of them ask of its rates."""
    available = os.cpu_count() or 1
    asked: dict[tuple[str, int], tuple[Recipe, Asked]] = {}
    for arm in arms:
        recipe, facts = arm.recipe, facts_of(arm.recipe)
        key = (recipe.backbone, recipe.image_size)
        first, before = asked.get(key, (recipe, Asked(frozenset())))
        cuts = {facts.resolve(phase.train_from) for phase in recipe.phases}
        beside = {
            cut.name
            for cut in cuts
            if place.kind == "cpu"
            and cut.name not in ("input", "head")
            and choose_threads((facts.flops - cut.flops_before) * recipe.batch_size, available) < available
        }
        asked[key] = (first, Asked(before.cuts | {cut.name for cut in cuts}, before.beside | beside, engine, place))
    return asked

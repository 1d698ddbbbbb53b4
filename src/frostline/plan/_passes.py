"""Which feature passes a set of trajectories needs: one run of each prefix serves every cut and every arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from frostline.plan._numerics import pass_batch_size
from frostline.plan._plan import PassPlan, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from frostline.models.facts import CutFacts
    from frostline.plan._compiling import Compiling
    from frostline.plan._costs import CostModel
    from frostline.plan._plan import Activations
    from frostline.study import Arm, Recipe

__all__ = ["Missing", "Need", "gather_needs", "plan_passes", "source_of", "stored_bytes", "test_bytes"]

Missing: TypeAlias = Callable[[Source, str], int]
"""Counts the rows of a source, of all its views, that are not stored at a cut yet."""


@dataclass
class Need:
    """The rows of one source at some cuts, with the arms (by index) that use each cut."""

    source: Source
    n_images: int
    costs: CostModel
    count_missing: Missing | None = None
    users: dict[str, set[int]] = field(default_factory=dict)

    @property
    def cuts(self) -> tuple[str, ...]:
        """Every cut that is needed, in execution order."""
        order = [cut.name for cut in self.costs.facts.cuts]
        return tuple(sorted(self.users, key=order.index))

    @property
    def name(self) -> str:
        """The name of the pass that meets this need."""
        source = self.source
        augmented = source.view_seed is not None
        views = f", {source.augmentation} x{source.views} seed {source.view_seed}" if augmented else ""
        half = ", float16" if source.activations == "float16" else ""
        key = f" {source.weights_key}" if source.weights_key else ""
        weights = "" if source.weights == "default" else f" (weights {source.weights}{key})"
        return f"{source.backbone}{weights} {source.image_size} px to {', '.join(self.cuts)}{views}{half}"

    def bytes(self, cuts: Iterable[str]) -> int:
        """Return the bytes that the rows at these cuts take on disk."""
        facts = self.costs.facts
        return sum(stored_bytes(self.n_images, facts.resolve(cut), self.source.activations) for cut in cuts)

    def seconds(self, cuts: Iterable[str]) -> float:
        """Return the seconds of one run of the prefix that stores all of these cuts; none without a cut.

        The training split's part includes compiling the prefix, which the other splits then use.
        """
        cuts = tuple(cuts)
        setup = self.costs.rates.setup if cuts and self.source.split == "train" else 0.0
        return setup + self._run_seconds(dict.fromkeys(cuts, self.n_images))

    def missing(self, cuts: Iterable[str]) -> tuple[str, ...]:
        """Return those of some cuts at which rows aren't stored yet."""
        return tuple(cut for cut in cuts if self._n_missing(cut))

    def storing_seconds(self, cuts: Iterable[str]) -> float:
        """Return the seconds to store what is missing at some cuts, without compiling the prefix."""
        return self._run_seconds({cut: self._n_missing(cut) for cut in cuts})

    def _n_missing(self, cut: str) -> int:
        """Return of how many images, each of their views counted, the rows at a cut are still to be made."""
        return self.n_images if self.count_missing is None else self.count_missing(self.source, cut)

    def _run_seconds(self, n_images: Mapping[str, int]) -> float:
        """Return the seconds of one run that stores the rows of so many images at each cut."""
        facts = [self.costs.facts.resolve(cut) for cut, n in n_images.items() if n]
        if not facts:
            return 0.0
        last = max(facts, key=lambda cut: cut.flops_before)
        n_bytes = sum(stored_bytes(n_images[cut.name], cut, self.source.activations) for cut in facts)
        return self.costs.pass_seconds(last, max(n_images.values()), n_bytes)

    def without(self, arm: int) -> list[str]:
        """Return the cuts that the study needs even without an arm."""
        return [cut for cut, arms in self.users.items() if arms - {arm}]

    def of(self, arm: int) -> list[str]:
        """Return the cuts that an arm uses."""
        return [cut for cut, arms in self.users.items() if arm in arms]


def gather_needs(
    cached: Sequence[tuple[str, Activations, Iterable[int]]],
    arms: Sequence[Arm],
    counts: Mapping[str, int],
    costs_of: Callable[[Recipe], CostModel],
    missing: Missing | None = None,
) -> list[Need]:
    """Return what must be stored for cached trajectories, given as cut, kind of numbers and the indices of arms."""
    needs: dict[Source, Need] = {}
    for cut, activations, indices in cached:
        for index in indices:
            recipe = arms[index].recipe
            for split in ("train", "val"):
                source = source_of(recipe, split, activations)
                n_images = counts[split] * source.views
                need = needs.setdefault(source, Need(source, n_images, costs_of(recipe), missing))
                need.users.setdefault(cut, set()).add(index)
    return list(needs.values())


def source_of(recipe: Recipe, split: str, activations: Activations) -> Source:
    """Return which images of a split go through which prefix for a recipe, and how the results are kept."""
    augmented = split == "train" and recipe.augmentation != "none"
    views = recipe.views if augmented and isinstance(recipe.views, int) else 1
    return Source(
        backbone=recipe.backbone,
        weights=recipe.weights,
        image_size=recipe.image_size,
        activations=activations,
        split=split,
        augmentation=recipe.augmentation if augmented else "none",
        views=views,
        view_seed=recipe.seed if augmented else None,
        weights_key=recipe.weights_key,
    )


def stored_bytes(n_images: int, cut: CutFacts, activations: Activations) -> int:
    """Return the bytes that the rows of some images take at a cut."""
    return n_images * (cut.row_bytes // (2 if activations == "float16" else 1))


def test_bytes(needs: Sequence[Need], n_test: int) -> int:
    """Return the most that the test images of the chosen arm take: they go the way of the validation images."""
    return max(
        (replace(need, n_images=n_test).bytes(need.cuts) for need in needs if need.source.split == "val"), default=0
    )


def plan_passes(needs: Sequence[Need], compiling: Compiling) -> tuple[PassPlan, ...]:
    """Return the passes that meet the needs; splits that go through the same prefix to the same cuts are one pass."""
    passes: dict[tuple[object, ...], PassPlan] = {}
    for need in needs:
        source = need.source
        cuts = need.cuts
        key = (source._replace(split=""), cuts)
        seconds, n_bytes = need.storing_seconds(cuts), need.bytes(cuts)
        seconds += compiling.count(need.costs, source, need.missing(cuts))
        if key in passes:
            known = passes[key]
            passes[key] = replace(
                known,
                splits={**known.splits, source.split: need.n_images // source.views},
                seconds=known.seconds + seconds,
                bytes=known.bytes + n_bytes,
            )
            continue
        passes[key] = PassPlan(
            name=need.name,
            backbone=source.backbone,
            weights=source.weights,
            image_size=source.image_size,
            activations=source.activations,
            augmentation=source.augmentation,
            views=source.views,
            view_seed=source.view_seed,
            cuts=cuts,
            splits={source.split: need.n_images // source.views},
            batch_size=pass_batch_size(need.costs.device),
            seconds=seconds,
            bytes=n_bytes,
            arms=len(set().union(*need.users.values())),
            weights_key=source.weights_key,
        )
    return tuple(passes.values())

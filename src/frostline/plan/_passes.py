"""Which feature passes a set of trajectories needs: one run of each prefix serves every cut and every arm."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from frostline.plan._plan import PassPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from frostline.plan._costs import CostModel
    from frostline.study import Arm, Recipe

__all__ = ["Need", "gather_needs", "plan_passes", "source_of"]


class _Source(NamedTuple):
    """What goes through which prefix: passes with equal sources are one."""

    backbone: str
    weights: str
    image_size: int
    activations: Literal["float32", "float16"]
    split: str
    augmentation: Literal["none", "flip", "crop-flip"]
    views: int
    view_seed: int | None


@dataclass
class Need:
    """The rows of one source at some cuts, with the arms (by index) that use each cut."""

    source: _Source
    n_images: int
    costs: CostModel
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
        weights = "" if source.weights == "default" else f" (weights {source.weights})"
        return f"{source.backbone}{weights} {source.image_size} px to {', '.join(self.cuts)}{views}{half}"

    def bytes(self, cuts: Iterable[str]) -> int:
        """Return the bytes that the rows at these cuts take on disk."""
        share = 2 if self.source.activations == "float16" else 1
        return sum(self.n_images * (self.costs.facts.resolve(cut).row_bytes // share) for cut in cuts)

    def seconds(self, cuts: Iterable[str]) -> float:
        """Return the seconds of one run of the prefix that stores all of these cuts; none without a cut.

        The training split's part includes compiling the prefix, which the other splits then use.
        """
        facts = [self.costs.facts.resolve(cut) for cut in cuts]
        if not facts:
            return 0.0
        last = max(facts, key=lambda cut: cut.flops_before)
        setup = self.costs.rates.setup if self.source.split == "train" else 0.0
        return setup + self.costs.pass_seconds(last, self.n_images, self.bytes(cut.name for cut in facts))

    def without(self, arm: int) -> list[str]:
        """Return the cuts that the study needs even without an arm."""
        return [cut for cut, arms in self.users.items() if arms - {arm}]

    def of(self, arm: int) -> list[str]:
        """Return the cuts that an arm uses."""
        return [cut for cut, arms in self.users.items() if arm in arms]


def gather_needs(
    cached: Sequence[tuple[str, Iterable[int]]],
    arms: Sequence[Arm],
    counts: Mapping[str, int],
    costs_of: Callable[[Recipe], CostModel],
) -> list[Need]:
    """Return what must be stored for cached trajectories, each given as its cut and the indices of its arms."""
    needs: dict[_Source, Need] = {}
    for cut, indices in cached:
        for index in indices:
            recipe = arms[index].recipe
            for split in ("train", "val"):
                source = source_of(recipe, split)
                n_images = counts[split] * source.views
                need = needs.setdefault(source, Need(source, n_images, costs_of(recipe)))
                need.users.setdefault(cut, set()).add(index)
    return list(needs.values())


def source_of(recipe: Recipe, split: str) -> _Source:
    """Return which images of a split go through which prefix for a recipe."""
    augmented = split == "train" and recipe.augmentation != "none"
    views = recipe.views if augmented and isinstance(recipe.views, int) else 1
    return _Source(
        backbone=recipe.backbone,
        weights=recipe.weights,
        image_size=recipe.image_size,
        activations=recipe.activations,
        split=split,
        augmentation=recipe.augmentation if augmented else "none",
        views=views,
        view_seed=recipe.seed if augmented else None,
    )


def plan_passes(needs: Sequence[Need]) -> tuple[PassPlan, ...]:
    """Return the passes that meet the needs; splits that go through the same prefix to the same cuts are one pass."""
    passes: dict[tuple[object, ...], PassPlan] = {}
    for need in needs:
        source = need.source
        cuts = need.cuts
        key = (source._replace(split=""), cuts)
        seconds, n_bytes = need.seconds(cuts), need.bytes(cuts)
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
            seconds=seconds,
            bytes=n_bytes,
            arms=len(set().union(*need.users.values())),
        )
    return tuple(passes.values())

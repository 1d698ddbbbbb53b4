"""What judging the arms of the chosen recipe on the test images takes, the most that it may: which one isn't known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from frostline.plan._passes import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.plan._choices import Choice
    from frostline.plan._compiling import Compiling
    from frostline.plan._costs import CostModel
    from frostline.plan._passes import Need
    from frostline.study import Arm, Recipe

__all__ = ["Judging", "price_judging"]


class Judging(NamedTuple):
    """Seconds of the pass over the test images, of evaluating the arms on its rows, and of the plain loop's way."""

    pass_seconds: float
    evaluation_seconds: float
    plain_seconds: float


def price_judging(
    arms: Sequence[Arm],
    choices: Sequence[Choice],
    costs_of: Callable[[Recipe], CostModel],
    needs: Sequence[Need],
    n_test: int,
    compiling: Compiling,
) -> Judging:
    """Return the most that judging a recipe takes: all of its seeds, through the cut that each was trained at.

    Args:
        arms: the study's arms.
        choices: where the rows of each arm's last phase come from.
        costs_of: the cost model of a recipe's backbone.
        needs: what is stored; test images go the way of the validation images.
        n_test: the number of test images.
        compiling: what is compiled by then.
    """
    recipes = [arm.recipe.model_dump_json(exclude={"seed"}) for arm in arms]
    n_seeds = Counter(recipes)
    test_needs = {
        need.source: replace(need, source=need.source._replace(split="test"), n_images=n_test)
        for need in needs
        if need.source.split == "val"
    }
    priced: dict[str, tuple[float, float]] = {}
    plain = 0.0
    for arm, recipe, choice in zip(arms, recipes, choices, strict=True):
        costs, n = costs_of(arm.recipe), n_seeds[recipe]
        plain = max(plain, n * costs.plain_evaluation_seconds(n_test))
        making = 0.0
        if choice.mode == "cached":
            need = test_needs[source_of(arm.recipe, "val", choice.activations)]
            making = need.storing_seconds(need.cuts)
            making += compiling.ahead(costs, need.source, need.missing(need.cuts))
        priced[recipe] = (making, n * costs.evaluation_seconds(n_test, choice.cut))
    return Judging(*max(priced.values(), key=sum), plain)

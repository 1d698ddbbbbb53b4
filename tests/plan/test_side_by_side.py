"""How many processes train trajectories side by side."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.plan import NO_BUDGETS, Budgets, CostModel, Plan, build_plan
from frostline.plan._side_by_side import START_SECONDS, makespan
from frostline.plan._trajectories import grow_tree
from frostline.study import Arm, Recipe

GAIN: dict[str, Any] = {"lanes": (2,), "slowdowns": ((1.1,) * 4,)}
"""What training on one of two threads takes, beside another, against training on both."""

SMALL, LARGE = {"batch_size": 1}, {"batch_size": 64}
"""A step of one image keeps one thread busy, one of 64 both."""


def plan(
    *recipes: dict[str, Any],
    budgets: Budgets = NO_BUDGETS,
    **changes: Any,
) -> Plan:
    costs = CostModel(facts(), rates(**changes))
    arms = [Arm(name=str(i), recipe=Recipe(backbone="net", image_size=32, **r)) for i, r in enumerate(recipes)]
    return build_plan("s", arms, COUNTS, 10, lambda recipe: costs, budgets=budgets)


def late(seed: int, epochs: int = 5, **more: Any) -> dict[str, Any]:
    return {"train_from": "late", "seed": seed, "epochs": epochs, **SMALL, **more}


@pytest.mark.parametrize(
    ("recipes", "changes", "workers"),
    [
        ([late(0), late(1)], {}, 2),
        ([late(0, **LARGE), late(1, **LARGE)], {}, 1),
        ([late(0), late(1, **LARGE)], {}, 1),
        ([late(0)], {}, 1),
        ([{"train_from": "head", "seed": seed, **SMALL} for seed in range(4)], {}, 1),
        ([late(0, 1), late(1, 1)], {"train": (1e-4,) * 4, "forward": (1e-5,) * 4, "step": 0.0}, 1),
        ([late(seed) for seed in range(8)], {"threads": 4, "lanes": (2, 4), "slowdowns": ((1.5,) * 4, (1.6,) * 4)}, 4),
        ([late(seed) for seed in range(3)], {"threads": 4, "lanes": (2, 4), "slowdowns": ((1.5,) * 4, (1.6,) * 4)}, 2),
    ],
    ids=[
        "small steps",
        "large steps",
        "one of each",
        "one alone",
        "heads are stacked",
        "not worth a start",
        "as many as there are threads",
        "as many as there are trajectories",
    ],
)
def test_processes_are_used_where_they_pay(
    recipes: list[dict[str, Any]], changes: dict[str, Any], workers: int
) -> None:
    made = plan(*recipes, **{**GAIN, **changes})
    assert made.workers == workers
    assert made.to_json()["workers"] == workers


def test_company_changes_no_threads() -> None:
    alone, company = plan(late(0), **GAIN), plan(late(0), late(1), late(2, **LARGE), **GAIN)
    assert [t.threads for t in alone.trajectories] == [1]
    assert [t.threads for t in company.trajectories] == [1, 1, 2]
    assert company.trajectories[0].seconds == pytest.approx(alone.trajectories[0].seconds)


def test_prices_count_the_threads() -> None:
    one, two = plan(late(0), late(1)), plan(late(0), late(1), **GAIN)
    assert one.trajectories[0].seconds == pytest.approx(two.trajectories[0].seconds * 2.0 / 1.1)
    training = sum(t.seconds for t in two.trajectories)
    assert two.totals.training_seconds == pytest.approx(START_SECONDS + training / 2)
    for made in (one, two):
        passes = sum(pass_.seconds for pass_ in made.passes)
        assert made.totals.seconds == pytest.approx(passes + made.totals.training_seconds + made.totals.test_seconds)
    assert sum(group.seconds for group in two.groups) == pytest.approx(training)


def test_processes_keep_to_a_memory_budget() -> None:
    free = plan(late(0), late(1), **GAIN)
    peak = free.totals.peak_bytes
    assert peak > plan(late(0), **GAIN).totals.peak_bytes
    assert free.trajectories[0].peak_bytes == peak
    assert plan(late(0), late(1), budgets=Budgets(memory=peak), **GAIN).workers == 2
    assert plan(late(0), late(1), budgets=Budgets(memory=peak - 1), **GAIN).workers == 1


def test_makespan_by_hand() -> None:
    """The gradual arm's second phase begins when its first has ended, at 3; the longest chain goes first."""
    gradual = {"phases": [{"train_from": "late", "epochs": 3}, {"train_from": "early", "epochs": 4}]}
    arms = [
        Arm(name=str(i), recipe=Recipe(backbone="net", image_size=32, **r)) for i, r in enumerate((late(1), gradual))
    ]
    nodes = grow_tree(arms, lambda recipe: facts())
    seconds = dict(zip((node.id for node in nodes), (5.0, 3.0, 4.0), strict=True))
    assert makespan(nodes, seconds, 1) == 12
    assert makespan(nodes, seconds, 2) == 7
    assert makespan(nodes, seconds, 3) == 7
    assert makespan([], {}, 2) == 0

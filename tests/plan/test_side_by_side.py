"""How many processes train trajectories side by side."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.errors import BudgetError
from frostline.plan import NO_BUDGETS, Budgets, CostModel, Decided, Plan, build_plan
from frostline.plan._side_by_side import START_SECONDS, makespan
from frostline.plan._trajectories import grow_tree
from frostline.study import Arm, Recipe

GAIN: dict[str, Any] = {"lanes": (2,), "slowdowns": ((1.1,) * 4,)}
NONE: dict[str, Any] = {"lanes": (2,), "slowdowns": ((1.95,) * 4,)}


def plan(
    *recipes: dict[str, Any],
    decided: dict[str, Decided] | None = None,
    budgets: Budgets = NO_BUDGETS,
    **changes: Any,
) -> Plan:
    costs = CostModel(facts(), rates(**changes))
    arms = [Arm(name=str(i), recipe=Recipe(backbone="net", image_size=32, **r)) for i, r in enumerate(recipes)]
    return build_plan("s", arms, COUNTS, 10, lambda recipe: costs, decided=decided, budgets=budgets)


def late(seed: int, epochs: int = 5) -> dict[str, Any]:
    return {"train_from": "late", "seed": seed, "epochs": epochs}


@pytest.mark.parametrize(
    ("recipes", "changes", "workers"),
    [
        ([late(0), late(1)], GAIN, 2),
        ([late(0), late(1)], NONE, 1),
        ([late(0)], GAIN, 1),
        ([{"train_from": "head", "seed": seed} for seed in range(4)], GAIN, 1),
        ([late(0, 1), late(1, 1)], {**GAIN, "train": (1e-4,) * 4, "forward": (1e-5,) * 4}, 1),
        ([late(seed) for seed in range(8)], {"threads": 4, "lanes": (2, 4), "slowdowns": ((1.5,) * 4, (1.6,) * 4)}, 4),
        ([late(seed) for seed in range(8)], {"threads": 4, "lanes": (2, 4), "slowdowns": ((1.1,) * 4, (3.9,) * 4)}, 2),
    ],
    ids=[
        "gain",
        "no gain",
        "one alone",
        "heads are stacked",
        "not worth a start",
        "more are better",
        "fewer are better",
    ],
)
def test_processes_are_used_where_they_were_measured_to_pay(
    recipes: list[dict[str, Any]], changes: dict[str, Any], workers: int
) -> None:
    made = plan(*recipes, **changes)
    assert made.workers == workers
    assert made.threads == changes.get("threads", 2) // workers
    assert made.to_json()["workers"] == workers


def test_prices_are_those_beside_the_others() -> None:
    one, two = plan(late(0), late(1), **NONE), plan(late(0), late(1), **GAIN)
    assert two.trajectories[0].seconds == pytest.approx(1.1 * one.trajectories[0].seconds)
    training = one.totals.training_seconds
    assert training == pytest.approx(sum(t.seconds for t in one.trajectories))
    assert two.totals.training_seconds == pytest.approx(START_SECONDS + 1.1 * training / 2)
    for made in (one, two):
        passes = sum(pass_.seconds for pass_ in made.passes)
        assert made.totals.seconds == pytest.approx(passes + made.totals.training_seconds + made.totals.test_seconds)
    assert two.arms[0].alone_seconds == pytest.approx(one.arms[0].alone_seconds)
    assert sum(group.seconds for group in two.groups) == pytest.approx(1.1 * training)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_keeps_its_number(workers: int) -> None:
    recipes, changes = [late(0), late(1)], (GAIN if workers == 1 else NONE)
    fresh = plan(*recipes, **changes)
    assert fresh.workers == 3 - workers
    decided = {t.id: Decided(t.cut, t.layout, t.activations, workers) for t in fresh.trajectories}
    assert plan(*recipes, decided=decided, **changes).workers == workers


def test_processes_keep_to_a_memory_budget() -> None:
    free = plan(late(0), late(1), **GAIN)
    peak = free.totals.peak_bytes
    assert peak > plan(late(0), late(1), **NONE).totals.peak_bytes
    assert free.trajectories[0].peak_bytes == peak
    assert plan(late(0), late(1), budgets=Budgets(memory=peak), **GAIN).workers == 2
    assert plan(late(0), late(1), budgets=Budgets(memory=peak - 1), **GAIN).workers == 1
    decided = {t.id: Decided(t.cut, t.layout, t.activations, 2) for t in free.trajectories}
    with pytest.raises(BudgetError, match=r"^training 2 trajectories side by side, as planned when the run began, "):
        plan(late(0), late(1), decided=decided, budgets=Budgets(memory=peak - 1), **GAIN)


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

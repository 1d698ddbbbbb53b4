"""The predicted peak of an accelerator's memory, what is refused for it, and what a plan for one looks like."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.errors import BudgetError
from frostline.plan import Budgets, CostModel, Plan, build_plan, read_budgets
from frostline.plan._device_memory import CONTEXT_BYTES
from frostline.study import Arm, Recipe

HEAD = {"train_from": "head", "epochs": 5}
LATE = {"train_from": "late", "epochs": 5}
EARLY = {"train_from": "early", "epochs": 5}
WIDE = 9_000


def plan(*recipes: dict[str, Any], device: str = "cuda", budget: int | None = None, n_classes: int = 10) -> Plan:
    arms = [
        Arm(name=f"arm{i}", recipe=Recipe(**{"backbone": "net", "image_size": 32, **r})) for i, r in enumerate(recipes)
    ]
    costs = CostModel(facts(), rates(lanes=(2,), slowdowns=((1.1,) * 4,)), device)
    budgets = Budgets(device_memory=budget)
    return build_plan("study", arms, COUNTS, n_classes, lambda recipe: costs, budgets=budgets)


def test_a_cpu_has_no_memory_of_its_own() -> None:
    assert plan(HEAD, EARLY, device="cpu", budget=1).totals.device_peak_bytes == 0


@pytest.mark.parametrize(
    ("smaller", "larger", "least"),
    [
        ({**EARLY, "batch_size": 64}, {**EARLY, "batch_size": 128}, 64 * 3_000_000),
        (LATE, EARLY, 64 * 2_000_000),
        # A million parameters: weights, gradients and two moments.
        ({**LATE, "head": {"hidden": [1000]}}, {**LATE, "head": {"hidden": [1000, 1000]}}, 4 * 4_000_000),
    ],
    ids=["batch size", "train_from", "head"],
)
def test_what_is_larger_needs_more(smaller: dict[str, Any], larger: dict[str, Any], least: int) -> None:
    peaks = [plan(arm).totals.device_peak_bytes for arm in (smaller, larger)]
    assert CONTEXT_BYTES < peaks[0] <= peaks[1] - least


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (
            [EARLY],
            r'"arm0" \(training net from early.*of the device.s memory, .* of 900\.0 MB: use a smaller batch_',
        ),
        ([HEAD], "the feature pass .* of the device's memory, .*: use a smaller image_size, raise --device-memory"),
    ],
)
def test_what_needs_too_much_is_refused(arms: list[dict[str, Any]], message: str) -> None:
    budget = 900_000_000 if arms == [EARLY] else CONTEXT_BYTES
    with pytest.raises(BudgetError, match=message):
        plan(*arms, budget=budget)


def test_the_predicted_peak_is_budget_enough() -> None:
    arms = [EARLY, LATE, HEAD]
    needed = plan(*arms).totals.device_peak_bytes
    assert plan(*arms, budget=needed).totals.device_peak_bytes == needed


def test_heads_are_divided_to_keep_a_budget() -> None:
    heads = [{**HEAD, "seed": seed} for seed in range(10)]
    whole = plan(*heads, n_classes=WIDE).totals.device_peak_bytes
    divided = plan(*heads, n_classes=WIDE, budget=(whole + CONTEXT_BYTES) // 2)
    assert len(divided.groups) > 1
    assert "of the device's memory, more than the budget" in divided.notes[-1]


def test_on_an_accelerator_nothing_is_trained_side_by_side() -> None:
    """One stack after another, and no processes: they would share the one device."""
    arms = [{**LATE, "seed": seed, "batch_size": 1} for seed in range(2)]
    there, here = plan(*arms), plan(*arms, device="cpu")
    assert (there.workers, here.workers) == (1, 2)
    assert there.trajectories[0].seconds < here.trajectories[0].seconds  # a thread less doesn't slow a GPU down


@pytest.mark.parametrize("given", ["2GB", 2_000_000_000])
def test_the_budget_is_read(given: str | int) -> None:
    assert read_budgets(device_memory=given) == Budgets(device_memory=2_000_000_000)
    with pytest.raises(BudgetError, match='device memory budget: "lots" is not a size: give'):
        read_budgets(device_memory="lots")

"""The predicted peak of memory, heads divided to keep a budget, and what is refused; without torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.errors import BudgetError
from frostline.plan import Budgets, CachePolicy, CostModel, Decided, Plan, _memory_budget, build_plan, read_budgets
from frostline.study import Arm, Recipe

HEAD = {"train_from": "head", "epochs": 5}
LATE = {"train_from": "late", "epochs": 5}
EARLY = {"train_from": "early", "epochs": 5}
HEADS = [{**HEAD, "seed": seed} for seed in range(10)]

N_CLASSES = 10
WIDE = 9_000
"""Classes enough that each head of this small network needs much memory, and few enough that heads are stacked."""


def plan(
    *recipes: dict[str, Any],
    memory: int | None = None,
    cache: CachePolicy = "auto",
    decided: dict[str, Decided] | None = None,
    n_classes: int = N_CLASSES,
    parameters: int = 1010,
    val: int = COUNTS["val"],
) -> Plan:
    arms = [
        Arm(name=f"arm{i}", recipe=Recipe(**{"backbone": "net", "image_size": 32, **r})) for i, r in enumerate(recipes)
    ]
    costs = CostModel(replace(facts(), parameters=parameters), rates())
    counts = {**COUNTS, "val": val}
    budgets = Budgets(memory=memory)
    return build_plan("study", arms, counts, n_classes, lambda recipe: costs, cache, decided, budgets=budgets)


def peak(*recipes: dict[str, Any], **given: Any) -> int:
    return plan(*recipes, **given).totals.peak_bytes


@pytest.mark.parametrize(
    ("smaller", "larger", "least"),
    [
        # A batch of 64 more images keeps 3 MB of each at the first stage that is trained, 1 MB at the second.
        ({**EARLY, "batch_size": 64}, {**EARLY, "batch_size": 128}, 64 * 3_000_000),
        ({**LATE, "batch_size": 64}, {**LATE, "batch_size": 128}, 64 * 1_000_000),
        (LATE, EARLY, 64 * 2_000_000),
        # A million parameters: weights, gradients, two moments; all but the gradients once more in the checkpoint.
        (
            {**LATE, "head": {"hidden": [1000]}, "optimizer": "adam"},
            {**LATE, "head": {"hidden": [1000, 1000]}, "optimizer": "adam"},
            7 * 4_000_000,
        ),
        # Plain SGD has no moments.
        (
            {**LATE, "head": {"hidden": [1000, 1000]}, "optimizer": {"name": "sgd", "momentum": 0.0}},
            {**LATE, "head": {"hidden": [1000, 1000]}, "optimizer": "adam"},
            6 * 4_000_000,
        ),
        (
            {**LATE, "head": {"hidden": [1000, 1000]}, "optimizer": {"name": "sgd", "momentum": 0.0}},
            {**LATE, "head": {"hidden": [1000, 1000]}, "optimizer": {"name": "sgd", "momentum": 0.9}},
            3 * 4_000_000,
        ),
    ],
)
@pytest.mark.parametrize("cache", ["always", "never"])
def test_what_is_larger_needs_more(
    smaller: dict[str, Any], larger: dict[str, Any], least: int, cache: CachePolicy
) -> None:
    assert peak(larger, cache=cache) - peak(smaller, cache=cache) >= least


def test_pretrained_weights_stay_in_memory() -> None:
    whole = peak(LATE, parameters=10**8)
    assert whole - peak(LATE, parameters=10**6) == 4 * (10**8 - 10**6)
    # Of several networks as many as are remembered.
    sizes = [{**LATE, "weights": f"{name}.pth"} for name in "abc"]
    assert peak(*sizes, parameters=10**8) - whole == pytest.approx(4 * 10**8, rel=0.01)


def test_the_engine_is_counted_where_it_makes_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored or computed anew; where the whole network runs in batches there is no inference engine to load."""
    asked = [(LATE, "always"), (LATE, "never"), ({**LATE, "frozen_norm": "batch"}, "auto")]
    before = [peak(recipe, cache=cache) for recipe, cache in asked]
    monkeypatch.setattr(_memory_budget, "ENGINE_BYTES", _memory_budget.ENGINE_BYTES + 10**9)
    after = [peak(recipe, cache=cache) for recipe, cache in asked]
    assert [a - b for a, b in zip(after, before, strict=True)] == [10**9, 10**9, 0]


@pytest.mark.parametrize(
    ("settings", "copies"),
    [
        ({}, 1),
        ({"augmentation": "flip", "views": 4}, 4),
        ({"augmentation": "flip", "views": 2, "seed": [0, 1]}, 4),
        ({"seed": [0, 1]}, 1),
    ],
    ids=["plain", "views", "views of two seeds", "two seeds"],
)
def test_the_peak_counts_the_rows_that_are_held(
    settings: dict[str, Any], copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = settings.pop("seed", [0])
    arms = [{**HEAD, **settings, "seed": seed} for seed in seeds]
    monkeypatch.setattr(_memory_budget, "ROWS_KEPT_BYTES", 10**12)
    made = plan(*arms, cache="always")
    monkeypatch.setattr(_memory_budget, "ROWS_KEPT_BYTES", 0)
    without = plan(*arms, cache="always")
    n_val, row_bytes = COUNTS["val"], {cut.name: cut.row_bytes for cut in facts().cuts}["head"]
    n_seeds = len(seeds) if copies > 1 else 1
    held = (copies * COUNTS["train"] + n_seeds * n_val) * row_bytes
    assert made.trajectories[0].peak_bytes - without.trajectories[0].peak_bytes == held


def test_the_peak_of_a_study_is_that_of_its_dearest_part() -> None:
    made = plan(HEAD, LATE, EARLY)
    assert made.totals.peak_bytes == max(t.peak_bytes for t in made.trajectories)
    by_place = {t.train_from: t.peak_bytes for t in made.trajectories}
    assert by_place["head"] < by_place["late"] < by_place["early"]


def test_heads_of_a_group_share_a_peak() -> None:
    made = plan(*HEADS)
    assert len(made.groups) == 1
    assert len({t.peak_bytes for t in made.trajectories}) == 1


@pytest.mark.parametrize("share", [1.0, 0.8, 0.5, 0.3, 0.2, 0.0])
def test_heads_are_divided_to_keep_a_budget(share: float) -> None:
    one, together = peak(HEADS[0], n_classes=WIDE), peak(*HEADS, n_classes=WIDE)
    # One head on each of two threads already needs more than one alone.
    budget = one + int((together - one) * share)
    made = plan(*HEADS, n_classes=WIDE, memory=budget)
    assert made.totals.peak_bytes <= budget
    assert all(group.stacked for group in made.groups)
    sizes = [len(group.trajectories) for group in made.groups]
    assert sum(sizes) == len(HEADS)
    assert max(sizes) - min(sizes) <= 1
    assert (len(sizes) == 1) == (share == 1.0)
    assert len({group.id for group in made.groups}) == len(sizes)
    assert sorted(t for group in made.groups for t in group.trajectories) == sorted(t.id for t in made.trajectories)
    notes = [note for note in made.notes if note.startswith(f"10 heads in {len(sizes)} groups, one after another")]
    assert len(notes) == (len(sizes) > 1)


def test_no_fewer_groups_would_keep_the_budget() -> None:
    one, together = peak(HEADS[0], n_classes=WIDE), peak(*HEADS, n_classes=WIDE)
    budget = (one + together) // 2
    n_groups = len(plan(*HEADS, n_classes=WIDE, memory=budget).groups)
    assert n_groups > 1
    larger = -(-len(HEADS) // (n_groups - 1))
    assert peak(*HEADS[:larger], n_classes=WIDE) > budget


def test_dividing_heads_changes_nothing_but_their_groups() -> None:
    """A head's id, what is stored for it, and where its rows enter don't depend on its company."""
    whole = plan(*HEADS, n_classes=WIDE)
    divided = plan(*HEADS, n_classes=WIDE, memory=peak(HEADS[0], n_classes=WIDE))
    assert len(divided.groups) == len(HEADS)
    for field in ("id", "cut", "mode", "activations", "layout", "epochs", "keep_epochs"):
        assert [getattr(t, field) for t in divided.trajectories] == [getattr(t, field) for t in whole.trajectories]
    assert divided.passes == whole.passes
    assert divided.totals.bytes == whole.totals.bytes


def test_heads_of_two_networks_are_divided_by_themselves() -> None:
    few = [{**HEAD, "weights": "none"}]
    together = plan(*HEADS, *few, n_classes=WIDE)
    assert sorted(len(group.trajectories) for group in together.groups) == [1, 10]
    made = plan(*HEADS, *few, n_classes=WIDE, memory=together.totals.peak_bytes - 1)
    assert sorted(len(group.trajectories) for group in made.groups) == [1, 5, 5]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("again", [None, 1.0])
def test_a_resumed_plan_keeps_its_groups(share: float, again: float | None) -> None:
    one, together = peak(HEADS[0], n_classes=WIDE), peak(*HEADS, n_classes=WIDE)
    first = plan(*HEADS, n_classes=WIDE, memory=one + int((together - one) * share))
    resumed = plan(*HEADS, n_classes=WIDE, memory=None if again is None else together, decided=first.decided)
    assert [(group.id, group.trajectories) for group in resumed.groups] == [
        (group.id, group.trajectories) for group in first.groups
    ]
    assert resumed.totals == first.totals


def test_a_resumed_plan_whose_groups_need_too_much_is_refused() -> None:
    first = plan(*HEADS, n_classes=WIDE)
    message = (
        r"training 10 heads together, as planned when the run began, needs about .* of memory .*, more than the "
        r"budget of .*: use a smaller study, begin anew with --no-resume \(resume=False in Python\), or raise --memory"
    )
    with pytest.raises(BudgetError, match=message):
        plan(*HEADS, n_classes=WIDE, memory=first.totals.peak_bytes - 1, decided=first.decided)


@pytest.mark.parametrize(
    ("arms", "given", "message"),
    [
        (
            [HEAD, {**EARLY, "batch_size": 512}],
            {"memory": 2 * 10**9, "cache": "never"},
            r'^arm "arm1" \(training net from early in batches of 512\) needs about \d\.\d GB of memory \(\d+\.\d MB '
            r"of it for libraries and pretrained weights\), more than the budget of 2\.0 GB: use a smaller batch_size "
            r"or image_size, a later train_from, or raise --memory \(memory= in Python\)$",
        ),
        (
            [HEAD, HEAD],
            {"memory": 2 * 10**9, "n_classes": WIDE, "val": 50_000},
            r'^arm "arm0" needs about \d\.\d GB of memory .*: use a smaller head or batch_size, fewer validation '
            r"images, or raise --memory \(memory= in Python\)$",
        ),
        (
            [LATE],
            {"memory": 1_105_000_000, "cache": "always"},
            r"^the feature pass net 32 px to late needs about 1\.1 GB .*: use a smaller image_size, or raise --memory",
        ),
        # Nothing smaller helps where the libraries alone are too much.
        ([HEAD], {"memory": 10**8}, r"more than the budget of 100\.0 MB: raise --memory \(memory= in Python\)$"),
        (
            [LATE],
            {"memory": 0, "cache": "never"},
            r'^arm "arm0" .* budget of 0 B: raise --memory \(memory= in Python\)$',
        ),
        ([LATE], {"memory": 10**9, "parameters": 10**9}, r"\(5\.\d GB of it .*: raise --memory \(memory= in Python\)$"),
    ],
)
def test_what_needs_too_much_is_refused(arms: list[dict[str, Any]], given: dict[str, Any], message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        plan(*arms, **given)


@pytest.mark.parametrize("arms", [[HEAD], [LATE], [EARLY], HEADS, [HEAD, LATE, EARLY]])
@pytest.mark.parametrize("cache", ["always", "never", "auto"])
def test_the_predicted_peak_is_budget_enough(arms: list[dict[str, Any]], cache: CachePolicy) -> None:
    free = plan(*arms, cache=cache)
    assert plan(*arms, cache=cache, memory=free.totals.peak_bytes) == free
    with pytest.raises(BudgetError, match="more than the budget"):
        plan(*arms[:1], cache=cache, memory=peak(arms[0], cache=cache) - 1)


def test_both_budgets_are_read() -> None:
    assert read_budgets("10GB", "4GB") == Budgets(10**10, 4 * 10**9)
    assert read_budgets(memory=5) == Budgets(None, 5)
    with pytest.raises(BudgetError, match='memory budget: "lots" is not a size: give'):
        read_budgets(memory="lots")

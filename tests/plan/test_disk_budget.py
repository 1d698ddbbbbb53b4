"""What is stored within a disk budget, in which numbers, and what the plan says of the rest; without torch."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.errors import BudgetError
from frostline.plan import NO_BUDGETS, Budgets, CachePolicy, CostModel, Decided, Plan, build_plan, read_budgets
from frostline.study import Arm, Recipe

HEAD = {"train_from": "head", "epochs": 5}
LATE = {"train_from": "late", "epochs": 5}
EARLY = {"train_from": "early", "epochs": 5}

# 1,400 images: 1,000 to train on, 200 to validate, 200 to test, of 400, 8,000 and 40,000 bytes at the three cuts.
ROOM = {"head": 560_000, "late": 11_200_000, "early": 56_000_000}
BESIDE = 200_000
"""More than the store's records of a study this small."""


def plan(
    *recipes: dict[str, Any],
    disk: int | None = None,
    cache: CachePolicy = "auto",
    decided: dict[str, Decided] | None = None,
    **changes: Any,
) -> Plan:
    arms = [Arm(name=f"arm{i}", recipe=Recipe(backbone="net", image_size=32, **r)) for i, r in enumerate(recipes)]
    costs = CostModel(facts(), rates(**changes))
    return build_plan("study", arms, COUNTS, 10, lambda recipe: costs, cache, decided, budgets=Budgets(disk))


def kept(made: Plan) -> dict[str, str]:
    """Return the kind of numbers by frost line of what is stored."""
    return {t.train_from: t.activations for t in made.trajectories if t.mode == "cached"}


@pytest.mark.parametrize(
    ("room", "activations", "stored"),
    [
        (("head", "late", "early"), "float32", {"head": "float32", "late": "float32", "early": "float32"}),
        (("head", "late"), "float32", {"head": "float32", "late": "float32"}),
        (("head",), "float32", {"head": "float32"}),
        ((), "float32", {}),
        (("late",), "float16", {"head": "float16", "late": "float16"}),
        (("head", "late", "early"), "auto", {"head": "float32", "late": "float32", "early": "float32"}),
        # The cuts of one network come out of one pass, so they are halved together.
        (("late",), "auto", {"head": "float16", "late": "float16"}),
        (("head", "late"), "auto", {"head": "float32", "late": "float32"}),
        (("head",), "auto", {"head": "float32"}),
        ((), "auto", {}),
    ],
)
def test_what_fits_is_stored(room: tuple[str, ...], activations: str, stored: dict[str, str]) -> None:
    disk = sum(ROOM[cut] for cut in room) + (BESIDE if room else 0)
    made = plan(*({**arm, "activations": activations} for arm in (HEAD, LATE, EARLY)), disk=disk)
    assert kept(made) == stored
    assert made.totals.bytes <= disk
    assert {p.activations for p in made.passes} == set(stored.values())


@pytest.mark.parametrize("disk", [0, 10**5, 10**6, 3 * 10**6, 10**7, 2 * 10**7, 10**8])
@pytest.mark.parametrize("activations", ["float32", "float16", "auto"])
def test_a_budget_is_kept(disk: int, activations: str) -> None:
    """Whatever is asked: cuts of two networks, views of several seeds, phases, explicit numbers beside chosen ones."""
    seeds = [{**LATE, "augmentation": "flip", "views": 2, "seed": seed, "activations": activations} for seed in (0, 1)]
    phases = {"phases": [HEAD, LATE], "weights": "none", "activations": activations}
    made = plan(HEAD, {**LATE, "activations": activations}, *seeds, phases, {**EARLY, "batch_size": 8}, disk=disk)
    assert made.totals.bytes <= disk


@pytest.mark.parametrize("disk", [10**6, 6 * 10**6, 10**7, 3 * 10**7, None])
@pytest.mark.parametrize("changes", [{"prefix": 1.0}, {"prefix": 1e-9}, {"store": 1e3}, {"train": (9.0,) * 4}])
def test_no_clock_decides_which_rows_are_halved(disk: int | None, changes: dict[str, Any]) -> None:
    """Rows that are computed anew are rounded like those that are stored: measured rates decide between these alone."""
    arms = [{**arm, "activations": "auto"} for arm in (HEAD, LATE, EARLY, {**LATE, "weights": "none"})]
    before, after = plan(*arms, disk=disk), plan(*arms, disk=disk, **changes)
    assert [t.activations for t in before.trajectories] == [t.activations for t in after.trajectories]


def test_the_test_images_of_the_chosen_arm_are_counted() -> None:
    made = plan(HEAD)
    assert made.totals.bytes == ROOM["head"]
    assert sum(p.bytes for p in made.passes) == ROOM["head"] - 200 * 400
    # One recipe is chosen: of two networks the larger rows count.
    both = plan(HEAD, {**LATE, "weights": "none"})
    assert both.totals.bytes == 1200 * 400 + 1400 * 8_000
    assert not kept(plan(HEAD, disk=1300 * 400))


def test_what_saves_most_for_a_byte_comes_first() -> None:
    """Rows at the head are small: at the cut before it, twenty times as large, they save much less for a byte."""
    assert kept(plan(LATE, HEAD, disk=ROOM["late"])) == {"head": "float32"}
    many = [{**LATE, "seed": seed} for seed in range(60)]
    assert kept(plan(*many, {**HEAD, "epochs": 1}, disk=ROOM["late"] + 40_000)) == {"late": "float32"}


@pytest.mark.parametrize(
    ("arms", "disk", "why"),
    [
        ([LATE], 10**6, r"storing takes 11\.2 MB, more than the disk budget of 1\.0 MB$"),
        (
            [LATE],
            6 * 10**6,
            r'11\.2 MB, more than the disk budget of 6\.0 MB; activations = "auto" or "float16" would make it fit$',
        ),
        ([HEAD, LATE], 10**6, r"storing takes 11\.2 MB, more than the 40\d\.\d kB left of the disk budget of 1\.0 MB$"),
        (
            [{**LATE, "activations": "auto"}],
            10**6,
            r"takes 5\.6 MB even in float16, more than the disk budget of 1\.0 MB$",
        ),
    ],
)
def test_the_plan_says_what_does_not_fit(arms: list[dict[str, Any]], disk: int, why: str) -> None:
    made = plan(*arms, disk=disk)
    late = made.trajectories[-1]
    assert late.mode == "recomputed"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(late.why)
    assert f"recomputed: {late.why}" in made.arms[-1].notes
    assert f"{late.id}: {late.why}" in made.notes


def test_the_plan_says_where_float16_was_chosen() -> None:
    made = plan({**LATE, "activations": "auto"}, disk=6 * 10**6)
    assert made.trajectories[0].why.endswith("; in float16, as float32 is more than the disk budget of 6.0 MB")
    assert "float16" in made.passes[0].name


def test_room_is_not_wasted_on_what_does_not_pay_alone() -> None:
    """The head's rows paid only as a by-product of a pass that doesn't fit."""
    arms = [{**LATE, "epochs": 40}, {**HEAD, "epochs": 1}]
    assert kept(plan(*arms, setup=20.0)) == {"late": "float32", "head": "float32"}
    made = plan(*arms, setup=20.0, disk=10**6)
    assert kept(made) == {}
    assert "recomputing is cheaper" in made.trajectories[1].why


@pytest.mark.parametrize(
    ("activations", "disk", "message"),
    [
        (
            "float32",
            6 * 10**6,
            r'cache "always" would store 11\.\d MB of activations, more than the disk budget of 6\.0 MB: raise --disk '
            r'\(disk= in Python\), halve what is stored \(activations = "float16", or "auto"\), or let what '
            r'doesn\'t fit be recomputed with --cache auto \(cache="auto" in Python\)$',
        ),
        ("float16", 10**6, r"would store 5\.\d MB .* of 1\.0 MB: raise --disk \(disk= in Python\), or let .*"),
        ("auto", 10**6, r"would store 5\.\d MB .* of 1\.0 MB: raise --disk \(disk= in Python\), or let .*"),
    ],
)
def test_to_store_always_is_refused_where_it_does_not_fit(activations: str, disk: int, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        plan({**LATE, "activations": activations}, disk=disk, cache="always")


def test_to_store_always_halves_what_may_be_halved() -> None:
    made = plan({**LATE, "activations": "auto"}, disk=6 * 10**6, cache="always")
    assert kept(made) == {"late": "float16"}
    assert kept(plan({**LATE, "activations": "auto"}, cache="always")) == {"late": "float32"}
    assert kept(plan(LATE, disk=0, cache="never")) == {}


def test_without_a_budget_auto_is_float32_and_shares_its_pass() -> None:
    exact, auto = {**HEAD, "seed": 1}, {**HEAD, "activations": "auto"}
    made = plan(exact, auto)
    assert kept(made) == {"head": "float32"}
    assert len(made.passes) == 1
    assert made.totals.bytes == ROOM["head"]


def test_what_was_decided_is_kept_whatever_the_budget() -> None:
    arm = {**LATE, "activations": "auto"}
    first = plan(arm, disk=6 * 10**6)
    decided = {t.id: Decided(t.mode, t.activations) for t in first.trajectories}
    for disk in (0, None):
        again = plan(arm, disk=disk, decided=decided)
        assert [(t.id, t.cut, t.activations) for t in again.trajectories] == [
            (t.id, t.cut, t.activations) for t in first.trajectories
        ]


@pytest.mark.parametrize(("activations", "kind"), [("float32", "float32"), ("float16", "float16")])
def test_a_plan_from_before_budgets_is_as_the_recipe_says(activations: str, kind: str) -> None:
    arm = {**LATE, "activations": activations}
    (first,) = plan(arm).trajectories
    (again,) = plan(arm, decided={first.id: Decided("cached")}).trajectories
    assert (again.id, again.mode, again.activations) == (first.id, "cached", kind)


def test_ids_depend_on_the_recipe_alone() -> None:
    arm = {**LATE, "activations": "auto"}
    assert len({plan(arm, disk=disk).trajectories[0].id for disk in (None, 0, 6 * 10**6)}) == 1


@pytest.mark.parametrize(
    ("given", "n_bytes"), [(None, None), (0, 0), (5, 5), ("10GB", 10**10), ("1.5 GiB", 3 * 2**29), ("7", 7)]
)
def test_budgets_are_read(given: int | str | None, n_bytes: int | None) -> None:
    assert read_budgets(given) == Budgets(n_bytes)
    assert read_budgets() == NO_BUDGETS


@pytest.mark.parametrize("given", ["much", "-1GB", "", -1, True, 1.5])
def test_what_is_no_size_is_refused(given: Any) -> None:
    with pytest.raises(BudgetError, match=r"disk budget: .* is not a size: give"):
        read_budgets(given)

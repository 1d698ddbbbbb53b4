"""What is shared, what isn't, and what the sharing is predicted to save; with made-up networks, without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.plan.networks import COUNTS, facts, rates

from frostline.plan import CostModel, Decided, EpochWork, Plan, build_plan
from frostline.plan._costs import BOOKKEEPING_SECONDS
from frostline.study import Arm, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.models.facts import BackboneFacts
    from frostline.plan import Source


def plan(
    *recipes: dict[str, Any],
    network: BackboneFacts | None = None,
    share_missing: Callable[[Source, str], float] | None = None,
    **changes: Any,
) -> Plan:
    arms = [Arm(name=f"arm{i}", recipe=Recipe(backbone="net", image_size=32, **r)) for i, r in enumerate(recipes)]
    costs = CostModel(network or facts(), rates(**changes))

    def count(source: Source, cut: str) -> int:
        assert share_missing is not None
        n_images: int = {**COUNTS, "test": 10}[source.split] * source.views
        return round(n_images * share_missing(source, cut))

    missing = count if share_missing else None
    return build_plan("study", arms, COUNTS, 10, lambda recipe: costs, missing=missing)


TIME = r"(<?\d\.\d\d s|\d\d\.\d s|\d+ min \d\d s|\d+ h \d\d min|[\d,]+ days? \d+ h)"


def head(epochs: int, **more: Any) -> dict[str, Any]:
    return {"train_from": "head", "epochs": epochs, **more}


def test_epochs_of_one_recipe_are_one_trajectory() -> None:
    made = plan(head(2), head(5), head(3))
    assert len(made.trajectories) == 1
    (trajectory,) = made.trajectories
    assert (trajectory.epochs, trajectory.keep_epochs) == (5, (2, 3, 5))
    assert trajectory.serves == ("arm0", "arm1", "arm2")
    assert (made.totals.trained_epochs, made.totals.asked_epochs) == (5, 10)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"batch_size": 32},
        {"optimizer": {"name": "adam", "lr": 0.1}},
        {"schedule": "step"},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"head": {"hidden": [8]}},
        {"tail_norm": "stored"},
        {"frozen_norm": "batch"},
        {"augmentation": "flip"},
        {"activations": "float16"},
        {"train_from": "late"},
    ],
)
def test_what_decides_the_numbers_is_not_shared(change: dict[str, Any]) -> None:
    assert len(plan(head(2), {**head(2), **change}).trajectories) == 2


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_a_schedule_with_a_horizon_is_planned_alone_and_says_so(schedule: str) -> None:
    made = plan(head(2, schedule=schedule), head(3, schedule=schedule))
    assert len(made.trajectories) == 2
    assert all(any("depends on the horizon" in note for note in arm.notes) for arm in made.arms)


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_a_schedule_without_a_horizon_is_shared(schedule: str) -> None:
    assert len(plan(head(2, schedule=schedule), head(3, schedule=schedule)).trajectories) == 1


def test_arms_that_begin_with_the_same_phase_share_it() -> None:
    first = {"train_from": "head", "epochs": 1}
    made = plan(
        {"phases": [first, {"train_from": "late", "epochs": 2}]},
        {"phases": [first, {"train_from": "late", "epochs": 4}]},
        {"phases": [first, {"train_from": "early", "epochs": 2}]},
        head(3),
    )
    assert [(t.train_from, t.epochs, t.first_epoch) for t in made.trajectories] == [
        ("head", 3, 0),
        ("late", 4, 1),
        ("early", 2, 1),
    ]
    root = made.trajectories[0]
    assert root.keep_epochs == (1, 3)
    assert all(t.parent == root.id and t.parent_epochs == 1 for t in made.trajectories[1:])
    assert made.arms[1].path == ((root.id, 1), (made.trajectories[1].id, 4))


def test_a_branch_depends_on_where_it_leaves() -> None:
    later = {"train_from": "late", "epochs": 2}
    made = plan(*({"phases": [{"train_from": "head", "epochs": n}, later]} for n in (1, 2)))
    assert [t.parent_epochs for t in made.trajectories if t.parent] == [1, 2]


def test_refreezing_does_not_use_activations_of_the_pretrained_network() -> None:
    made = plan({"phases": [{"train_from": "late", "epochs": 1}, {"train_from": "head", "epochs": 1}]})
    assert [(t.train_from, t.cut) for t in made.trajectories] == [("late", "late"), ("head", "late")]


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (head(2, frozen_norm="batch"), "batch's statistics"),
        ({"train_from": "all", "epochs": 1}, "nothing is frozen"),
        (head(2, augmentation="flip", views="fresh"), "fresh in each epoch"),
    ],
)
def test_what_may_never_be_cached(recipe: dict[str, Any], why: str) -> None:
    made = plan(recipe)
    (trajectory,) = made.trajectories
    # The engine takes new views to the cut, too.
    cut = "head" if "fresh" in why else "input"
    assert (trajectory.mode, trajectory.cut) == ("recomputed", cut)
    assert why in trajectory.why
    assert any(why in note for note in made.arms[0].notes)
    assert made.passes == ()


def test_a_network_that_cannot_be_cut_is_trained_uncut_and_says_so() -> None:
    made = plan(head(2), network=facts(cuttable=False))
    assert made.trajectories[0].mode == "uncut"
    assert "its layers depend on its input" in made.trajectories[0].why


def test_stored_views_are_cached_as_often_as_there_are_views() -> None:
    made = plan(head(8, augmentation="crop-flip", views=4, seed=3))
    train, val = sorted(made.passes, key=lambda p: -p.views)
    assert (train.views, train.view_seed, train.splits) == (4, 3, {"train": 1000})
    assert (val.views, val.view_seed, val.splits) == (1, None, {"val": 200})
    assert train.bytes == 4 * 1000 * 400


def test_one_pass_serves_every_cut() -> None:
    made = plan(head(5), {"train_from": "late", "epochs": 5}, head(5, seed=1))
    (only,) = made.passes
    assert (only.cuts, only.splits, only.arms) == (("late", "head"), {"train": 1000, "val": 200}, 3)
    assert only.bytes == 1200 * (8_000 + 400)


def test_float16_halves_the_bytes() -> None:
    assert plan(head(2, activations="float16")).totals.bytes * 2 == plan(head(2)).totals.bytes


@pytest.mark.parametrize(("epochs", "mode"), [(1, "recomputed"), (40, "cached")])
def test_the_cheaper_of_stored_and_recomputed_is_chosen(epochs: int, mode: str) -> None:
    # A disk so slow that one epoch of recomputing beats a pass, and forty don't.
    assert plan(head(epochs), store=50e3).trajectories[0].mode == mode


def test_trajectories_that_share_a_pass_are_chosen_for_together() -> None:
    """One of them alone doesn't pay for a slow disk; six do, whose memory keeps what it writes."""
    late = {"train_from": "late", "epochs": 1}
    changes: dict[str, Any] = {"store": 1e6, "prefix": 50e-3}
    alone, company = plan(late, **changes), plan(*({**late, "seed": seed} for seed in range(6)), **changes)
    assert [t.mode for t in alone.trajectories] == ["recomputed"]
    assert [t.mode for t in company.trajectories] == ["cached"] * 6


def test_a_cut_that_does_not_pay_is_left_out_of_the_pass() -> None:
    # The stem costs next to nothing, and its maps are larger than the images.
    made = plan(head(40), {"train_from": "early", "epochs": 1}, store=5e6, decode=0.0)
    assert [(t.train_from, t.mode) for t in made.trajectories] == [("head", "cached"), ("early", "recomputed")]
    assert [p.cuts for p in made.passes] == [("head",)]


@pytest.mark.parametrize("read_bytes_per_second", [1e1, 1e3, 1e6, 1e12])
@pytest.mark.parametrize("pass_seconds_per_image", [1e-9, 5e-3, 5.0])
@pytest.mark.parametrize("epochs", [1, 10_000])
def test_why_is_said_in_numbers_that_a_person_reads(
    read_bytes_per_second: float, pass_seconds_per_image: float, epochs: int
) -> None:
    made = plan(head(epochs), store=read_bytes_per_second, prefix=pass_seconds_per_image)
    (why,) = (trajectory.why for trajectory in made.trajectories)
    # Nothing saves less than nothing, and no number has an exponent, or hundreds of seconds.
    assert re.fullmatch(
        r"(recomputing is cheaper: )?"
        r"(stored activations save (TIME) of training|training on stored activations takes (TIME) longer); "
        r"storing them (takes|would take) (TIME)".replace("TIME", TIME),
        why,
    )


def test_adding_an_arm_that_differs_only_in_epochs_costs_nothing() -> None:
    alone, company = plan(head(5)), plan(head(5), head(2), head(3))
    assert company.totals.seconds == alone.totals.seconds
    assert [arm.marginal_seconds for arm in company.arms[1:]] == [0, 0]
    assert company.arms[0].alone_seconds == pytest.approx(alone.totals.seconds - alone.totals.test_seconds)


def test_judging_counts_once() -> None:
    costs = CostModel(facts(), rates())
    images, late, last = costs.facts.cuts[0], *costs.facts.cuts[2:]
    n = COUNTS["test"]
    cached = plan(head(5), *({"train_from": "late", "epochs": 5, "seed": seed} for seed in range(3))).totals
    # The way of the validation images: to both cuts, by what was compiled already; every seed is evaluated.
    to_both = costs.pass_seconds(last, n, n * 8_400)
    assert cached.test_pass_seconds == pytest.approx(to_both)
    assert cached.test_seconds == pytest.approx(to_both + 3 * costs.evaluation_seconds(n, late))
    recomputed = plan(head(5, frozen_norm="batch")).totals
    assert recomputed.test_pass_seconds == 0
    assert recomputed.test_seconds == pytest.approx(costs.evaluation_seconds(n, images))
    assert recomputed.seconds == pytest.approx(recomputed.alone_seconds)


def test_marginal_and_alone_costs_by_hand() -> None:
    costs = CostModel(facts(), rates())
    made = plan(head(5), {"train_from": "late", "epochs": 5})
    late, last = costs.facts.cuts[2:]
    epoch = BOOKKEEPING_SECONDS + costs.stack_epoch_seconds(EpochWork(last, 1000, 200, 64, 1010), 1)
    to_late = costs.pass_seconds(late, 1200, 1200 * 8_000)
    to_both = costs.pass_seconds(last, 1200, 1200 * 8_400)
    assert made.arms[0].marginal_seconds == pytest.approx(5 * epoch + to_both - to_late)
    assert made.arms[0].alone_seconds == pytest.approx(5 * epoch + costs.pass_seconds(last, 1200, 1200 * 400))
    assert made.totals.seconds == pytest.approx(
        sum(p.seconds for p in made.passes) + sum(t.seconds for t in made.trajectories) + made.totals.test_seconds
    )


def test_alone_an_arm_for_which_storing_does_not_pay_would_recompute() -> None:
    company = plan(*(head(1, seed=seed) for seed in range(40)), setup=1000.0)
    alone = plan(head(1), setup=1000.0)
    assert company.trajectories[0].mode == "cached" or company.totals.seconds == company.totals.alone_seconds
    assert company.arms[0].alone_seconds == pytest.approx(alone.totals.seconds - alone.totals.test_seconds)


def test_ids_do_not_depend_on_company_or_order() -> None:
    recipes = [head(2), {"train_from": "late", "epochs": 3}, head(4, seed=1)]
    alone = {plan(r).trajectories[0].id for r in recipes}
    assert alone == {t.id for t in plan(*recipes).trajectories} == {t.id for t in plan(*reversed(recipes)).trajectories}


def test_a_resumed_plan_keeps_what_was_decided() -> None:
    recipe = Recipe(backbone="net", image_size=32, train_from="head", epochs=2)
    arms, costs = [Arm(name="a", recipe=recipe)], CostModel(facts(), rates())
    (first,) = build_plan("s", arms, COUNTS, 10, lambda r: costs).trajectories
    assert first.cut == "head"
    (again,) = build_plan(
        "s", arms, COUNTS, 10, lambda r: costs, decided={first.id: Decided("recomputed")}
    ).trajectories
    assert (first.mode, again.id, again.mode, again.cut) == ("cached", first.id, "recomputed", "head")


@pytest.mark.parametrize("changes", [{"prefix": 1.0}, {"train": (9.0,) * 4}, {"store": 1.0}, {"setup": 99.0}])
def test_measured_rates_change_nothing_that_decides_a_bit(changes: dict[str, Any]) -> None:
    recipes = [head(2), {"train_from": "late", "epochs": 1}, {"train_from": "all", "epochs": 1}]
    before, after = plan(*recipes), plan(*recipes, **changes)
    for one, other in zip(before.trajectories, after.trajectories, strict=True):
        assert (one.id, one.cut, one.layout, one.threads) == (other.id, other.cut, other.layout, other.threads)
    assert [group.stacked for group in before.groups] == [group.stacked for group in after.groups]


def test_measured_seconds_replace_predictions() -> None:
    recipe = Recipe(backbone="net", image_size=32, train_from="head", epochs=2)
    arms, costs = [Arm(name="a", recipe=recipe)], CostModel(facts(), rates())
    made = build_plan("s", arms, COUNTS, 10, lambda r: costs)
    measured = {made.trajectories[0].id: 5.0, made.passes[0].name: 7.0}
    again = build_plan("s", arms, COUNTS, 10, lambda r: costs, measured=measured)
    assert again.arms[0].alone_seconds == pytest.approx(2 * 5 + 7)


def test_trained_parameters_count_the_new_head() -> None:
    assert plan(head(1)).trajectories[0].trained_parameters == 101 * 10
    assert plan(head(1, head={"hidden": [20]})).trajectories[0].trained_parameters == 101 * 20 + 21 * 10
    assert plan({"train_from": "late", "epochs": 9}).trajectories[0].trained_parameters == 900 + 101 * 10


def test_the_plan_is_plain_data() -> None:
    made = plan(head(2), head(3))
    assert json.loads(json.dumps(made.to_json()))["n_arms"] == 2


def test_no_torch_is_loaded() -> None:
    code = "import sys, frostline, frostline.plan, frostline.study; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_large_head_and_its_optimizer_cost_what_they_weigh() -> None:
    # Too large for a stack, both of them.
    small, large = (
        plan(head(1, head={"hidden": [width]}), head_parameter=1e-9, parameter_step=1e-9).trajectories[0]
        for width in (20_000, 30_000)
    )
    more = large.trained_parameters - small.trained_parameters
    # 1000 images trained, 200 evaluated for a third of that, 16 steps of the optimizer.
    assert large.seconds - small.seconds == pytest.approx(more * 1e-9 * (1000 + 200 / 3 + 16))


def sweep(n_rates: int, n_seeds: int) -> list[dict[str, Any]]:
    """Return head-only recipes that differ in learning rate and seed."""
    rates = [1e-4 * (i + 1) for i in range(n_rates)]
    return [head(3, optimizer={"name": "sgd", "lr": lr}, seed=seed) for lr in rates for seed in range(n_seeds)]


def test_stored_rows_cost_nothing_more_and_are_used_where_storing_them_would_not_pay() -> None:
    one: dict[str, Any] = head(1)
    slow: dict[str, Any] = {"store": 50e3}
    anew = plan(one, **slow)
    assert anew.trajectories[0].mode == "recomputed"
    stored = plan(one, share_missing=lambda source, cut: cut != "head", **slow)
    (trajectory,), (pass_,) = stored.trajectories, stored.passes
    assert (trajectory.mode, trajectory.cut) == ("cached", "head")
    assert "they are stored already" in trajectory.why
    assert pass_.seconds == stored.totals.test_pass_seconds == 0
    assert stored.totals.seconds < anew.totals.seconds
    assert stored.arms[0].alone_seconds == pytest.approx(anew.arms[0].alone_seconds)
    # Another cut, split or kind of numbers is no help.
    for absent in (
        lambda source, cut: cut != "late",
        lambda source, cut: source.split != "val",
        lambda source, cut: source.activations != "float16",
    ):
        assert plan(one, share_missing=absent, **slow).trajectories[0].mode == "recomputed"


def test_a_pass_takes_what_its_missing_images_take() -> None:
    whole, tenth = plan(head(9)).passes[0], plan(head(9), share_missing=lambda source, cut: 0.1).passes[0]
    setup = rates().setup
    assert tenth.seconds - setup == pytest.approx((whole.seconds - setup) / 10)
    assert tenth.bytes == whole.bytes


def test_a_pass_takes_what_its_missing_cuts_take() -> None:
    recipes = head(9), {"train_from": "late", "epochs": 9}
    (rest,) = plan(*recipes, share_missing=lambda source, cut: cut != "head").passes
    (late,) = plan(recipes[1]).passes
    assert rest.cuts == ("late", "head")
    assert rest.seconds == pytest.approx(late.seconds)
    assert rest.bytes > late.bytes


def test_heads_on_the_same_activations_are_one_group() -> None:
    made = plan(*sweep(4, 2), {"train_from": "late", "epochs": 2})
    stacked, alone = made.groups
    assert stacked.stacked
    assert not alone.stacked
    assert len(stacked.trajectories) == 8
    assert stacked.seconds + alone.seconds == pytest.approx(sum(t.seconds for t in made.trajectories))


def test_what_is_not_a_small_head_on_rows_of_the_pretrained_network_is_not_stacked() -> None:
    gradual = {"phases": [{"train_from": "head", "epochs": 1}, {"train_from": "head", "epochs": 1, "optimizer": "sgd"}]}
    fresh = head(1, augmentation="flip", views="fresh")
    made = plan(gradual, fresh, head(1, head={"hidden": [20_000]}))
    assert [(group.stacked, len(group.trajectories)) for group in made.groups] == [(True, 2), (False, 1), (False, 1)]


def test_another_head_costs_little_beside_many() -> None:
    """Beside 64 heads: less than a hundredth of what the first one costs."""
    first, many = plan(*sweep(1, 1)), plan(*sweep(65, 1))
    assert many.arms[-1].marginal_seconds < 0.01 * first.totals.seconds


def test_stacked_heads_run_side_by_side() -> None:
    costs = CostModel(facts(), rates())
    work = EpochWork(costs.facts.cuts[-1], 1000, 200, 64, 1010)
    one, two = (plan(*sweep(4, 2), threads=threads).groups[0].seconds for threads in (1, 2))
    # Both seeds are one stack on one thread; on two threads each is one.
    assert one == pytest.approx(3 * (BOOKKEEPING_SECONDS + costs.stack_epoch_seconds(work, 8, 2)))
    assert two == pytest.approx(3 * (BOOKKEEPING_SECONDS + costs.stack_epoch_seconds(work, 4)))


def test_compiling_a_prefix_is_counted_once_a_pass() -> None:
    recipes = head(9), {"train_from": "late", "epochs": 9}
    assert plan(*recipes, setup=4.0).totals.seconds - plan(*recipes).totals.seconds == pytest.approx(4.0)


def test_passes_of_other_weights_have_other_names() -> None:
    made = plan(head(2), head(2, weights="none"))
    assert len({p.name for p in made.passes}) == len(made.passes) == 2


def test_compiling_is_counted_where_it_is_still_to_be_done() -> None:
    """A prefix whose training rows are stored may have to be compiled yet: for the rest of them, or for the test."""
    recipes = head(9), {"train_from": "late", "epochs": 9}

    def added(rows_stored: Callable[[Source, str], bool]) -> tuple[float, float]:
        def share(source: Source, cut: str) -> float:
            return 0.0 if rows_stored(source, cut) else 1.0

        slow, fast = (plan(*recipes, share_missing=share, setup=setup).totals for setup in (4.0, 0.0))
        return slow.seconds - fast.seconds, slow.test_pass_seconds - fast.test_pass_seconds

    assert added(lambda source, cut: False) == pytest.approx((4.0, 0.0))
    assert added(lambda source, cut: source.split == "train") == pytest.approx((4.0, 0.0))
    assert added(lambda source, cut: source.split != "test") == pytest.approx((4.0, 4.0))
    assert added(lambda source, cut: True) == pytest.approx((0.0, 0.0))
    # Rows of both cuts are missing for some images, of one of them for others: two prefixes.
    assert added(lambda source, cut: source.split == "train" and cut == "head") == pytest.approx((8.0, 0.0))


@pytest.mark.parametrize(
    ("compiled", "seconds"),
    [
        (("default", None, ("late", "head")), 0.0),
        (("default", None, ("head",)), 4.0),
        (("none", None, ("late", "head")), 4.0),
    ],
)
def test_what_was_compiled_to_be_measured_is_used_again(
    compiled: tuple[str, str | None, tuple[str, ...]], seconds: float
) -> None:
    recipes = [
        Recipe(backbone="net", image_size=32, train_from=start, epochs=9, seed=seed)
        for start in ("late", "head")
        for seed in (0, 1)
    ]
    arms = [Arm(name=f"arm{i}", recipe=recipe) for i, recipe in enumerate(recipes)]
    costs = [CostModel(facts(), rates(setup=setup), compiled=frozenset({compiled})) for setup in (4.0, 0.0)]
    slow, fast = (build_plan("s", arms, COUNTS, 10, dict.fromkeys(recipes, own).__getitem__) for own in costs)
    assert slow.totals.seconds - fast.totals.seconds == pytest.approx(seconds)
    # An arm by itself would have to compile it.
    assert slow.arms[0].alone_seconds - fast.arms[0].alone_seconds == pytest.approx(4.0)


def test_views_of_several_seeds_go_through_one_compiled_prefix() -> None:
    recipes = [head(30, seed=seed, augmentation="flip", views=2) for seed in (0, 1)]
    slow, fast = (plan(*recipes, setup=setup) for setup in (4.0, 0.0))
    assert [t.mode for t in slow.trajectories] == ["cached", "cached"]
    assert slow.totals.seconds - fast.totals.seconds == pytest.approx(4.0)


def test_the_plain_loop_runs_frozen_stages_on_all_threads() -> None:
    """And what it trains on as many as a shared run does; from the images, that is everything."""
    costs = CostModel(facts(), rates(threads=4, lanes=(2, 4), slowdowns=((2.0,) * 4, (3.0,) * 4)))
    images, _, late, _ = costs.facts.cuts
    work = EpochWork(late, 1000, 200, 64, 1010)
    assert costs.threads(work) == 4
    small = EpochWork(late, 1000, 200, 2, 1010)
    assert costs.threads(small) == 1
    steps = {64: 16 * 1e-4, 2: 500 * 1e-4}
    frozen, trained, evaluated, decoding = 1200 * 5e-3, 1000 * 15e-3, 200 * 5e-3, 1200 * 1e-4
    assert costs.plain_epoch_seconds(work, late) == pytest.approx(frozen + decoding + trained + evaluated + steps[64])
    slower = 3 * (trained + evaluated + steps[2])
    assert costs.plain_epoch_seconds(small, late) == pytest.approx(frozen + decoding + slower)
    slower += 3 * frozen
    assert costs.plain_epoch_seconds(small, images) == pytest.approx(decoding + slower)


@pytest.mark.parametrize(("doubt", "doubts"), [("", ()), ("the machine was busy", ("the machine was busy",))])
def test_doubts_about_the_rates_are_in_the_plan_once(doubt: str, doubts: tuple[str, ...]) -> None:
    made = plan(head(2), head(3, seed=1), doubt=doubt)
    assert made.doubts == doubts
    assert made.to_json()["doubts"] == list(doubts)

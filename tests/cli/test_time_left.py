from __future__ import annotations

from typing import Any

import pytest

from frostline.cli._time_left import TimeLeft

PLAN: dict[str, Any] = {
    "passes": [{"name": "p", "seconds": 60.0}],
    "trajectories": [{"id": "a", "seconds": 30.0}, {"id": "b", "seconds": 10.0}],
}
PASS, A, B = ("pass", "p"), ("trajectory", "a"), ("trajectory", "b")


def test_the_prediction_counts_until_the_clock_knows_better() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    assert time_left.fraction == 0.0
    assert time_left.seconds_left(0.0) == 100.0
    time_left.advance(PASS, 0.5, 60.0)
    assert time_left.fraction == pytest.approx(0.3)
    # 30 predicted seconds took 60: the other 70 will take 140.
    assert time_left.seconds_left(60.0) == pytest.approx(140.0)
    for part in (PASS, A, B):
        time_left.advance(part, 1.0, 200.0)
    assert time_left.fraction == pytest.approx(1.0)
    assert time_left.seconds_left(200.0) == pytest.approx(0.0)


def test_time_goes_on_between_two_signs_of_life() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    assert time_left.seconds_left(5.0) == pytest.approx(95.0)
    time_left.advance(PASS, 0.5, 60.0)
    assert time_left.seconds_left(90.0) == pytest.approx(110.0)


@pytest.mark.parametrize(
    ("done", "at", "elapsed", "expected"),
    [
        # Compiling that was to take no time, within a pass of 60 s: nothing is promised from then on.
        ([], 0.0, 59.0, 41.0),
        ([], 0.0, 61.0, None),
        ([], 0.0, 600.0, None),
        # What the pass took is what the rest is scaled by: half of it should have taken 30 s, and took 60.
        ([(PASS, 0.5)], 60.0, 119.0, 81.0),
        ([(PASS, 0.5)], 60.0, 121.0, None),
        # After it the first trajectory is next, at the pace of the pass.
        ([(PASS, 1.0)], 120.0, 179.0, 21.0),
        ([(PASS, 1.0)], 120.0, 181.0, None),
        # The last part doesn't end in a promise of a second.
        ([(PASS, 1.0), (A, 1.0), (B, 0.9)], 99.0, 99.5, 0.5),
        ([(PASS, 1.0), (A, 1.0), (B, 0.9)], 99.0, 100.5, None),
        ([(PASS, 1.0), (A, 1.0), (B, 1.0)], 100.0, 130.0, 0.0),
    ],
)
def test_nothing_is_promised_while_a_part_takes_longer_than_predicted(
    done: list[tuple[tuple[str, str], float]], at: float, elapsed: float, expected: float | None
) -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    for part, fraction in done:
        time_left.advance(part, fraction, at)
    assert time_left.seconds_left(elapsed) == pytest.approx(expected)


def test_a_part_that_took_longer_is_what_the_rest_is_scaled_by() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    assert time_left.seconds_left(170.0) is None
    time_left.advance(PASS, 1.0, 180.0)
    assert time_left.seconds_left(180.0) == pytest.approx(120.0)


def test_what_was_read_back_says_nothing_of_the_pace() -> None:
    time_left = TimeLeft(PLAN, 2, 40.0)
    time_left.advance(PASS, 1.0, 0.0, free=True)
    assert time_left.fraction == pytest.approx(0.6)
    assert time_left.seconds_left(1.0) == pytest.approx(39.0)
    time_left.advance(A, 0.5, 15.0)
    assert time_left.seconds_left(15.0) == pytest.approx(25.0)


@pytest.mark.parametrize(("totals", "fraction"), [({}, 1.0), ({"test_pass_seconds": 15.0}, 0.92)])
def test_the_pass_over_the_test_images_is_expected(totals: dict[str, float], fraction: float) -> None:
    """What judging takes besides is evaluating, which tells nothing."""
    time_left = TimeLeft({**PLAN, "totals": {"test_seconds": 25.0, "training_seconds": 40.0, **totals}}, 2, 125.0)
    for part in (PASS, A, B):
        time_left.advance(part, 1.0, 100.0)
    assert time_left.fraction == pytest.approx(0.8)
    time_left.advance(("pass", "p, test"), 1.0, 125.0)
    assert time_left.fraction == pytest.approx(fraction)


def test_training_side_by_side_takes_less_than_one_after_the_other() -> None:
    time_left = TimeLeft({**PLAN, "totals": {"test_seconds": 0.0, "training_seconds": 30.0}}, 2, 90.0)
    assert time_left.seconds_left(0.0) == pytest.approx(90.0)
    time_left.advance(PASS, 1.0, 60.0)
    assert time_left.seconds_left(60.0) == pytest.approx(30.0)
    time_left.advance(A, 1.0, 82.5)
    assert time_left.seconds_left(82.5) == pytest.approx(7.5)


def test_heads_that_are_trained_together_are_one_part() -> None:
    """The first of them tells the steps of all; the others only that they have ended."""
    heads = [{"id": str(i), "seconds": 10.0} for i in range(4)]
    plan = {"trajectories": heads, "groups": [{"id": "heads-0", "stacked": True, "trajectories": list("0123")}]}
    time_left = TimeLeft(plan, 4, 40.0)
    time_left.advance(("trajectory", "0"), 0.5, 30.0)
    assert time_left.fraction == pytest.approx(0.5)
    assert time_left.seconds_left(30.0) == pytest.approx(30.0)
    for id_ in "031":
        time_left.end(id_, 45.0)
    assert time_left.fraction == pytest.approx(0.5)
    time_left.end("2", 60.0)
    assert time_left.fraction == pytest.approx(1.0)


def test_work_never_goes_back() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    time_left.advance(A, 0.5, 1.0)
    time_left.advance(A, 0.2, 2.0)
    time_left.advance(A, 7.0, 3.0)
    assert time_left.fraction == pytest.approx(0.3)


def test_without_a_plan_training_runs_count_alike() -> None:
    time_left = TimeLeft({}, 4, 100.0)
    assert time_left.seconds_left(0.0) == pytest.approx(100.0)
    time_left.end("x", 25.0)
    time_left.advance(("trajectory", "y"), 0.5, 37.5)
    assert time_left.fraction == pytest.approx(0.375)
    assert time_left.seconds_left(37.5) == pytest.approx(62.5)


def test_nothing_to_do_takes_no_time() -> None:
    time_left = TimeLeft({}, 0, None)
    assert time_left.fraction == 0.0
    assert time_left.seconds_left(3.0) == 0.0

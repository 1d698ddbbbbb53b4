from __future__ import annotations

import pytest

from frostline.cli._time_left import TimeLeft

PLAN = {
    "passes": [{"name": "p", "seconds": 60.0}],
    "trajectories": [{"id": "a", "seconds": 30.0}, {"id": "b", "seconds": 10.0}],
}


def test_the_prediction_counts_until_the_clock_knows_better() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    assert time_left.fraction == 0.0
    assert time_left.seconds_left(5.0) == 100.0
    time_left.advance(("pass", "p"), 0.5)
    assert time_left.fraction == pytest.approx(0.3)
    # 30 predicted seconds took 60: the other 70 will take 140.
    assert time_left.seconds_left(60.0) == pytest.approx(140.0)
    for part in (("pass", "p"), ("trajectory", "a"), ("trajectory", "b")):
        time_left.advance(part, 1.0)
    assert time_left.fraction == pytest.approx(1.0)
    assert time_left.seconds_left(200.0) == pytest.approx(0.0)


def test_what_was_read_back_says_nothing_of_the_pace() -> None:
    time_left = TimeLeft(PLAN, 2, 40.0)
    time_left.advance(("pass", "p"), 1.0, free=True)
    assert time_left.fraction == pytest.approx(0.6)
    assert time_left.seconds_left(1.0) == pytest.approx(40.0)
    time_left.advance(("trajectory", "a"), 0.5)
    assert time_left.seconds_left(15.0) == pytest.approx(25.0)


def test_the_pass_over_the_test_images_is_expected() -> None:
    time_left = TimeLeft({**PLAN, "totals": {"test_seconds": 25.0, "training_seconds": 40.0}}, 2, 125.0)
    for part in (("pass", "p"), ("trajectory", "a"), ("trajectory", "b")):
        time_left.advance(part, 1.0)
    assert time_left.fraction == pytest.approx(0.8)
    time_left.advance(("pass", "p, test"), 1.0)
    assert time_left.fraction == pytest.approx(1.0)


def test_training_side_by_side_takes_less_than_one_after_the_other() -> None:
    time_left = TimeLeft({**PLAN, "totals": {"test_seconds": 0.0, "training_seconds": 30.0}}, 2, 90.0)
    assert time_left.seconds_left(0.0) == pytest.approx(90.0)
    time_left.advance(("pass", "p"), 1.0)
    assert time_left.seconds_left(60.0) == pytest.approx(30.0)
    time_left.advance(("trajectory", "a"), 1.0)
    assert time_left.seconds_left(82.5) == pytest.approx(7.5)


def test_work_never_goes_back() -> None:
    time_left = TimeLeft(PLAN, 2, 100.0)
    time_left.advance(("trajectory", "a"), 0.5)
    time_left.advance(("trajectory", "a"), 0.2)
    time_left.advance(("trajectory", "a"), 7.0)
    assert time_left.fraction == pytest.approx(0.3)


def test_without_a_plan_training_runs_count_alike() -> None:
    time_left = TimeLeft({}, 4, 100.0)
    assert time_left.seconds_left(0.0) == pytest.approx(100.0)
    time_left.advance(("trajectory", "x"), 1.0)
    time_left.advance(("trajectory", "y"), 0.5)
    assert time_left.fraction == pytest.approx(0.375)
    assert time_left.seconds_left(37.5) == pytest.approx(62.5)


def test_nothing_to_do_takes_no_time() -> None:
    time_left = TimeLeft({}, 0, None)
    assert time_left.fraction == 0.0
    assert time_left.seconds_left(3.0) == 0.0

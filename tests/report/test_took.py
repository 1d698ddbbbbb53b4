"""What a run took, as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frostline.ledger import Took
from frostline.report import arms_table

if TYPE_CHECKING:
    from .conftest import MakeArm, MakeRecord

COST = {"predicted_seconds": 280.0}
SHARED = {**COST, "alone_seconds": 600.0, "plain_seconds": 1200.0}


@pytest.mark.parametrize(
    ("took", "cost", "said"),
    [
        (Took(346.0), COST, "took 5 min 46 s, predicted 4 min 40 s"),
        (
            Took(346.0, 48.0, 12.0),
            COST,
            "took 5 min 46 s, of which 48.0 s measuring this machine and 12.0 s compiling; predicted 4 min 40 s",
        ),
        (
            Took(346.0, 48.0, 0.4, 100.0),
            COST,
            "took 5 min 46 s, of which 48.0 s measuring this machine and 1 min 40 s waiting for another run; "
            "predicted 4 min 40 s",
        ),
        (
            Took(346.0, 48.0, 12.0, 100.0),
            COST,
            "took 5 min 46 s, of which 48.0 s measuring this machine, 12.0 s compiling and 1 min 40 s waiting for "
            "another run; predicted 4 min 40 s",
        ),
        (Took(346.0, 0.0, 12.0), {}, "took 5 min 46 s, of which 12.0 s compiling"),
        (
            Took(346.0, 0.9, 0.9, 0.9),
            SHARED,
            "took 5 min 46 s, predicted 4 min 40 s; one arm after the other: 10 min 00 s, by the plain loop: "
            "20 min 00 s (estimates)",
        ),
    ],
)
def test_what_a_run_took(
    make_arm: MakeArm, make_record: MakeRecord, took: Took, cost: dict[str, float], said: str
) -> None:
    assert arms_table(make_record(make_arm([0.5]), took=took, cost=cost)).notes == (said,)


def test_before_there_were_runs_there_is_nothing_to_say(make_arm: MakeArm, make_record: MakeRecord) -> None:
    assert arms_table(make_record(make_arm([0.5]))).notes == ()


def test_a_prediction_that_is_not_certain_says_so(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(make_arm([0.5]), took=Took(346.0), cost=SHARED, plan={"doubts": ["the machine was busy"]})
    assert arms_table(record).notes == (
        "took 5 min 46 s, predicted ~4 min 40 s; one arm after the other: ~10 min 00 s, by the plain loop: "
        "~20 min 00 s (estimates)",
        "times with ~ are not certain: the machine was busy",
    )


def test_time_added_beside_others_is_explained(make_arm: MakeArm, make_record: MakeRecord) -> None:
    arm = make_arm([0.5])
    cost = {**COST, "arms": {arm.name: {"alone_seconds": 3.0, "marginal_seconds": 1.0}}}
    notes = [arms_table(make_record(arm, cost=cost, plan={"workers": n})).notes for n in (1, 2)]
    assert notes[1] == (*notes[0], "time added: a trajectory trained beside others counts for 1/2 of its own time")

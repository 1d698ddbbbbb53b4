"""Predicted beside measured, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline import report

if TYPE_CHECKING:
    from tests.report.conftest import MakeRecord

PASS = {"name": "net 32 px", "predicted_seconds": 4.0, "predicted_bytes": 2_000_000, "bytes": 2_100_000}
COST: dict[str, Any] = {
    "passes": [{**PASS, "seconds": 5.0, "reused": False}, {**PASS, "name": "kept", "seconds": 0.1, "reused": True}],
    "trajectories": [
        {"id": "a", "epochs": 2, "seconds": 1.0, "predicted_seconds": 2.0},
        {"id": "b", "epochs": 3, "seconds": 2.0, "predicted_seconds": 2.0},
        {"id": "c", "epochs": 5, "seconds": 12.0, "predicted_seconds": 10.0},
    ],
}
PLAN = {"groups": [{"trajectories": ["a", "b"]}, {"trajectories": ["c"]}, {"trajectories": ["gone"]}]}


def test_a_row_for_each_pass_and_for_what_trained_together(make_record: MakeRecord) -> None:
    table = report.predicted_table(make_record(cost=COST, plan=PLAN))
    assert table is not None
    assert table.rows == (
        ("pass net 32 px", "4.00 s", "5.00 s", "1.25", "2.0 MB", "2.1 MB"),
        ("pass kept", "4.00 s", "read from the cache", "", "2.0 MB", "2.1 MB"),
        ("training 2 heads together (a, ..), 5 epochs", "4.00 s", "3.00 s", "0.75", "", ""),
        ("training c, 5 epochs", "10.0 s", "12.0 s", "1.20", "", ""),
    )


def test_predictions_from_doubtful_rates_are_marked(make_record: MakeRecord) -> None:
    table = report.predicted_table(make_record(cost=COST, plan={**PLAN, "doubts": ["net was measured under load"]}))
    assert table is not None
    assert [row[1] for row in table.rows] == ["~4.00 s", "~4.00 s", "~4.00 s", "~10.0 s"]
    assert table.notes == ("times with ~ are not certain: net was measured under load",)


def test_nothing_before_it_is_known(make_record: MakeRecord) -> None:
    assert report.predicted_table(make_record(plan=PLAN)) is None

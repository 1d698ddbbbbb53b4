from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from frostline.errors import LedgerError
from frostline.ledger import ArmEntry, EpochRow, FileRow, Ledger, PassRow, Segment

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import StartRun


def test_a_run_comes_back_as_it_was_recorded(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    assert re.fullmatch(r"\d{8}-\d{6}-starter", run)
    assert ledger.run_directory(run).is_dir()
    ledger.record_pass(run, PassRow("p1", 100, 100, 51_200, 2.5, "openvino"))
    ledger.record_trajectory(run, "t1", "running")
    for epoch, loss in enumerate((0.8285023129885764, 0.6178, 0.5894), start=1):
        ledger.record_epochs(run, {"t1": EpochRow(epoch, loss, loss + 0.1, 0.9, 1.5, f"c{epoch}")})
    ledger.record_trajectory(run, "t1", "complete")
    for epoch in (1, 2):
        ledger.record_epochs(run, {"t2": EpochRow(epoch, 0.4 / epoch, 0.5, 0.95, 3.0)})
    ledger.record_trajectory(run, "t2", "complete")
    ledger.record_files(run, {"gradual": [FileRow("model", "models/gradual.safetensors", "abc")]})
    ledger.set_test(run, "gradual", 0.5, 0.96)
    ledger.finish_run(run, "complete", {"seconds": 20.0})

    record = ledger.load()
    assert (record.run, record.study, record.mode, record.status) == (run, "Starter", "shared", "complete")
    assert record.definition == {"name": "starter"}
    assert record.plan == {"totals": {"seconds": 12.5}}
    assert record.cost == {"seconds": 20.0}
    assert record.provenance == ({"frostline": "0.1.0"},)
    assert record.passes == (PassRow("p1", 100, 100, 51_200, 2.5, "openvino"),)
    assert record.directory == ledger.run_directory(run)
    assert [arm.name for arm in record.arms] == ["head 2ep", "head 3ep", "gradual"]
    assert [arm.status for arm in record.arms] == ["complete"] * 3
    # Every digit survives.
    assert [row.train_loss for row in record.arm("head 2ep").epochs] == [0.8285023129885764, 0.6178]
    gradual = record.arm("gradual")
    # The first epoch of t1, then both of t2, counted on.
    assert [(row.epoch, row.train_loss) for row in gradual.epochs] == [(1, 0.8285023129885764), (2, 0.4), (3, 0.2)]
    assert (gradual.trajectory, gradual.n_epochs) == ("t2", 3)
    assert (gradual.test_loss, gradual.test_accuracy) == (0.5, 0.96)
    assert [(file.kind, file.path, file.digest) for file in gradual.files] == [
        ("model", "models/gradual.safetensors", "abc")
    ]
    with pytest.raises(KeyError, match="absent"):
        record.arm("absent")


def test_json_has_the_shape_that_was_promised(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.6, 0.9, 1.0, "c1")})
    ledger.record_epochs(run, {"t1": EpochRow(2, math.inf, math.nan, None, 1.0)})
    answer = json.loads(json.dumps(ledger.load().to_json(), allow_nan=False))
    assert {"run", "study", "data", "arms", "cost"} <= answer.keys()
    arm = answer["arms"][0]
    assert {"name", "recipe", "status", "trajectory", "epochs"} <= arm.keys()
    assert arm["epochs"] == [
        {"epoch": 1, "train_loss": 0.5, "val_loss": 0.6, "val_accuracy": 0.9, "seconds": 1.0},
        {"epoch": 2, "train_loss": None, "val_loss": None, "val_accuracy": None, "seconds": 1.0},
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2])
def test_every_float_survives(ledger: Ledger, start_run: StartRun, value: float) -> None:
    run = start_run(ledger)
    ledger.record_epochs(run, {"t1": EpochRow(1, value, value, value, 1.0)})
    (row,) = ledger.epochs(run, "t1")
    for stored in (row.train_loss, row.val_loss, row.val_accuracy):
        assert stored is not None
        assert stored == value or (math.isnan(stored) and math.isnan(value))


def test_nothing_measured_is_not_nan(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, None, None, 1.0)})
    assert ledger.epochs(run, "t1") == [EpochRow(1, 0.5, None, None, 1.0)]


GOOD, BROKEN = (0.5, 0.6), (math.nan, None)


@pytest.mark.parametrize(
    ("t1", "t1_status", "t2", "t2_status", "expected"),
    [
        ([], None, [], None, ["waiting", "waiting", "waiting"]),
        ([], "running", [], None, ["running", "running", "running"]),
        ([GOOD], "running", [], None, ["running", "running", "running"]),
        ([GOOD, GOOD], "running", [], None, ["complete", "running", "running"]),
        ([GOOD] * 3, "complete", [], None, ["complete", "complete", "running"]),
        ([GOOD] * 3, "complete", [GOOD], "running", ["complete", "complete", "running"]),
        ([GOOD] * 3, "complete", [GOOD] * 2, "complete", ["complete"] * 3),
        # A trajectory that breaks in its third epoch has served the arm of two.
        ([GOOD, GOOD, BROKEN], "diverged", [GOOD] * 2, "complete", ["complete", "diverged", "complete"]),
        ([GOOD, GOOD], "diverged", [GOOD] * 2, "complete", ["complete", "diverged", "complete"]),
        ([BROKEN], "diverged", [], "failed", ["diverged", "diverged", "diverged"]),
        # A loss may be huge rather than NaN: the epoch without validation is the one that broke.
        ([GOOD, (1e12, None)], "diverged", [], None, ["diverged", "diverged", "running"]),
        ([GOOD] * 3, "complete", [BROKEN], "diverged", ["complete", "complete", "diverged"]),
        ([GOOD] * 3, "complete", [], "failed", ["complete", "complete", "failed"]),
        ([GOOD] * 3, "failed", [], None, ["complete", "complete", "running"]),
    ],
)
def test_what_trajectories_mean_for_arms(
    ledger: Ledger,
    start_run: StartRun,
    t1: list[tuple[float, float | None]],
    t1_status: str | None,
    t2: list[tuple[float, float | None]],
    t2_status: str | None,
    expected: list[str],
) -> None:
    run = start_run(ledger)
    for trajectory, rows, status in (("t1", t1, t1_status), ("t2", t2, t2_status)):
        for epoch, (train_loss, val_loss) in enumerate(rows, start=1):
            ledger.record_epochs(run, {trajectory: EpochRow(epoch, train_loss, val_loss, None, 1.0)})
        if status is not None:
            ledger.record_trajectory(run, trajectory, status, f"{trajectory} {status}")
        assert ledger.trajectory_status(run, trajectory) == status
    arms = ledger.load().arms
    assert [arm.status for arm in arms] == expected
    for arm in arms:
        assert (arm.message is not None) == (arm.status in {"diverged", "failed"})


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_arms_of_a_run_that_ended_early_were_interrupted_or_wait(
    ledger: Ledger, start_run: StartRun, status: str
) -> None:
    run = start_run(ledger)
    ledger.record_trajectory(run, "t1", "running")
    ledger.finish_run(run, "interrupted", {})
    assert [arm.status for arm in ledger.load().arms] == ["waiting"] * 3
    ledger.reopen(run)
    ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
    ledger.finish_run(run, status, {})
    # All three begin with the first epoch of the same trajectory.
    assert [arm.status for arm in ledger.load().arms] == ["interrupted"] * 3
    assert len(ledger.load().arms[0].epochs) == 1


def test_an_arm_without_the_whole_of_a_segment_has_nothing_of_the_next(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger, arms=[ArmEntry("a", {}, (Segment("t1", 2), Segment("t2", 1)))])
    ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, 0.5, 0.5, 1.0)})
    ledger.record_epochs(run, {"t2": EpochRow(1, 0.1, 0.1, 0.1, 1.0)})
    assert [row.train_loss for row in ledger.load().arms[0].epochs] == [0.5]


def test_epochs_come_in_order_and_once(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    with pytest.raises(LedgerError, match="epoch 2 can't follow epoch 0"):
        ledger.record_epochs(run, {"t1": EpochRow(2, 0.5, None, None, 1.0)})
    with pytest.raises(LedgerError, match="epoch 0 can't follow"):
        ledger.record_epochs(run, {"t1": EpochRow(0, 0.5, None, None, 1.0)})
    assert ledger.epochs(run, "t1") == []
    for epoch in (1, 2, 3, 2):
        ledger.record_epochs(run, {"t1": EpochRow(epoch, 0.5, None, None, float(epoch))})
    assert [row.epoch for row in ledger.epochs(run, "t1")] == [1, 2, 3]
    ledger.drop_epochs_after(run, "t1", 1)
    assert [row.epoch for row in ledger.epochs(run, "t1")] == [1]
    ledger.drop_epochs_after(run, "t1", 0)
    assert ledger.epochs(run, "t1") == []


def test_a_pass_found_in_the_cache_does_not_hide_the_one_made(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    ledger.record_pass(run, PassRow("p", 10, 10, 100, 2.5, "openvino"))
    ledger.record_pass(run, PassRow("p", 10, 0, 100, 0.1, "openvino"))
    assert ledger.passes(run) == [PassRow("p", 10, 10, 100, 2.5, "openvino")]
    ledger.record_pass(run, PassRow("q", 10, 0, 100, 0.1, "torch"))
    ledger.record_pass(run, PassRow("q", 10, 10, 100, 2.0, "torch"))
    assert ledger.passes(run)[1] == PassRow("q", 10, 10, 100, 2.0, "torch")


def test_every_row_says_what_made_it(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    ledger.record_epochs(run, {"t1": EpochRow(1, 0.5, None, None, 1.0)})
    ledger.finish_run(run, "interrupted", {})
    ledger.reopen(run, {"frostline": "0.2.0"})
    ledger.record_epochs(run, {"t1": EpochRow(2, 0.4, None, None, 1.0)})
    assert ledger.load().provenance == ({"frostline": "0.1.0"}, {"frostline": "0.2.0"})


def test_two_runs_in_one_second_have_two_names(ledger: Ledger, start_run: StartRun) -> None:
    runs = [start_run(ledger) for _ in range(4)]
    assert len(set(runs)) == 4
    assert [row.run for row in ledger.runs()] == runs[::-1]


@pytest.mark.parametrize(
    ("name", "ending"),
    [("How deep?", "how-deep"), ("../../etc", "etc"), ("", "study"), ("é", "study"), ("x" * 100, "x" * 40)],
)
def test_run_names_are_folder_names(ledger: Ledger, start_run: StartRun, name: str, ending: str) -> None:
    run = start_run(ledger, study_name=name)
    assert run.split("-", 2)[2] == ending
    assert ledger.load(run).study == name


def test_runs_are_found_by_any_unique_beginning(ledger: Ledger, start_run: StartRun) -> None:
    first, second = start_run(ledger, study_name="a"), start_run(ledger, study_name="b")
    assert ledger.load(None).run == second
    assert ledger.load(first).run == first
    assert ledger.load(first[: len(first)]).run == first
    both = rf"{second}, {first}"
    with pytest.raises(LedgerError, match=rf'^"{first[:8]}" is the beginning of 2 runs \({both}\): give more'):
        ledger.load(first[:8])
    absent = rf'^"{first[:-1]}c" is neither a run nor a study with runs in .*did you mean "{first[:9]}.*"\? '
    with pytest.raises(LedgerError, match=absent + r"there are runs of b, a; `frostline runs` lists them all$"):
        ledger.load(f"{first[:-1]}c")


def test_the_newest_run_of_a_study_is_found_by_the_studys_name(ledger: Ledger, start_run: StartRun) -> None:
    runs = [start_run(ledger, study_name=name) for name in ("mine", "other", "mine", "other")]
    assert ledger.load("mine").run == runs[2]
    assert ledger.load("other").run == runs[3]
    # An id is that run, whatever studies are called; a study's name goes before the beginning of an id.
    odd = [start_run(ledger, study_name=name) for name in (runs[0], runs[0][:8])]
    assert ledger.load(runs[0]).run == runs[0]
    assert ledger.load(runs[0][:8]).run == odd[1]
    with pytest.raises(LedgerError, match=r'^"mime" is neither .*; did you mean "mine"\? there are runs of .*mine'):
        ledger.load("mime")


def test_an_exact_name_wins_over_longer_ones(ledger: Ledger, start_run: StartRun) -> None:
    first, second = start_run(ledger), start_run(ledger)
    assert second.startswith(first)
    assert ledger.load(first).run == first


def test_unfinished_runs_of_a_study(ledger: Ledger, start_run: StartRun) -> None:
    done, stopped, failed = (start_run(ledger) for _ in range(3))
    other, plain = start_run(ledger, study_digest="d2"), start_run(ledger, mode="plain")
    assert ledger.unfinished("d1", "shared") == []
    for run, status in ((done, "complete"), (stopped, "interrupted"), (failed, "failed")):
        ledger.finish_run(run, status, {})
    assert ledger.unfinished("d1", "shared") == [failed, stopped]
    ledger.finish_run(other, "interrupted", {})
    ledger.finish_run(plain, "interrupted", {})
    assert ledger.unfinished("d1", "plain") == [plain]
    ledger.reopen(stopped)
    assert ledger.unfinished("d1", "shared") == [failed]
    assert ledger.load(stopped).status == "running"
    assert ledger.load(stopped).finished is None


def test_runs_list(ledger: Ledger, start_run: StartRun) -> None:
    run = start_run(ledger)
    ledger.record_pass(run, PassRow("p", 10, 10, 100, 2.5, "torch"))
    for epoch in (1, 2):
        ledger.record_epochs(run, {"t1": EpochRow(epoch, 0.5, 0.5, 0.5, 1.0)})
    (row,) = ledger.runs()
    assert (row.n_arms, row.n_complete, row.status) == (3, 1, "running")
    assert row.seconds == ledger.load(run).took.seconds > 0
    assert row.to_json() == {
        "run": run,
        "study": "Starter",
        "mode": "shared",
        "status": "running",
        "created": row.created,
        "finished": None,
        "n_arms": 3,
        "n_complete": 1,
        "seconds": row.seconds,
    }


@pytest.mark.parametrize("arms", [[], [ArmEntry("a", {}, ())]])
def test_a_run_needs_arms_with_a_path(ledger: Ledger, start_run: StartRun, arms: list[ArmEntry]) -> None:
    with pytest.raises(LedgerError, match='run of "Starter" has no arms, or an arm without a trajectory'):
        start_run(ledger, arms=arms)
    assert ledger.runs() == []


@pytest.mark.parametrize(
    "changes",
    [{"mode": "other"}, {"arms": [ArmEntry("a", {}, (Segment("t", 1),)), ArmEntry("a", {}, (Segment("t", 1),))]}],
)
def test_a_run_that_cannot_be_recorded_leaves_nothing(ledger: Ledger, start_run: StartRun, changes: Any) -> None:
    with pytest.raises(LedgerError, match=r"can't be used: .*constraint failed"):
        start_run(ledger, **changes)
    assert ledger.runs() == []
    assert [path.name for path in ledger.workspace.iterdir() if path.is_dir()] == []


def test_what_is_not_there(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"no runs in .* yet: start one"):
        ledger.load()
    with pytest.raises(LedgerError, match='there is no run "x"'):
        ledger.reopen("x")
    with pytest.raises(LedgerError, match=r"no runs in .*nowhere"):
        Ledger(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_the_file_may_be_named(tmp_path: Path, start_run: StartRun) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        run = start_run(ledger)
    assert (tmp_path / "ledger.db").is_file()
    assert (tmp_path / run).is_dir()
    (tmp_path / "ledger.db").rename(tmp_path / "mine.db")
    with Ledger(tmp_path / "mine.db", create=False) as ledger:
        assert ledger.load().run == run
        assert ledger.workspace == tmp_path


def test_a_workspace_may_have_the_name_of_a_database(tmp_path: Path, start_run: StartRun) -> None:
    for made in (False, True):
        workspace = tmp_path / f"made-{made}.db"
        if made:
            workspace.mkdir()
        with Ledger(workspace) as ledger:
            run = start_run(ledger)
        assert (workspace / "ledger.db").is_file()
        assert (workspace / run).is_dir()
        with Ledger(workspace, create=False) as ledger:
            assert ledger.load().run == run


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match=r"can't be used: Cannot operate on a closed database"):
        ledger.runs()

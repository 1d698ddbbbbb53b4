from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from frostline.ledger import RunRow
from frostline.models.facts import BackboneFacts, CutFacts, StageFacts
from frostline.report import (
    arm_lines,
    arms_table,
    data_notes,
    draw,
    make_console,
    pivot,
    pivot_table,
    plan_tables,
    runs_table,
    stage_lines,
    stages_table,
)

if TYPE_CHECKING:
    from frostline.ledger import RunRecord
    from frostline.report import Table

    from .conftest import MakeArm, MakeRecord


def drawn(table: Table, width: int | None) -> str:
    file = io.StringIO()
    draw(table, make_console(file, width=width))
    return file.getvalue()


def test_costs_are_those_that_the_run_worked_out(make_arm: MakeArm, make_record: MakeRecord) -> None:
    arms = make_arm([0.5], name="a"), make_arm([0.5], name="b")
    record = make_record(*arms, cost={"arms": {"a": {"alone_seconds": 99.0, "marginal_seconds": 1.0}}})
    first, second = arm_lines(record)
    assert (first.alone_seconds, first.marginal_seconds) == (99.0, 1.0)
    assert (second.alone_seconds, second.marginal_seconds) == (None, None)
    table = arms_table(record)
    assert table.columns[-2:] == ("time alone", "time added")
    assert [row[-2:] for row in table.rows] == [("1 min 39 s", "1.00 s"), ("", "")]


def test_arms_show_every_epoch(exercise: RunRecord) -> None:
    table = arms_table(exercise)
    # Nothing stands where a cost would, as long as the run hasn't worked it out.
    assert table.columns == ("arm", "training loss by epoch", "val loss by epoch", "val acc by epoch")
    assert table.rows[0] == ("resnet18 head adam 2ep seed0", "0.8285, 0.6178", "0.9285, 0.7178", "51.0%, 52.0%")
    assert table.title == "20261124-034216-exercise: shared, complete, 8 of 8 arms complete"


def test_one_arm_is_one_arm(make_arm: MakeArm, make_record: MakeRecord) -> None:
    assert arms_table(make_record(make_arm([0.5]))).title.endswith("1 of 1 arm complete")


@pytest.mark.parametrize(
    ("accuracies", "line"),
    [
        (
            {"head 2ep seed0": 0.969, "head 2ep seed1": 0.981, "head 2ep seed2": 0.975},
            "chosen on validation: head 2ep, val acc 52.0%; test accuracy 97.5% (3 seeds: 96.9 to 98.1%)",
        ),
        ({"head 2ep seed7": 0.5}, "chosen on validation: head 2ep seed7, val acc 52.0%; test accuracy 50.0%"),
        (
            {"a seed": 0.5, "b": 0.6},
            "chosen on validation: a seed, val acc 52.0%; test accuracy 55.0% (2 seeds: 50.0 to 60.0%)",
        ),
    ],
)
def test_the_arm_that_validation_chose_is_named_with_its_test_accuracy(
    make_arm: MakeArm, make_record: MakeRecord, accuracies: dict[str, float], line: str
) -> None:
    arms = [replace(make_arm([0.5, 0.4], name=name), test_accuracy=value) for name, value in accuracies.items()]
    record = replace(make_record(make_arm([0.5], name="another"), *arms), chosen=tuple(accuracies))
    assert arms_table(record).notes == (line,)


def test_arms_that_are_not_complete_say_so(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(
        make_arm([0.5]), make_arm([0.5], epochs=3, status="running"), make_arm([], epochs=2, status="waiting")
    )
    table = arms_table(record)
    assert [row[-1] for row in table.rows] == ["complete", "running (1/3)", "waiting (0/2)"]
    assert table.rows[2][1:4] == ("", "", "")


@pytest.mark.parametrize(
    ("n_skipped", "counted", "them"),
    [(1, "1 item of the data was", "it"), (3, "3 items of the data were", "them")],
)
def test_what_was_left_out_is_counted(
    make_arm: MakeArm, make_record: MakeRecord, n_skipped: int, counted: str, them: str
) -> None:
    note = f"{counted} left out as unusable; `frostline show 20261124-034216-exercise --json` names {them}"
    record = make_record(make_arm([0.5]), data={"source": "folder", "n_skipped": n_skipped})
    assert note in arms_table(record).notes
    assert data_notes(record) == (note,)
    assert data_notes(make_record(make_arm([0.5]), data={"source": "folder", "n_skipped": 0})) == ()


LONG = "timm:tf_efficientnet_lite0 blocks.5 sgd-0.001-m0.9-wd0.0005 5ep cosine 128px flip-4 seed0"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("status", ["complete", "diverged"])
def test_long_names_stay_readable(make_arm: MakeArm, make_record: MakeRecord, width: int, status: str) -> None:
    losses = [0.8229, 0.6165, 0.5859, 0.5764, 0.5681]
    record = make_record(
        *(make_arm(losses, name=LONG.replace("seed0", f"seed{i}"), seed=i, status=status) for i in range(3))
    )
    text = drawn(arms_table(record), width)
    # The title is a line of its own, which a terminal wraps.
    assert max(len(line) for line in text.splitlines()[1:]) <= width
    # No word of a name, and no number, is broken or cut off.
    words = text.replace(",", " ").replace(";", " ").split()
    for word in LONG.removesuffix("seed0").split():
        assert words.count(word) == 3
    for word in ("seed0", "seed1", "seed2", "0.6681", "55.0%"):
        assert word in words
    for loss in losses:
        assert words.count(f"{loss:.4f}") == 3
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_pivots_keep_their_numbers_whole(exercise: RunRecord, width: int) -> None:
    for each in pivot(exercise):
        text = drawn(pivot_table(each), width)
        assert max(len(line) for line in text.splitlines()) <= width
        words = text.replace(",", " ").split()
        for cells in each.cells:
            for cell in cells:
                assert cell is None or all(f"{value:.4f}" in words for value in cell.values)


def test_a_file_gets_lines_as_long_as_they_need_to_be(exercise: RunRecord) -> None:
    text = drawn(pivot_table(pivot(exercise)[0]), None)
    assert "\n     5  0.8229, 0.6165, 0.5859, 0.5764, 0.5681  0.4460, 0.2133, 0.1221, 0.0799, 0.0595" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_columns_in_the_environment_count_for_files(exercise: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert max(len(line) for line in drawn(arms_table(exercise), None).splitlines()) <= 70


def test_nothing_is_a_title_and_no_grid() -> None:
    assert drawn(runs_table([], title="runs in here"), 80) == "runs in here\n\n"


def test_markup_in_names_is_text(make_arm: MakeArm, make_record: MakeRecord) -> None:
    text = drawn(arms_table(make_record(make_arm([0.5], name="[red]odd[/red] \\[x]"))), 120)
    assert "[red]odd[/red] \\[x]" in text


def test_runs() -> None:
    row = RunRow(
        run="20261124-034216-s",
        study="s",
        study_digest="d",
        mode="plain",
        status="complete",
        created="2026-11-24T03:42:16+00:00",
        finished=None,
        n_arms=3,
        n_complete=2,
        seconds=61.0,
    )
    assert runs_table([row]).rows == (
        ("20261124-034216-s", "s", "plain", "complete", "3", "2", "1 min 01 s", "2026-11-24 03:42"),
    )


@pytest.fixture
def facts() -> BackboneFacts:
    return BackboneFacts(
        backbone="tiny",
        image_size=32,
        stages=(
            StageFacts("stem", "input", 2, 100, 5000),
            StageFacts("layer1", "layer1", 4, 1000, 7000),
            StageFacts("head", "head", 1, 170, 320),
        ),
        cuts=(
            CutFacts("input", ("conv1",), ((3, 32, 32),), 3072, 0, 0, "stem"),
            CutFacts("layer1", ("layer1", "layer1.0"), ((8, 16, 16), (4,)), 8208, 5000, 100, "layer1"),
            CutFacts("head", ("fc",), ((16,),), 64, 12000, 1100, "head"),
        ),
        refused=(),
        head_path="fc",
        head_features=16,
        parameters=1270,
        parameters_without_head=1100,
        flops=12320,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="bilinear",
        cuttable=True,
    )


def test_stages_say_what_training_from_them_means(facts: BackboneFacts) -> None:
    stem, layer1, head = stage_lines(facts)
    assert (stem.train_from, stem.trained_parameters, stem.trained_flops) == ("all", 1100, 12320)
    assert (layer1.train_from, layer1.trained_parameters, layer1.crossing_bytes) == ("layer1", 1000, 8208)
    assert (head.train_from, head.trained_parameters, head.trained_flops) == ("head", 0, 320)
    rows = stages_table(facts).rows
    assert rows[0] == ("stem", "2", "100", "5.0 k", "3x32x32", "3.1 kB", "all", "1,100 + head")
    assert rows[1] == ("layer1", "4", "1,000", "7.0 k", "8x16x16 + 4", "8.2 kB", "layer1", "1,000 + head")
    assert rows[2] == ("head", "1", "170", "320", "16", "64 B", "head", "only the head")


def test_a_network_that_cannot_be_cut_says_why(facts: BackboneFacts) -> None:
    uncuttable = replace(facts, cuttable=False, why_not="its forward loops over data")
    assert stages_table(uncuttable).notes[-1] == "It can't be cut, so it is trained uncut: its forward loops over data"


PLAN: dict[str, Any] = {
    "study": "s",
    "n_arms": 2,
    "passes": [
        {
            "name": "resnet18 224 px to head",
            "backbone": "resnet18",
            "image_size": 224,
            "cuts": ["layer4", "head"],
            "splits": {"train": 4000, "val": 1000},
            "views": 1,
            "seconds": 98.0,
            "bytes": 10_240_000,
            "arms": 2,
        }
    ],
    "trajectories": [
        {
            "id": "t1",
            "backbone": "resnet18",
            "train_from": "head",
            "cut": "head",
            "mode": "cached",
            "why": "stored activations: 1 s against 100 s",
            "parent": None,
            "epochs": 5,
            "serves": ["a", "b"],
            "seconds_per_epoch": 0.2,
            "seconds": 1.0,
            "trained_parameters": 5130,
        },
        {
            "id": "t2",
            "backbone": "resnet18",
            "train_from": "layer4",
            "cut": "layer4",
            "mode": "uncut",
            "why": "frozen_norm is batch",
            "parent": "t1",
            "epochs": 2,
            "serves": ["b"],
            "seconds_per_epoch": 50.0,
            "seconds": 100.0,
            "trained_parameters": 8_398_858,
        },
    ],
    "arms": [
        {"name": "a", "path": [["t1", 5]], "alone_seconds": 99.0, "marginal_seconds": 0.5, "notes": []},
        {
            "name": "b",
            "path": [["t1", 1], ["t2", 2]],
            "alone_seconds": 198.0,
            "marginal_seconds": 100.0,
            "notes": ["uncut: frozen_norm is batch", "something of its own"],
        },
    ],
    "totals": {
        "seconds": 199.0,
        "alone_seconds": 297.0,
        "plain_seconds": 1000.0,
        "bytes": 10_240_000,
        "peak_bytes": 1_500_000_000,
        "trained_epochs": 7,
        "asked_epochs": 8,
    },
    "notes": ["t2: frozen_norm is batch", "measured on this machine"],
}


def test_a_plan_says_what_is_shared_and_why() -> None:
    passes, trajectories, arms = plan_tables(PLAN)
    assert passes.rows == (
        ("resnet18 224 px to head", "resnet18", "224", "layer4, head", "5,000", "1", "10.2 MB", "1 min 38 s", "2"),
    )
    assert [row[0] for row in trajectories.rows] == ["t1", "t2"]
    assert trajectories.rows[1][1:5] == ("layer4", "t1", "uncut", "2")
    assert trajectories.rows[1][-1] == "frozen_norm is batch"
    assert arms.rows == (
        ("a", "t1:5", "1 min 39 s", "0.50 s", ""),
        ("b", "t1:1 > t2:2", "3 min 18 s", "1 min 40 s", "something of its own"),
    )
    assert arms.notes == (
        "2 arms, 8 epochs in all, 7 of them to train after sharing; 10.2 MB to store on disk.",
        "Predicted: 3 min 19 s in all; 4 min 57 s with arms trained alone; 16 min 40 s in an ordinary loop (--plain).",
        "Peak memory: about 1.5 GB.",
        "measured on this machine",
    )


def test_a_plan_without_passes_or_notes_has_no_table_or_column_for_them() -> None:
    bare = {**PLAN, "passes": [], "arms": PLAN["arms"][:1]}
    trajectories, arms = plan_tables(bare)
    assert trajectories.columns[0] == "id"
    assert arms.columns == ("arm", "path", "time alone", "time added")


def test_a_plan_in_which_nothing_is_shared_says_so() -> None:
    alone = {**PLAN, "n_arms": 1, "totals": {**PLAN["totals"], "asked_epochs": 1, "trained_epochs": 1}}
    assert plan_tables(alone)[-1].notes[0] == "1 arm, 1 epoch in all, none shared; 10.2 MB to store on disk."


def test_a_plan_that_is_not_certain_says_so() -> None:
    passes, trajectories, arms = plan_tables({**PLAN, "doubts": ["net was measured while the machine was busy"]})
    assert "Times with ~ are not certain: net was measured while the machine was busy." in arms.notes
    assert arms.notes[1] == (
        "Predicted: ~3 min 19 s in all; ~4 min 57 s with arms trained alone; ~16 min 40 s in an ordinary loop "
        "(--plain)."
    )
    assert arms.rows[0][2:4] == ("~1 min 39 s", "~0.50 s")
    assert passes.rows[0][7] == "~1 min 38 s"
    assert trajectories.rows[1][7] == "~1 min 40 s"


def test_a_plan_says_what_time_added_is_beside_other_processes() -> None:
    *_, arms = plan_tables({**PLAN, "workers": 2, "threads": 1})
    assert "2 trajectories are trained side by side, in processes of 1 thread each." in arms.notes
    assert "Time added: a trajectory trained beside others counts for 1/2 of its own time." in arms.notes


@pytest.mark.parametrize("width", [80, 120])
def test_plans_fit(width: int) -> None:
    for table in plan_tables(PLAN):
        text = drawn(table, width)
        assert "…" not in text
        grid = text.split(table.notes[0])[0] if table.notes else text
        assert max(len(line) for line in grid.splitlines()[1:]) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_wide_characters_count_twice(make_arm: MakeArm, make_record: MakeRecord, width: int) -> None:
    names = ["猫と犬を見分ける 五回", "وزن‌های اولیه آزاد", "naïve Straße"]
    text = drawn(arms_table(make_record(*(make_arm([0.5, 0.4], name=name) for name in names))), width)
    assert max(cell_len(line) for line in text.splitlines()[1:]) <= width
    for name in names:
        assert all(word in text for word in name.split())

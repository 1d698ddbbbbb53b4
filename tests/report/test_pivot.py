from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from frostline.errors import LedgerError
from frostline.report import pivot, pivot_table, varies

if TYPE_CHECKING:
    from frostline.ledger import RunRecord

    from .conftest import MakeArm, MakeRecord

SGD = {"name": "sgd", "lr": 1e-3, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0, "stage_decay": 1.0}


def test_epochs_by_train_from_is_the_exercises_own_table(exercise: RunRecord) -> None:
    adam, sgd = pivot(exercise, "epochs", "train_from")
    table = pivot_table(adam)
    assert table.columns == ("epochs", "train_from head", "train_from layer4")
    # exercise.md, section 1, as printed there.
    assert table.rows == (
        ("2", "0.8285, 0.6178", "0.4440, 0.2180"),
        ("3", "0.8364, 0.6153, 0.5894", "0.4407, 0.2138, 0.1186"),
        ("5", "0.8229, 0.6165, 0.5859, 0.5764, 0.5681", "0.4460, 0.2133, 0.1221, 0.0799, 0.0595"),
    )
    assert table.title == "training loss by epoch: optimizer adam 0.001"
    assert pivot_table(sgd).title == "training loss by epoch: optimizer sgd 0.001 momentum 0.9"
    assert pivot_table(sgd).columns == ("epochs", "train_from head")


def test_epochs_by_optimizer_is_section_two(exercise: RunRecord) -> None:
    frozen, unfrozen = pivot(exercise, "epochs", "optimizer")
    table = pivot_table(frozen)
    assert table.columns == ("epochs", "optimizer adam 0.001", "optimizer sgd 0.001 momentum 0.9")
    assert table.rows == (
        ("2", "0.8285, 0.6178", "0.9758, 0.6777"),
        ("3", "0.8364, 0.6153, 0.5894", ""),
        ("5", "0.8229, 0.6165, 0.5859, 0.5764, 0.5681", "0.9772, 0.6758, 0.6285, 0.6062, 0.5908"),
    )
    assert table.title == "training loss by epoch: train_from head"
    assert unfrozen.columns == ("adam 0.001",)


def test_seeds_are_averaged_epoch_by_epoch_and_said(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(make_arm([0.8, 0.6], seed=0), make_arm([0.6, 0.2], seed=1), make_arm([0.7, 0.1], seed=2))
    (only,) = pivot(record)
    assert only.cells[0][0] is not None
    assert only.cells[0][0].values == pytest.approx((0.7, 0.3))
    assert only.cells[0][0].n == 3
    table = pivot_table(only)
    assert table.title == "training loss by epoch, mean of 3 seeds"
    assert table.rows == (("2", "0.7000, 0.3000"),)


def test_a_cell_says_what_its_mean_leaves_out(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(
        make_arm([0.8, 0.6], seed=0),
        make_arm([0.6, 0.2], seed=1),
        make_arm([math.nan], seed=2, epochs=2, status="diverged"),
        make_arm([0.5, 0.4, 0.3], seed=0),
        make_arm([], seed=1, epochs=3, status="waiting"),
        make_arm([math.nan], seed=2, epochs=3, status="diverged"),
        make_arm([math.nan], seed=0, epochs=4, status="diverged"),
        make_arm([math.nan], seed=1, epochs=4, status="diverged"),
    )
    (only,) = pivot(record)
    assert pivot_table(only).rows == (
        ("2", "0.7000, 0.4000 (n=2, 1 diverged)"),
        ("3", "0.5000, 0.4000, 0.3000 (n=1, 1 waiting, 1 diverged)"),
        ("4", "2 diverged"),
    )


def test_the_only_arm_of_a_cell_shows_how_far_it_came(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(
        make_arm([0.5], epochs=3, status="running"),
        make_arm([0.5, math.nan], epochs=3, status="diverged", train_from="layer4"),
    )
    (only,) = pivot(record)
    assert pivot_table(only).rows == (("3", "0.5000 (running)", "0.5000, nan (diverged)"),)


def test_seed_as_a_column_averages_nothing(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(make_arm([0.8], seed=1), make_arm([0.6], seed=0))
    (only,) = pivot(record, "epochs", "seed")
    assert pivot_table(only).columns == ("epochs", "seed 0", "seed 1")
    assert pivot_table(only).rows == (("1", "0.6000", "0.8000"),)


@pytest.mark.parametrize(
    ("settings", "described"),
    [
        ({"backbone": "vgg16"}, (("backbone", "resnet18"), ("backbone", "vgg16"))),
        ({"head": {"hidden": [4096, 4096], "dropout": 0.5}}, (("head", "linear"), ("head", "4096-4096 dropout 0.5"))),
        ({"augmentation": "flip"}, (("augmentation", "none"), ("augmentation", "flip"))),
        ({"schedule": {"name": "cosine"}}, (("schedule", "constant"), ("schedule", "cosine"))),
        (
            {"schedule": {"name": "step", "step_epochs": 2, "gamma": 0.1}},
            (("schedule", "constant"), ("schedule", "step step_epochs 2 gamma 0.1")),
        ),
        ({"optimizer": SGD}, (("optimizer", "adam 0.001"), ("optimizer", "sgd 0.001 momentum 0.9"))),
        ({"optimizer": {**SGD, "momentum": 0.0}}, (("optimizer", "adam 0.001"), ("optimizer", "sgd 0.001"))),
        (
            {"optimizer": {**SGD, "name": "adamw", "momentum": 0.0, "weight_decay": 0.0}},
            (("optimizer", "adam 0.001"), ("optimizer", "adamw 0.001 weight_decay 0")),
        ),
        ({"image_size": 128}, (("image_size", "224"), ("image_size", "128"))),
    ],
)
def test_arms_that_differ_in_something_else_are_never_mixed(
    make_arm: MakeArm, make_record: MakeRecord, settings: dict[str, Any], described: tuple[tuple[str, str], ...]
) -> None:
    record = make_record(make_arm([0.8, 0.6]), make_arm([0.5, 0.4], **settings))
    first, second = pivot(record)
    assert (first.settings, second.settings) == (described[:1], described[1:])
    assert pivot_table(first).rows == (("2", "0.8000, 0.6000"),)
    assert pivot_table(second).rows == (("2", "0.5000, 0.4000"),)


def test_phases_before_the_last_make_a_table_of_their_own(make_arm: MakeArm, make_record: MakeRecord) -> None:
    def two_phases(epochs: int) -> list[dict[str, Any]]:
        return [
            {"train_from": "head", "epochs": 1, "optimizer": {"name": "adam", "lr": 1e-3}},
            {"train_from": "layer4", "epochs": epochs},
        ]

    record = make_record(
        make_arm([0.4, 0.3, 0.2], train_from="layer4"),
        make_arm([0.8, 0.4, 0.3], train_from="layer4", phases=two_phases(2)),
        make_arm([0.8, 0.4, 0.3, 0.2, 0.1], train_from="layer4", phases=two_phases(4)),
    )
    single, gradual = pivot(record)
    assert single.settings == (("phases", "one"),)
    assert gradual.settings == (("phases", "after head 1 epoch adam 0.001"),)
    assert gradual.rows == ("3", "5")


def test_dotted_keys_reach_into_tables(make_arm: MakeArm, make_record: MakeRecord) -> None:
    arms = [make_arm([loss], optimizer={**SGD, "lr": lr}) for lr, loss in ((0.1, 0.3), (0.01, 0.5))]
    arms.append(make_arm([0.9], optimizer={**SGD, "lr": 0.1, "momentum": 0.0}))
    with_momentum, without = pivot(make_record(*arms), "optimizer.lr", "train_from")
    # Numbers ascend, whatever the order of the study.
    assert with_momentum.rows == ("0.01", "0.1")
    assert with_momentum.settings == (("optimizer.momentum", "0.9"),)
    assert without.settings == (("optimizer.momentum", "0"),)


@pytest.mark.parametrize(
    ("measure", "cells"),
    [
        ("train_loss", "0.8000, 0.6000"),
        ("val_loss", "0.9000, 0.7000"),
        ("val_accuracy", "51.0%, 52.0%"),
    ],
)
def test_measures(make_arm: MakeArm, make_record: MakeRecord, measure: Any, cells: str) -> None:
    (only,) = pivot(make_record(make_arm([0.8, 0.6])), measure=measure)
    assert pivot_table(only).rows == (("2", cells),)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("epochs", "epochs"), 'two different keys, not "epochs" twice'),
        (("epochs", "train_form"), '"train_form" is not a setting .*did you mean "train_from"'),
        (("lr", "epochs"), r'"lr" is not a setting .*did you mean "optimizer\.lr"\?'),
        (("dropout", "epochs"), r'did you mean "head\.dropout"\?'),
        (("zzz", "epochs"), "the settings are .*optimizer.lr"),
        (("phases", "epochs"), '"phases" is not a setting'),
        (("optimizer.lr.x", "epochs"), "is not a setting"),
    ],
)
def test_unknown_keys(exercise: RunRecord, keys: tuple[str, str], message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        pivot(exercise, *keys)


def test_json_is_strict_and_has_the_means(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(make_arm([0.5, math.nan], epochs=3, status="diverged"), make_arm([0.5], train_from="layer4"))
    (only,) = pivot(record)
    answer = json.loads(json.dumps(only.to_json(), allow_nan=False))
    assert answer["rows"] == {"key": "epochs", "values": ["1", "3"]}
    assert answer["columns"] == {"key": "train_from", "values": ["head", "layer4"]}
    assert answer["cells"] == [
        [None, {"values": [0.5], "n": 1, "others": []}],
        [{"values": [0.5, None], "n": 0, "others": ["diverged"]}, None],
    ]


def test_varies(exercise: RunRecord) -> None:
    assert varies(exercise, "epochs")
    assert varies(exercise, "optimizer")
    assert not varies(exercise, "backbone")
    assert not varies(exercise, "no such key")

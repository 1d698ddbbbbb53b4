"""Alone equals in company: an arm's numbers depend on that arm alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import LITE0, RESNET, numbers_of, small_study

import frostline
from frostline.execution._chosen import choose_arms
from frostline.ledger import ArmRecord, EpochRow, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

ARMS: list[dict[str, Any]] = [
    {"train_from": "head", "optimizer": {"name": "adam", "lr": 1e-3}, "epochs": 2},
    {"train_from": "head", "optimizer": {"name": "adam", "lr": 1e-3}, "epochs": 4},
    {"train_from": "head", "optimizer": {"name": "sgd", "lr": 1e-2, "momentum": 0.9}, "seed": 1},
    {"train_from": "head", "schedule": "cosine", "epochs": 2},
    {"train_from": "layer4", "optimizer": {"name": "sgd", "lr": 1e-3}},
    {"train_from": "head", "head": {"hidden": [16], "dropout": 0.5}},
    {"train_from": "head", "augmentation": "crop-flip", "views": 2},
    {"phases": [{"train_from": "head", "epochs": 1}, {"train_from": "layer4", "epochs": 1}]},
]


def run(arms: list[dict[str, Any]]) -> dict[str, Any]:
    # Eager torch, whose bits don't depend on what else is asked of the same prefix.
    return numbers_of(frostline.run(small_study(*arms, **RESNET), cache="always", engine="torch", resume=False))


def test_alone_equals_in_company(fresh_places: Callable[[str], None]) -> None:
    fresh_places("company")
    company = run(ARMS)
    assert len(company) == len(ARMS)
    for number, arm in enumerate(ARMS):
        fresh_places(f"alone {number}")
        ((name, alone),) = run([arm]).items()
        assert alone == company[name], name


def test_the_order_of_the_arms_does_not_matter(fresh_places: Callable[[str], None]) -> None:
    fresh_places("forwards")
    forwards = run(ARMS)
    fresh_places("backwards")
    assert run(ARMS[::-1]) == forwards


@pytest.mark.parametrize(
    "network",
    [
        # An engine folds BatchNorm into the convolution before it where it sees both.
        {**RESNET, "train_from": ["head", "layer4.1.bn2"]},
        pytest.param(RESNET, marks=pytest.mark.slow),
        pytest.param({**LITE0, "train_from": ["head", "blocks.5"]}, marks=pytest.mark.slow),
    ],
)
def test_a_second_cut_in_a_pass_changes_no_bit(network: dict[str, Any], fresh_places: Callable[[str], None]) -> None:
    """On OpenVINO a prefix is compiled with all of its cuts, and what another study stored is used."""
    places = network.get("train_from", ["head", "layer4"])
    head, late = ({**network, "train_from": place} for place in places)
    numbers = []
    for name, arms in {"alone": [head], "company": [head, late], "company first": [late, head]}.items():
        fresh_places(name)
        record = frostline.run(small_study(*arms), cache="always")
        (own,) = (arm.name for arm in record.arms if arm.recipe["phases"][0]["train_from"] == "head")
        numbers.append(numbers_of(record)[own])
    assert numbers[0] == numbers[1] == numbers[2]


def test_an_arm_does_not_fail_for_what_its_company_does_later(fresh_places: Callable[[str], None]) -> None:
    """The longer arm diverges on the trajectory that the shorter one left before."""
    wild = {"train_from": "head", "optimizer": {"name": "sgd", "lr": 0.1, "weight_decay": 25.0}}
    longer = {**wild, "epochs": 12}
    shorter = {"phases": [{**wild, "epochs": 1}, {"train_from": "layer4", "epochs": 1, "optimizer": {"name": "sgd"}}]}
    fresh_places("company")
    company = frostline.run(small_study(longer, shorter, **RESNET), cache="always", engine="torch")
    assert [arm.status for arm in company.arms] == ["diverged", "complete"]
    fresh_places("alone")
    alone = frostline.run(small_study(shorter, **RESNET), cache="always", engine="torch")
    assert numbers_of(alone)[company.arms[1].name] == numbers_of(company)[company.arms[1].name]


def test_a_recipe_of_which_a_seed_diverges_is_not_chosen() -> None:
    def arm(recipe: str, seed: int, status: str, accuracy: float) -> ArmRecord:
        rows = (EpochRow(1, 0.5, 0.5, accuracy, 1.0),)
        return ArmRecord(f"{recipe} {seed}", {"lr": recipe, "seed": seed}, status, None, (Segment("t", 1),), rows)

    steady = [arm("low", seed, "complete", 0.8) for seed in range(3)]
    lucky = [arm("high", 0, "complete", 0.95), arm("high", 1, "diverged", 0.1), arm("high", 2, "complete", 0.9)]
    assert choose_arms([*lucky, *steady]) == steady
    assert choose_arms(lucky) == []

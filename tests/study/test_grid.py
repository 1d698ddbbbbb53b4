"""Grids: which arms a study's lists stand for, in which order, under which names."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from frostline.errors import StudyError
from frostline.study import Arm, Data, Head, Optimizer, Recipe, Schedule, Study

DIGITS = Data(source="digits")


def expand(*arms: Any, **defaults: Any) -> tuple[Arm, ...]:
    return Study(data=DIGITS, defaults=defaults, arms=list(arms)).expand()


def names(*arms: Any, **defaults: Any) -> list[str]:
    return [arm.name for arm in expand(*arms, **defaults)]


# -- expansion


def test_a_list_stands_for_an_arm_for_each_value_as_written_with_seeds_varying_fastest() -> None:
    arms = expand({"seed": [0, 1], "train_from": ["head", "layer4"], "epochs": [5, 2]})
    told = [(arm.recipe.train_from, arm.recipe.total_epochs, arm.recipe.seed) for arm in arms]
    assert told == list(itertools.product(["head", "layer4"], [5, 2], [0, 1]))


def test_defaults_vary_slower_than_an_arms_own_lists_but_for_seeds() -> None:
    arms = expand({"epochs": [2, 3]}, seed=[0, 1], backbone=["resnet18", "vgg16"])
    told = [(arm.recipe.backbone, arm.recipe.total_epochs, arm.recipe.seed) for arm in arms]
    assert told == list(itertools.product(["resnet18", "vgg16"], [2, 3], [0, 1]))


def test_an_arm_overrides_defaults_key_by_key() -> None:
    (arm,) = expand({"seed": 7, "optimizer": {"lr": 0.1}}, seed=[0, 1], optimizer="sgd", epochs=4)
    assert arm.recipe == Recipe(seed=7, optimizer=Optimizer(name="adam", lr=0.1), epochs=4)


def test_lists_inside_tables_and_lists_of_tables_are_grids() -> None:
    arms = expand({"optimizer": [{"name": "sgd", "momentum": [0, 0.9]}, "adam", {"name": "adamw", "lr": [1e-3, 0.01]}]})
    assert [arm.recipe.phases[0].optimizer for arm in arms] == [
        Optimizer(name="sgd"),
        Optimizer(name="sgd", momentum=0.9),
        Optimizer(name="adam"),
        Optimizer(name="adamw", lr=1e-3),
        Optimizer(name="adamw", lr=0.01),
    ]


def test_hidden_layers_are_a_list_and_lists_of_them_a_grid() -> None:
    one = expand({"head": {"hidden": [4096, 4096], "dropout": [0.0, 0.5]}})
    assert [arm.recipe.head for arm in one] == [Head(hidden=(4096, 4096)), Head(hidden=(4096, 4096), dropout=0.5)]
    several = expand({"head": ["linear", {"hidden": [[], [8], [8, 4]]}]}, {"head": {"hidden": []}, "seed": 1})
    assert [arm.recipe.head.hidden for arm in several] == [(), (8,), (8, 4), ()]


def test_class_weights_can_be_a_grid() -> None:
    arms = expand({"class_weights": ["none", "balanced", {"cat": [1, 2]}]})
    assert [arm.recipe.class_weights for arm in arms] == ["none", "balanced", {"cat": 1.0}, {"cat": 2.0}]


def test_a_class_may_be_called_like_a_key() -> None:
    (arm,) = expand({"class_weights": {"hidden": 1, "phases": 2, "seed": 3}})
    assert arm.recipe.class_weights == {"hidden": 1.0, "phases": 2.0, "seed": 3.0}


def test_an_empty_arm_is_the_defaults() -> None:
    assert [arm.recipe for arm in expand({}, epochs=2)] == [Recipe(epochs=2)]


def test_views_count_once_where_nothing_is_augmented() -> None:
    arms = expand({"augmentation": ["none", "flip"], "views": [1, 4]})
    assert [(arm.recipe.augmentation, arm.recipe.views) for arm in arms] == [("none", 1), ("flip", 1), ("flip", 4)]


def test_the_most_arms_are_possible_and_not_one_more() -> None:
    assert len(expand({"seed": list(range(100)), "epochs": list(range(1, 101))})) == 10_000
    with pytest.raises(StudyError, match=r"arms: the grids make 10,001 arms; at most 10,000 are allowed"):
        expand({"seed": list(range(100)), "epochs": list(range(1, 101))}, {"seed": 1000})


# -- phases


def test_phases_are_a_list_with_grids_inside() -> None:
    arms = expand({"phases": [{"epochs": 1}, {"train_from": "layer4", "epochs": [2, 4], "optimizer": {"lr": 1e-4}}]})
    assert [[phase.epochs for phase in arm.recipe.phases] for arm in arms] == [[1, 2], [1, 4]]


def test_lists_of_phases_are_a_grid() -> None:
    arms = expand({"phases": [[{"epochs": 1}], [{"epochs": [1, 2]}, {"train_from": "all"}]]})
    assert [[phase.epochs for phase in arm.recipe.phases] for arm in arms] == [[1], [1, 3], [2, 3]]


def test_phases_inherit_grids() -> None:
    arms = expand({"phases": [{}, {"train_from": "all", "epochs": 9}]}, epochs=[1, 2], optimizer=["adam", "sgd"])
    told = [[(phase.epochs, phase.optimizer.name) for phase in arm.recipe.phases] for arm in arms]
    assert told == [
        [(1, "adam"), (9, "adam")],
        [(1, "sgd"), (9, "sgd")],
        [(2, "adam"), (9, "adam")],
        [(2, "sgd"), (9, "sgd")],
    ]


def test_phases_and_train_from_replace_each_other_between_defaults_and_arms() -> None:
    assert [arm.recipe for arm in expand({"phases": [{}]}, train_from="layer4")] == [Recipe()]
    assert [arm.recipe for arm in expand({"train_from": "all"}, phases=[{}, {}])] == [Recipe(train_from="all")]


# -- names

NAMES: list[tuple[dict[str, Any], str]] = [
    ({}, "resnet18 head adam-0.001 3ep seed0"),
    ({"train_from": "layer4", "epochs": 5}, "resnet18 layer4 adam-0.001 5ep seed0"),
    ({"optimizer": {"name": "sgd", "lr": 1, "momentum": 0.9}}, "resnet18 head sgd-1-m0.9 3ep seed0"),
    (
        {"optimizer": {"name": "sgd", "lr": 1e-05, "momentum": 0.5, "nesterov": True, "stage_decay": 0.5}},
        "resnet18 head sgd-1e-05-m0.5-nesterov-sd0.5 3ep seed0",
    ),
    ({"optimizer": {"name": "adamw", "weight_decay": 0.01}}, "resnet18 head adamw-0.001 3ep seed0"),
    ({"optimizer": {"name": "adamw", "weight_decay": 0}}, "resnet18 head adamw-0.001-wd0 3ep seed0"),
    ({"schedule": "cosine"}, "resnet18 head adam-0.001 3ep cosine seed0"),
    ({"schedule": "step"}, "resnet18 head adam-0.001 3ep step-2-0.1 seed0"),
    ({"augmentation": "flip"}, "resnet18 head adam-0.001 3ep flip-4 seed0"),
    ({"augmentation": "crop-flip", "views": "fresh"}, "resnet18 head adam-0.001 3ep crop-flip-fresh seed0"),
    ({"augmentation": "flip", "views": 1}, "resnet18 head adam-0.001 3ep flip-1 seed0"),
    ({"head": {"hidden": [8, 4], "dropout": 0.5}}, "resnet18 head adam-0.001 3ep hidden8-4-dropout0.5 seed0"),
    ({"frozen_norm": "batch", "tail_norm": "stored"}, "resnet18 head adam-0.001 3ep frozen-batch tail-stored seed0"),
    ({"image_size": 64, "batch_size": 8}, "resnet18 head adam-0.001 3ep 64px batch8 seed0"),
    ({"weights": "a/b.pth", "activations": "float16"}, "resnet18 head adam-0.001 3ep weights=a/b.pth float16 seed0"),
    ({"activations": "auto"}, "resnet18 head adam-0.001 3ep activations-auto seed0"),
    ({"label_smoothing": 0.1, "class_weights": "balanced"}, "resnet18 head adam-0.001 3ep smooth0.1 balanced seed0"),
    ({"class_weights": {"cat": 2, "dog": 0.5}}, "resnet18 head adam-0.001 3ep classes(cat=2,dog=0.5) seed0"),
    (
        {"phases": [{"epochs": 1}, {"train_from": "layer4", "epochs": 2, "schedule": "one-cycle"}], "seed": 4},
        "resnet18 head adam-0.001 1ep then layer4 adam-0.001 2ep one-cycle seed4",
    ),
]


@pytest.mark.parametrize(("arm", "name"), NAMES)
def test_names_say_all_that_is_not_the_default(arm: dict[str, Any], name: str) -> None:
    assert names(arm) == [name]


def test_no_two_recipes_share_a_name() -> None:
    assert len(names(*[arm for arm, _ in NAMES])) == len({name for _, name in NAMES})


def test_another_arm_never_renames_one() -> None:
    alone = names({"epochs": [2, 3]})
    assert names({"train_from": "all"}, {"epochs": [2, 3]}, {"seed": 5, "name": "x"})[1:3] == alone
    alone = names({"name": "mine", "epochs": [2, 3]})
    assert names({"train_from": "all"}, {"name": "mine", "epochs": [2, 3]})[1:] == alone


def test_a_given_name_keeps_what_varies_beside_it() -> None:
    assert names({"name": "mine"}) == ["mine"]
    assert names({"name": "mine", "epochs": [2, 3]}) == ["mine 2ep", "mine 3ep"]
    assert names({"name": "mine", "schedule": ["constant", "cosine"]}, seed=[0, 1]) == [
        "mine seed0",
        "mine seed1",
        "mine cosine seed0",
        "mine cosine seed1",
    ]
    assert names({"name": "head first", "phases": [{"epochs": 1}, {"train_from": "all", "epochs": [2, 4]}]}) == [
        "head first 2ep",
        "head first 4ep",
    ]


def test_asking_twice_for_the_same_is_one_arm() -> None:
    overlapping = names({"epochs": [2, 3]}, {"epochs": [2, 5], "optimizer": ["adam", "sgd"]})
    assert overlapping == [
        "resnet18 head adam-0.001 2ep seed0",
        "resnet18 head adam-0.001 3ep seed0",
        "resnet18 head sgd-0.001 2ep seed0",
        "resnet18 head adam-0.001 5ep seed0",
        "resnet18 head sgd-0.001 5ep seed0",
    ]
    assert names({"name": "x"}, {"name": "x"}) == ["x"]


def test_asking_for_the_same_under_another_name_is_an_error() -> None:
    with pytest.raises(StudyError, match=r'arms\[1\]: is the same as "x" under another name, "y"; keep one of the two'):
        expand({"name": "x"}, {"name": "y"})
    with pytest.raises(
        StudyError, match=r"arms\[1\]: is the same as .* under another name, \"y\"; keep one of the two"
    ):
        expand({}, {"name": "y"})


# -- studies in Python


def test_arms_may_be_models() -> None:
    recipe = Recipe(epochs=2, optimizer="sgd", augmentation="flip", views=2)
    arms = expand(recipe, {"optimizer": Optimizer(name="adamw"), "schedule": Schedule(name="cosine")})
    assert [arm.recipe for arm in arms] == [recipe, Recipe(optimizer="adamw", schedule="cosine")]
    given = [Arm(name="first", recipe=recipe), Arm(name="second", recipe=Recipe(seed=3))]
    assert expand(*given) == tuple(given)


def test_numbers_of_numpy_and_paths_are_taken() -> None:
    import pathlib

    import numpy as np

    study = Study(
        data=Data(source="csv", path=pathlib.Path("a") / "b.csv"),  # type: ignore[arg-type]
        arms=[{"seed": list(np.arange(2)), "optimizer": {"lr": np.float64(0.5)}, "weights": pathlib.Path("w.pth")}],
    )
    assert [arm.recipe.seed for arm in study.expand()] == [0, 1]
    assert study.data.path == str(pathlib.Path("a") / "b.csv")
    assert "lr = 0.5}" in study.to_toml()


def test_a_study_keeps_no_hold_on_what_it_was_given() -> None:
    arm = {"epochs": [2, 3]}
    study = Study(data=DIGITS, arms=[arm])
    arm["epochs"].append(4)
    assert study.arms == [{"epochs": [2, 3]}]


def test_every_problem_of_a_study_in_python_is_told() -> None:
    with pytest.raises(StudyError, match="arms") as caught:
        Study(name="", data={"source": "digit"}, defaults={"sed": 1}, arms=[{"epochs": 0}, 3])  # type: ignore[list-item]
    assert [str(problem) for problem in caught.value.problems] == [
        'name = "": must not be empty',
        'data.source = "digit": must be "digits", "cifar10", "folder", "csv" or "parquet"; did you mean "digits"?',
        'defaults.sed = 1: unknown key; did you mean "seed"?',
        "arms[1] = 3: must be a table of recipe settings",
        "arms[0].epochs = 0: must be at least 1",
    ]


def test_a_study_that_holds_itself_is_refused() -> None:
    arm: dict[str, Any] = {}
    arm["head"] = arm
    with pytest.raises(StudyError, match="nested more than 12 deep"):
        expand(arm)


def test_the_digest_is_of_what_is_asked() -> None:
    study = Study(data=DIGITS, arms=[{"epochs": [2, 3]}])
    assert study.digest == Study(name="other", data=DIGITS, defaults={"epochs": [2, 3]}, arms=[{}]).digest
    assert hash(study) == hash(Study(data=DIGITS, arms=[{"epochs": [2, 3]}]))
    changed = [
        Study(data=Data(source="digits", train=100), arms=[{"epochs": [2, 3]}]),
        Study(data=DIGITS, arms=[{"epochs": [2, 4]}]),
        Study(data=DIGITS, arms=[{"epochs": [2, 3], "name": "x"}]),
    ]
    assert len({study.digest, *(other.digest for other in changed)}) == 4

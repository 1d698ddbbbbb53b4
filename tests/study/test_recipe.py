"""Recipes: what short forms mean, what is normalised, what results show."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from frostline.errors import FrostlineError, StudyError
from frostline.study import Arm, Data, Head, Optimizer, Phase, Recipe, Schedule


def test_the_short_keys_mean_a_single_phase() -> None:
    short = Recipe(train_from="layer4", epochs=5, optimizer="sgd", schedule="cosine")
    phase = Phase(train_from="layer4", epochs=5, optimizer=Optimizer(name="sgd"), schedule=Schedule(name="cosine"))
    assert short == Recipe(phases=(phase,))
    assert short.key() == Recipe(phases=(phase,)).key()


def test_nothing_said_is_a_head_trained_with_adam() -> None:
    recipe = Recipe()
    assert recipe.phases == (Phase(train_from="head", epochs=3, optimizer=Optimizer(name="adam", lr=0.001)),)
    assert (recipe.backbone, recipe.weights, recipe.image_size, recipe.batch_size) == ("resnet18", "default", 224, 64)


def test_phases_inherit_what_they_leave_out() -> None:
    recipe = Recipe(
        epochs=2,
        optimizer={"name": "sgd", "lr": 0.1},
        schedule="step",
        phases=[{"train_from": "head"}, {"train_from": "layer4", "epochs": 4, "optimizer": {"lr": 1e-4}}],
    )
    first, second = recipe.phases
    assert (first.epochs, first.optimizer.name, first.schedule.name) == (2, "sgd", "step")
    # A table replaces a table: nothing of sgd is left in the second phase.
    assert (second.epochs, second.optimizer, second.schedule.name) == (4, Optimizer(lr=1e-4), "step")
    assert recipe.total_epochs == 6
    assert recipe.train_from == "layer4"


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_weight_decay_left_out_is_torchs_own(name: Any) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    classes: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    assert Optimizer(name=name).weight_decay == classes[name](parameters, lr=0.1).defaults["weight_decay"]


def test_views_are_one_without_augmentation() -> None:
    assert Recipe(augmentation="none", views=7).views == 1
    assert Recipe(augmentation="none", views="fresh").views == 1
    assert Recipe(augmentation="flip").views == 4
    assert Recipe(augmentation="flip", views="fresh").views == "fresh"


def test_equal_recipes_have_equal_keys_however_they_are_written() -> None:
    written = [
        Recipe(optimizer="adam"),
        Recipe(optimizer={"lr": 0.001, "name": "adam", "weight_decay": 0}),
        Recipe(head="linear", views=3, epochs=3),
        Recipe(**Recipe().model_dump()),
    ]
    assert len({recipe.key() for recipe in written}) == len(set(written)) == 1


def test_every_field_changes_the_key() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"backbone": "resnet34"},
        {"weights": "none"},
        {"image_size": 64},
        {"batch_size": 32},
        {"seed": 1},
        {"head": {"hidden": [8]}},
        {"head": {"hidden": [8], "dropout": 0.1}},
        {"train_from": "layer4"},
        {"epochs": 4},
        {"optimizer": {"lr": 0.01}},
        {"optimizer": {"stage_decay": 0.5}},
        {"optimizer": {"weight_decay": 0.5}},
        {"optimizer": "sgd"},
        {"optimizer": {"name": "sgd", "momentum": 0.9}},
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
        {"schedule": "cosine"},
        {"schedule": "step"},
        {"schedule": {"name": "step", "gamma": 0.5}},
        {"augmentation": "flip"},
        {"augmentation": "flip", "views": 2},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"class_weights": {"cat": 2}},
        {"frozen_norm": "batch"},
        {"tail_norm": "stored"},
        {"activations": "float16"},
        {"phases": [{}, {}]},
    ]
    recipes = [Recipe(**change) for change in changes]
    for one, other in itertools.combinations(recipes, 2):
        assert one.key() != other.key()


def test_results_show_the_last_phase_and_all_epochs() -> None:
    shown = Recipe(phases=[{"epochs": 1}, {"train_from": "layer4", "epochs": 2, "optimizer": "sgd"}]).to_json()
    assert list(shown)[:4] == ["backbone", "train_from", "optimizer", "epochs"]
    assert (shown["train_from"], shown["epochs"], shown["seed"]) == ("layer4", 3, 0)
    assert shown["optimizer"] == {
        "name": "sgd",
        "lr": 0.001,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "stage_decay": 1.0,
    }
    assert [phase["train_from"] for phase in shown["phases"]] == ["head", "layer4"]


def test_schedules_know_whether_the_horizon_matters() -> None:
    ignoring = {name for name in ("constant", "cosine", "one-cycle", "step") if Schedule(name=name).ignores_horizon}
    assert ignoring == {"constant", "step"}


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().seed = 1


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (Recipe, {"sed": 1}, 'Recipe: sed = 1: unknown key; did you mean "seed"?'),
    (Recipe, {"epochs": 0}, "Recipe: epochs = 0: must be at least 1"),
    (Recipe, {"optimizer": {"lr": 0}}, "Recipe: optimizer.lr = 0: must be above 0"),
    (Recipe, {"phases": [{"epochs": 0}]}, "Recipe: phases[0].epochs = 0: must be at least 1"),
    (Recipe, {"phases": []}, "Recipe: phases = []: must have from 1 to 32 entries"),
    (
        Recipe,
        {"phases": [{}], "train_from": "head"},
        'Recipe: train_from = "head": cannot be combined with phases, each of which has its own',
    ),
    (Recipe, {"seed": None}, "Recipe: seed = None: must be a whole number"),
    (Optimizer, {"lr": True}, "Optimizer: lr = true: must be a number"),
    (Optimizer, {"lr": 10**400}, "Optimizer: lr = an integer of 1329 bits: must be a number of at most"),
    (Optimizer, {"name": "adm"}, 'Optimizer: name = "adm": must be "sgd", "adam" or "adamw"; did you mean "adam"?'),
    (
        Optimizer,
        {"momentum": 0.9},
        'Optimizer: momentum = 0.9: applies only to the optimizer "sgd"; this one is "adam"',
    ),
    (Schedule, {"gamma": 0.5}, 'Schedule: gamma = 0.5: applies only to the schedule "step"; this one is "constant"'),
    (Head, {"dropout": 0.5}, "Head: dropout = 0.5: needs hidden layers, such as hidden = [512]"),
    (Phase, {"train_from": 3}, "Phase: train_from = 3: must be text in quotes"),
    (Data, {}, "Data: source: is missing"),
    (Data, {"source": "csv"}, 'Data: path: is missing: the source "csv" needs the file to read'),
    (Arm, {"name": "x", "recipe": 3}, "Arm: recipe = 3: must be a table"),
]


@pytest.mark.parametrize(("model", "settings", "message"), WRONG)
def test_models_made_in_python_raise_our_own_errors(model: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match="^" + model.__name__) as caught:
        model(**settings)
    assert isinstance(caught.value, FrostlineError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(message)
    assert len(caught.value.problems) == 1


def test_all_problems_of_a_model_are_told() -> None:
    with pytest.raises(StudyError, match="Recipe") as caught:
        Recipe(epochs=0, seed=-1, optimizer={"lr": -1}, backbone="a b")
    assert {problem.key for problem in caught.value.problems} == {"epochs", "seed", "optimizer.lr", "backbone"}

"""Keys that don't exist where they are given: whatever a person calls them, the one that is meant is found."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from frostline.errors import StudyError
from frostline.study import Data, Recipe, Study
from frostline.study._hints import LEVELS, unknown_key
from frostline.study._other_names import KEPT_ELSEWHERE, OTHER_NAMES, OTHER_NAMES_HERE


@pytest.mark.parametrize(
    ("level", "key", "given", "meant"),
    [
        # What exists, a level away.
        ("recipe", "weight_decay", 0.01, 'optimizer.weight_decay: optimizer = {name = "adamw", weight_decay = 0.01}'),
        ("recipe", "lr", 0.001, 'optimizer.lr: optimizer = {name = "adam", lr = 0.001}'),
        ("recipe", "lr", [0.1, 0.2], 'optimizer.lr: optimizer = {name = "adam", lr = [0.1, 0.2]}'),
        ("recipe", "lr", {"min": 1}, 'optimizer.lr: optimizer = {name = "adam", lr = ..}'),
        ("recipe", "momentum", 0.9, 'optimizer.momentum: optimizer = {name = "sgd", momentum = 0.9}'),
        ("recipe", "dropout", 0.5, "head.dropout: head = {hidden = [512], dropout = 0.5}"),
        ("recipe", "hidden", 512, "head.hidden: head = {hidden = [512]}"),
        ("recipe", "gamma", 0.5, 'schedule.gamma: schedule = {name = "step", gamma = 0.5}'),
        ("recipe", "path", "photos", "data.path, in [data]"),
        ("recipe", "data", {}, "data, at the top of the study"),
        ("study", "batch_size", 32, "batch_size, in [defaults] or [[arms]]"),
        ("study", "test", 32, "data.test, in [data]"),
        ("study", "lr", 0.1, 'optimizer.lr, in [defaults] or [[arms]]: optimizer = {name = "adam", lr = 0.1}'),
        ("data", "epochs", 3, "epochs, in [defaults] or [[arms]]"),
        ("optimizer", "epochs", 3, "epochs, beside optimizer, not in it"),
        ("phases", "lr", 0.1, 'optimizer.lr: optimizer = {name = "adam", lr = 0.1}'),
        ("phases", "image_size", 64, "image_size, in the arm, beside its phases"),
        # What other libraries say.
        ("recipe", "model", "resnet18", '"backbone"'),
        ("recipe", "arch", "resnet18", '"backbone"'),
        ("recipe", "network", "resnet18", '"backbone"'),
        ("recipe", "learning_rate", 0.1, 'optimizer.lr: optimizer = {name = "adam", lr = 0.1}'),
        ("recipe", "Learning-Rate", 0.1, 'optimizer.lr: optimizer = {name = "adam", lr = 0.1}'),
        ("recipe", "wd", 0.1, 'optimizer.weight_decay: optimizer = {name = "adamw", weight_decay = 0.1}'),
        ("recipe", "bs", 32, '"batch_size"'),
        ("recipe", "batchsize", 32, '"batch_size"'),
        ("recipe", "n_epochs", 3, '"epochs"'),
        ("recipe", "num_epochs", 3, '"epochs"'),
        ("recipe", "max_epochs", 3, '"epochs"'),
        ("recipe", "size", 64, '"image_size"'),
        ("recipe", "img_size", 64, '"image_size"'),
        ("recipe", "pretrained", True, 'weights = "default"'),
        ("recipe", "pretrained", False, 'weights = "none"'),
        ("recipe", "pretrained", "mine.pth", '"weights"'),
        ("recipe", "freeze", True, 'train_from = "head"'),
        ("recipe", "freeze", "layer4", '"train_from"'),
        ("recipe", "unfreeze", True, 'train_from = "all"'),
        ("phases", "n_epochs", 3, '"epochs"'),
        ("phases", "unfreeze", True, 'train_from = "all"'),
        ("optimizer", "learning_rate", 0.1, '"lr"'),
        ("optimizer", "type", "adam", '"name"'),
        ("head", "units", 512, '"hidden"'),
        ("data", "valid_pct", 0.2, '"val"'),
        ("data", "root", "photos", '"path"'),
        # Misspelt: the nearest of all levels.
        ("recipe", "epoch", 3, '"epochs"'),
        ("recipe", "wieght_decay", 0.1, 'optimizer.weight_decay: optimizer = {name = "adamw", weight_decay = 0.1}'),
        ("recipe", "learing_rate", 0.1, 'optimizer.lr: optimizer = {name = "adam", lr = 0.1}'),
        ("recipe", "drpout", 0.1, "head.dropout: head = {hidden = [512], dropout = 0.1}"),
        ("optimizer", "momentun", 0.9, '"momentum"'),
        ("data", "tset", 5, '"test"'),
    ],
)
def test_what_is_meant(level: str, key: str, given: object, meant: str) -> None:
    assert unknown_key(level, key, given) == f"unknown key; did you mean {meant}?"


@pytest.mark.parametrize(
    ("level", "key", "said"),
    [
        (
            "recipe",
            "device",
            "it is an option of the run: frostline run STUDY --device, in Python frostline.run(study, device=..)",
        ),
        (
            "study",
            "output_dir",
            "it is an option of the run: frostline run STUDY --workspace, in Python frostline.run(study, workspace=..)",
        ),
        ("data", "num_classes", "the classes come from the images"),
        ("data", "num_workers", "leave it out, as Frostline chooses this itself"),
        ("recipe", "loss", "the loss is cross-entropy; label_smoothing and class_weights change it"),
        ("recipe", "patience", "give a list, such as epochs = [2, 5, 10]: its arms share one training run"),
        ("optimizer", "betas", "Adam and AdamW run with torch's own betas and eps"),
        ("head", "zzz", "known here: hidden, dropout"),
        ("study", "colour", "known here: name, data, networks, defaults, arms"),
    ],
)
def test_what_has_no_key(level: str, key: str, said: str) -> None:
    assert unknown_key(level, key, 1) == f"unknown key; {said}"


GIVEN: dict[str, Any] = {"name": "sgd", "nesterov": True, "hidden": 64, "step_epochs": 2}


@pytest.mark.parametrize("level", ["optimizer", "schedule", "head"])
def test_every_example_is_a_recipe(level: str) -> None:
    for key in LEVELS[level]:
        if key == "name":
            continue
        hint = unknown_key("recipe", key, GIVEN.get(key, 0.5))
        match = re.fullmatch(rf"unknown key; did you mean {level}\.{key}: (.*)\?", hint)
        assert match is not None, hint
        assert Recipe(**tomllib.loads(match[1]))


def test_other_names_stand_for_keys_that_exist_and_hide_none() -> None:
    paths = {key for level in ("study", "recipe") for key in LEVELS[level]}
    paths |= {f"{level}.{key}" for level in ("data", "optimizer", "schedule", "head") for key in LEVELS[level]}
    assert set(OTHER_NAMES) <= paths
    names = [name for others in OTHER_NAMES.values() for name in others]
    assert len(names) == len(set(names))
    keys = {key for known in LEVELS.values() for key in known}
    assert not keys & (set(names) | set(KEPT_ELSEWHERE))
    assert not set(names) & set(KEPT_ELSEWHERE)
    for (level, _), key in OTHER_NAMES_HERE.items():
        assert key in LEVELS[level]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"lr": 0.1},
            r'^Recipe: lr = 0\.1: unknown key; did you mean optimizer\.lr: optimizer = {name = "adam", lr = 0\.1}\?$',
        ),
        ({"phases": [{"seed": 1}]}, r"^Recipe: phases\[0\]\.seed = 1: .* did you mean seed, in the arm"),
        (
            {"head": {"bs": 1}},
            r"^Recipe: head\.bs = 1: unknown key; did you mean batch_size, beside head, not in it\?$",
        ),
    ],
)
def test_recipes_made_in_python_say_the_same(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Recipe(**settings)


def test_studies_and_data_made_in_python_say_the_same() -> None:
    with pytest.raises(StudyError, match=r'^Data: root = "x": unknown key; did you mean "path"\?$'):
        Data(source="digits", root="x")  # type: ignore[call-arg]
    with pytest.raises(StudyError, match=r'^defaults\.model = "resnet18": unknown key; did you mean "backbone"\?$'):
        Study(data={"source": "digits"}, defaults={"model": "resnet18"}, arms=[{}])

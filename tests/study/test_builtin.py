"""The studies that ship with Frostline, and writing studies out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from frostline.study import Data, Head, Optimizer, Recipe, Study, builtin_studies, load_study

if TYPE_CHECKING:
    from pathlib import Path


def test_each_built_in_study_is_described_in_a_line() -> None:
    assert list(builtin_studies()) == ["cifar10-exercise", "starter"]
    for description in builtin_studies().values():
        assert 20 < len(description) < 100
        assert description.endswith(".")


def test_the_exercise_asks_all_of_the_exercise() -> None:
    study = load_study("cifar10-exercise")
    assert study.data == Data(source="cifar10")
    adam, sgd = Optimizer(name="adam", lr=0.001), Optimizer(name="sgd", lr=0.001, momentum=0.9)
    mlp = Head(hidden=(4096, 4096), dropout=0.5)
    expected = {
        *(Recipe(train_from=cut, epochs=n, optimizer=adam) for cut in ("head", "layer4") for n in (2, 3, 5)),
        *(Recipe(train_from="head", epochs=n, optimizer=sgd) for n in (2, 5)),
        *(Recipe(backbone="vgg16", head=mlp, train_from=cut, epochs=2, optimizer=adam) for cut in ("head", "all")),
    }
    assert {arm.recipe for arm in study.expand()} == expected
    assert len(study.expand()) == 10


def test_the_exercise_on_images_at_hand() -> None:
    overrides = ["data.source=parquet", "data.path=../shared/data/cifar10", "data.train=2000"]
    study = load_study("cifar10-exercise", overrides)
    assert study.data == Data(source="parquet", path="../shared/data/cifar10", train=2000)
    assert study.expand() == load_study("cifar10-exercise").expand()


def test_the_starter_crosses_frost_lines_optimizers_epochs_and_seeds() -> None:
    study = load_study("starter")
    assert study.data.source == "digits"
    told = {
        (r.train_from, r.phases[0].optimizer.name, r.total_epochs, r.seed)
        for r in (arm.recipe for arm in study.expand())
    }
    cuts = {arm.recipe.train_from for arm in study.expand()}
    assert len(cuts) == 2
    assert "head" in cuts
    assert told == set(itertools.product(cuts, ("adam", "sgd"), (2, 3, 5), (0, 1, 2)))
    assert {arm.recipe.backbone for arm in study.expand()} == {"timm:tf_efficientnet_lite0"}


STUDIES: list[dict[str, Any]] = [
    {"arms": [{}]},
    {"name": "a \u00fc 'b'", "arms": [{"name": 'quoted "x" \\ \U0001f98a', "epochs": [2, 3]}]},
    {
        "data": {"source": "csv", "path": 'C:\\a "b"', "train": 0.1, "val": 7, "test": 1.0, "on_bad_image": "skip"},
        "defaults": {"seed": [0, 2**63 - 1], "optimizer": [{"lr": [1e-300, 1e22, 5]}, "sgd"], "schedule": "step"},
        "arms": [
            {"class_weights": {"a b": 1, "\u00e9": 0.5, "x.y": 2}, "head": {"hidden": [[], [1, 2]]}},
            {
                "phases": [
                    [{}],
                    [
                        {"epochs": 1},
                        {"train_from": "all", "optimizer": {"nesterov": True, "name": "sgd", "momentum": 0.9}},
                    ],
                ]
            },
            {"augmentation": "flip", "views": ["fresh", 2], "weights": "none"},
        ],
    },
    {"data": {"source": "cifar10", "download": False, "seed": 3}, "arms": [{"frozen_norm": "batch"}]},
]


@pytest.mark.parametrize("given", STUDIES)
def test_written_out_and_read_again_a_study_is_the_same(given: dict[str, Any], tmp_path: Path) -> None:
    study = Study(**{"data": {"source": "digits"}, **given})
    file = tmp_path / "written.toml"
    file.write_text(study.to_toml(), encoding="utf-8")
    again = load_study(file)
    assert again == study
    assert again.expand() == study.expand()
    assert again.digest == study.digest
    assert again.to_toml() == study.to_toml()


@pytest.mark.parametrize("name", ["starter", "cifar10-exercise"])
def test_built_in_studies_survive_being_written_out(name: str, tmp_path: Path) -> None:
    file = tmp_path / "written.toml"
    file.write_text(load_study(name).to_toml(), encoding="utf-8")
    assert load_study(file) == load_study(name)

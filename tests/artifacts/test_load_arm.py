"""What an arm leaves behind gives its network again, with the stored logits bit for bit, wherever it is copied."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.execution.studies import LITE0, RESNET, small_study
from torchvision.models import resnet18

import frostline
from frostline.errors import ArtifactError, DataError, LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline import RunRecord, Study, TrainedArm

ARMS: list[dict[str, Any]] = [
    {"name": "head", "train_from": "head", "epochs": 1},
    {"name": "head sgd", "train_from": "head", "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9}},
    {"name": "hidden", "train_from": "head", "head": {"hidden": [12], "dropout": 0.3}},
    {"name": "late", "train_from": "layer4"},
    {"name": "late half", "train_from": "layer4", "activations": "float16"},
    {"name": "whole", "train_from": "all", "epochs": 1},
    {
        "name": "gradual",
        "phases": [
            {"train_from": "head", "epochs": 1},
            {"train_from": "layer4", "epochs": 1, "optimizer": {"name": "adam", "lr": 1e-4}},
        ],
    },
]


def study() -> Study:
    return small_study(*ARMS, **RESNET)


@pytest.fixture(scope="module", params=["openvino", pytest.param("torch", marks=pytest.mark.slow), "plain"])
def copied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """A finished run, and its folder copied to another place."""
    place = tmp_path_factory.mktemp(request.param)
    plain = request.param == "plain"
    engine = "auto" if plain else request.param
    record = frostline.run(study(), workspace=place / "runs", plain=plain, engine=engine, cache="always")
    shutil.copytree(record.directory, place / "elsewhere" / "run")
    return record, place / "elsewhere" / "run"


def images_of(split: str) -> list[NDArray[np.uint8]]:
    dataset = frostline.load_dataset(study().data)
    return [dataset.pixels(split, position) for position in range(len(dataset.split(split)))]


@pytest.mark.parametrize("name", [arm["name"] for arm in ARMS])
def test_the_stored_logits_come_out_again(
    copied: tuple[RunRecord, Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder = copied
    monkeypatch.chdir(tmp_path)
    arm = frostline.load_arm(folder, name)
    images = images_of("val")
    assert torch.equal(arm.logits(images), arm.validation.logits)
    assert float((arm.validation.classes == arm.validation.labels).mean()) == record.arm(name).epochs[-1].val_accuracy
    assert (arm.name, arm.classes) == (name, tuple(str(digit) for digit in range(10)))
    assert arm.recipe == dict(_recipes())[name]
    # By the network alone, frozen stages in eager torch and in one batch, they are the same but for rounding.
    network = arm.network
    assert not any(module.training for module in network.modules())
    with torch.inference_mode():
        whole = network(_normalised(images, arm))
    bound = 1e-2 if arm.numerics.activations == "float16" else 1e-3
    assert torch.allclose(whole, arm.validation.logits, rtol=bound, atol=bound * float(whole.abs().max()))


def test_the_chosen_arm_has_its_test_logits(copied: tuple[RunRecord, Path]) -> None:
    record, folder = copied
    arm = frostline.load_arm(folder)
    assert (arm.name,) == record.chosen
    assert arm.test is not None
    assert torch.equal(arm.logits(images_of("test")), arm.test.logits)
    assert float((arm.test.classes == arm.test.labels).mean()) == record.arm(arm.name).test_accuracy
    others = [each.name for each in record.arms if each.name not in record.chosen]
    assert all(frostline.load_arm(folder, name).test is None for name in others)


def test_predictions_say_which_images_they_are_of(copied: tuple[RunRecord, Path]) -> None:
    dataset = frostline.load_dataset(study().data)
    stored = frostline.load_arm(copied[1], "head").validation
    assert stored.ids == dataset.val.digests
    assert stored.names == tuple(dataset.name("val", position) for position in range(len(dataset.val)))
    assert np.array_equal(stored.labels, dataset.val.labels)
    assert torch.allclose(stored.probabilities.sum(dim=1), torch.ones(len(dataset.val)))


def test_images_may_be_files_pillow_images_or_arrays(copied: tuple[RunRecord, Path], tmp_path: Path) -> None:
    arm = frostline.load_arm(copied[1], "late")
    arrays = images_of("val")[:3]
    pictures = [Image.fromarray(array) for array in arrays]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    expected = arm.logits(arrays)
    assert torch.equal(arm.logits(pictures), expected)
    assert torch.equal(arm.logits(files), expected)
    assert torch.equal(arm.logits([str(files[0]), pictures[1], arrays[2]]), expected)
    assert arm.logits([]).shape == (0, 10)
    for given, message in (
        (tmp_path / "none.png", "none.png does not exist"),
        (np.zeros((4, 4), np.uint8), r"image 0 is an array uint8 \[4, 4\]: uint8 \[H, W, 3\] is needed"),
    ):
        with pytest.raises(DataError, match=message):
            arm.logits([given])


def test_a_copied_run_is_known_by_its_folder(copied: tuple[RunRecord, Path]) -> None:
    record, folder = copied
    again = frostline.load_run(folder)
    assert again.directory == folder
    assert json.dumps(again.to_json()) == json.dumps({**record.to_json(), "directory": str(folder)})
    assert frostline.load_run(str(folder)) == again
    assert (again.study_digest, again.definition) == (record.study_digest, record.definition)


@pytest.fixture
def alone(copied: tuple[RunRecord, Path], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(copied[1], tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["model.safetensors", "val.safetensors", "arm.json"])
def test_damage_is_named(alone: Path, name: str) -> None:
    (path,) = alone.glob(f"arms/late-*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{name}.* (is damaged: copy it again|can't be read)"):
        frostline.load_arm(alone, "late")
    path.unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        frostline.load_arm(alone, "late")


def test_a_damaged_record_is_named(alone: Path) -> None:
    (alone / "run.json").write_text("{")
    with pytest.raises(LedgerError, match=r"run\.json can't be read .* copy the run's folder again"):
        frostline.load_run(alone)
    (alone / "run.json").unlink()
    with pytest.raises(LedgerError, match=r"no run\.json there, so this is not the folder of a run that has ended"):
        frostline.load_run(alone)


def test_an_arm_that_is_not_there_is_named(copied: tuple[RunRecord, Path]) -> None:
    with pytest.raises(ArtifactError, match=r'has no arm "haed", but "head", .* did you mean "head"\?'):
        frostline.load_arm(copied[1], "haed")


def test_other_weights_are_refused_and_those_that_were_moved_are_found(tmp_path: Path) -> None:
    weights = resnet18().state_dict()
    path = tmp_path / "mine.pth"
    torch.save(weights, path)
    asked = small_study({"train_from": "head", "epochs": 1}, **{**RESNET, "weights": str(path)})
    record = frostline.run(asked, workspace=tmp_path / "runs")
    stored = frostline.load_arm(record).validation.logits
    moved = path.rename(tmp_path / "moved.pth")
    with pytest.raises(frostline.FrostlineError, match=r"mine\.pth"):
        frostline.load_arm(record)
    assert torch.equal(frostline.load_arm(record, weights=str(moved)).logits(images_of("val")), stored)
    weights["conv1.weight"] *= 2
    torch.save(weights, path)
    with pytest.raises(ArtifactError, match=r'was trained on other weights of resnet18 than ".*mine\.pth" has now'):
        frostline.load_arm(record)


def test_pretrained_weights_go_the_same_way(tmp_path: Path) -> None:
    record = frostline.run(small_study({"train_from": ["head", "blocks.6"], "epochs": 1}, **LITE0), workspace=tmp_path)
    for each in record.arms:
        arm = frostline.load_arm(record, each.name)
        assert torch.equal(arm.logits(images_of("val")), arm.validation.logits)


def _recipes() -> list[tuple[str, frostline.Recipe]]:
    return [(arm.name, arm.recipe) for arm in study().expand()]


def _normalised(images: list[NDArray[np.uint8]], arm: TrainedArm) -> torch.Tensor:
    from frostline.data import normalise, preprocess_image

    prepared = np.stack([preprocess_image(image, arm.preprocessing).transpose(2, 0, 1) for image in images])
    return normalise(torch.from_numpy(prepared), arm.preprocessing)

"""An image that went through a prefix once never goes through it again: seen from whole runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from tests.execution.studies import RESNET, numbers_of

import frostline
from frostline.execution.events import PassFinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from frostline import RunRecord


def write_images(root: Path, first: int, last: int) -> None:
    """Write digits as pictures into folders of their classes."""
    digits = load_digits()
    for number in range(first, last):
        folder = root / f"class {digits.target[number] % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.repeat(np.repeat(digits.images[number] * 15, 4, axis=0), 4, axis=1).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(folder / f"{number:04}.png")


def run(root: Path, **changes: Any) -> tuple[RunRecord, dict[str, tuple[int, int]]]:
    """Run a study of a folder; returns for each pass how many images it has, and how many of them it passed."""
    data = {"source": "folder", "path": str(root), **changes.pop("data", {})}
    arms = changes.pop("arms", [{"train_from": ["head", "layer4"]}])
    study = frostline.Study(
        name="pictures", data=data, defaults={"epochs": 1, "batch_size": 16, **RESNET, **changes}, arms=arms
    )
    counts: dict[str, tuple[int, int]] = {}

    def listen(event: object) -> None:
        if isinstance(event, PassFinished):
            counts["test" if event.name.endswith(", test") else event.name] = (event.n_images, event.n_passed)

    record = frostline.run(study, cache="always", listener=listen)
    assert sorted((row.n_images, row.n_passed) for row in record.passes) == sorted(counts.values())
    return record, counts


@pytest.fixture
def pictures(tmp_path: Path, fresh_places: Callable[[str], None]) -> Path:
    fresh_places("own")
    root = tmp_path / "pictures"
    write_images(root, 0, 100)
    return root


def n_passed(counts: dict[str, tuple[int, int]]) -> int:
    return sum(passed for _, passed in counts.values())


def test_a_folder_that_has_grown_passes_what_is_new(pictures: Path, fresh_places: Callable[[str], None]) -> None:
    _, first = run(pictures)
    assert sum(images for images, _ in first.values()) == n_passed(first) == 100
    write_images(pictures, 100, 112)
    record, second = run(pictures)
    assert sum(images for images, _ in second.values()) == 112
    # Of the test images only those of the chosen arm's cut are there, and some have moved to another split.
    assert n_passed({name: each for name, each in second.items() if name != "test"}) <= 12 + first["test"][0]
    fresh_places("nothing stored")
    anew, third = run(pictures)
    assert n_passed(third) == 112
    assert numbers_of(record) == numbers_of(anew)


@pytest.mark.parametrize("name", ["moved", "renamed", "another seed", "a subset", "another study"])
def test_what_was_passed_is_never_passed_again(
    name: str, pictures: Path, tmp_path: Path, fresh_places: Callable[[str], None]
) -> None:
    arms = [{"train_from": "head"}]
    run(pictures, arms=arms)
    changes: dict[str, Any] = {}
    if name == "moved":
        pictures = pictures.rename(tmp_path / "other place")
    elif name == "renamed":
        for path in sorted(pictures.glob("*/*.png")):
            path.rename(path.with_name(f"photo {999 - int(path.stem)}.png"))
    elif name == "another seed":
        changes["data"] = {"seed": 5}
    elif name == "a subset":
        changes["data"] = {"train": 30, "val": 20, "test": 10}
    else:
        changes["optimizer"] = {"name": "sgd", "lr": 0.1}
    record, counts = run(pictures, arms=arms, **changes)
    assert n_passed(counts) == 0
    fresh_places("nothing stored")
    anew, _ = run(pictures, arms=arms, **changes)
    assert numbers_of(record) == numbers_of(anew)


def test_stored_views_belong_to_images_too(pictures: Path, fresh_places: Callable[[str], None]) -> None:
    arms = [{"train_from": "head", "augmentation": "crop-flip", "views": 2, "epochs": 2}]
    whole = {"splits": {"train": "train", "val": "val", "test": "test"}}
    root = pictures.parent / "split"
    for number, path in enumerate(sorted(pictures.glob("*/*.png"))):
        part = ("train", "train", "train", "val", "test")[number % 5]
        (root / part / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / part / path.parent.name)
    run(root, arms=arms, data=whole)
    for path in sorted((root / "train").glob("*/*.png"))[::10]:
        path.rename(path.with_name("a" + path.name))
    record, counts = run(root, arms=arms, data=whole)
    assert n_passed(counts) == 0
    fresh_places("nothing stored")
    anew, _ = run(root, arms=arms, data=whole)
    assert numbers_of(record) == numbers_of(anew)

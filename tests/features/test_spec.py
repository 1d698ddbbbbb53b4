"""A key changes with everything that changes the numbers, and with nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from frostline.data import Preprocessing, View
from frostline.features import FeatureSpec, _spec

BASE = FeatureSpec(Preprocessing(224), View("flip", 0, 1), "resnet18", "weights", "layer4", "float32")

CHANGES: dict[str, dict[str, Any]] = {
    "image size": {"preprocessing": Preprocessing(192)},
    "interpolation": {"preprocessing": Preprocessing(224, "bicubic")},
    "mean": {"preprocessing": Preprocessing(224, mean=(0.5, 0.456, 0.406))},
    "std": {"preprocessing": Preprocessing(224, std=(0.229, 0.224, 0.226))},
    "no view": {"view": None},
    "augmentation": {"view": View("crop-flip", 0, 1)},
    "view seed": {"view": View("flip", 1, 1)},
    "view index": {"view": View("flip", 0, 2)},
    "backbone": {"backbone": "resnet34"},
    "weights": {"weights_digest": "other weights"},
    "cut": {"cut": "head"},
    "dtype": {"dtype": "float16"},
    "engine": {"engine": "torch"},
    "maker": {"maker": "torch 2.14.1, cpu AVX512"},
    "layout": {"layout": "channels_last"},
    "precision": {"precision": "bf16"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_changes_with(change: str) -> None:
    assert dataclasses.replace(BASE, **CHANGES[change]).key != BASE.key


def test_all_changes_give_different_keys() -> None:
    keys = {dataclasses.replace(BASE, **change).key for change in CHANGES.values()}
    assert len(keys) == len(CHANGES)


def test_every_field_is_tried() -> None:
    tried = {name for change in CHANGES.values() for name in change}
    assert tried == {field.name for field in dataclasses.fields(FeatureSpec)}


def test_the_key_changes_with_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BASE.key
    monkeypatch.setattr(_spec, "FORMAT_VERSION", _spec.FORMAT_VERSION + 1)
    assert BASE.key != before


def test_equal_specifications_have_equal_keys() -> None:
    twin = FeatureSpec(Preprocessing(224), View("flip", 0, 1), "resnet18", "weights", "layer4", "float32")
    assert twin.key == BASE.key


def test_stored_images_are_shared_by_networks_that_see_the_same_pixels() -> None:
    stored = dataclasses.replace(BASE, cut="input", dtype="uint8")
    other = dataclasses.replace(
        stored,
        backbone="vgg16",
        weights_digest="w",
        preprocessing=Preprocessing(224, mean=(0.5, 0.5, 0.5)),
        engine="torch",
        precision="bf16",
    )
    assert other.key == stored.key
    assert dataclasses.replace(stored, preprocessing=Preprocessing(192)).key != stored.key
    assert dataclasses.replace(stored, view=None).key != stored.key


@pytest.mark.parametrize(("cut", "dtype"), [("input", "float32"), ("layer4", "uint8")])
def test_uint8_goes_with_the_input_only(cut: str, dtype: str) -> None:
    with pytest.raises(ValueError, match=f'cut "{cut}" can\'t be stored as {dtype}'):
        dataclasses.replace(BASE, cut=cut, dtype=dtype)  # type: ignore[arg-type]

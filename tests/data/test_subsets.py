"""Splits and subsets: stratified, seeded, disjoint, and as stable as can be when a count changes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from frostline.data._subsets import allocate, choose_splits
from frostline.errors import DataError

Ids = NDArray[np.int64]
CLASSES = ("a", "b", "c", "d")


def labels_of(counts: tuple[int, ...], seed: int = 3) -> Ids:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


def choose(
    labels: Ids, parts: dict[str, Ids] | None = None, seed: int = 0, **asked: int | float | None
) -> dict[str, Ids]:
    whole: dict[str, int | float | None] = {"train": None, "val": None, "test": None}
    classes = tuple(f"class {k}" for k in range(int(labels.max()) + 1))
    return choose_splits(labels, classes, parts or {"train": np.arange(len(labels))}, whole | asked, seed)


def counts_of(labels: Ids, ids: Ids) -> list[int]:
    counts: list[int] = np.bincount(labels[ids], minlength=int(labels.max()) + 1).tolist()
    return counts


def test_defaults_take_a_fifth_for_test_and_a_tenth_for_val() -> None:
    labels = labels_of((400, 300, 200, 100))
    chosen = choose(labels)
    assert counts_of(labels, chosen["test"]) == [80, 60, 40, 20]
    assert counts_of(labels, chosen["val"]) == [40, 30, 20, 10]
    assert counts_of(labels, chosen["train"]) == [280, 210, 140, 70]


def test_the_smallest_default_splits_hold_every_class() -> None:
    labels = labels_of((3, 3, 40))
    chosen = choose(labels)
    assert all(min(counts_of(labels, ids)) >= 1 for ids in chosen.values())


ASKED: list[dict[str, Any]] = [
    {},
    {"train": 40},
    {"train": 0.5, "val": 0.25, "test": 0.25},
    {"train": 1.0},
    {"train": 4, "val": 4, "test": 4},
    {"val": 1, "test": 2},
]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("seed", [0, 1])
def test_splits_are_disjoint_sorted_and_stratified(asked: dict[str, Any], seed: int) -> None:
    labels = labels_of((50, 30, 15, 5))
    chosen = choose(labels, seed=seed, **asked)
    together = np.concatenate(list(chosen.values()))
    assert len(np.unique(together)) == len(together)
    for ids in chosen.values():
        assert (np.diff(ids) > 0).all()
        exact = np.array([50, 30, 15, 5]) * len(ids) / 100
        # one off by rounding, one by the promise that no class is lost, one by what the other splits took
        assert np.abs(np.array(counts_of(labels, ids)) - exact).max() <= 3


def test_counts_and_fractions_mean_what_they_say() -> None:
    labels = labels_of((500, 500))
    chosen = choose(labels, train=0.3, val=100, test=0.2)
    assert {name: len(ids) for name, ids in chosen.items()} == {"train": 300, "val": 100, "test": 200}


def test_three_fractions_that_make_one_use_every_image() -> None:
    for n in range(30, 60):
        labels = labels_of((n, n + 1))
        chosen = choose(labels, train=0.7, val=0.15, test=0.15)
        assert abs(sum(len(ids) for ids in chosen.values()) - len(labels)) <= 1


def test_the_same_seed_gives_the_same_splits_and_another_one_others() -> None:
    labels = labels_of((50, 50))
    first, again, other = choose(labels), choose(labels), choose(labels, seed=1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_val_and_test_do_not_depend_on_the_count_of_train() -> None:
    labels = labels_of((80, 60, 40))
    few, many = choose(labels, train=10, val=20, test=30), choose(labels, train=100, val=20, test=30)
    for name in ("val", "test"):
        np.testing.assert_array_equal(few[name], many[name])


def test_growing_subsets_contain_each_other_for_balanced_classes() -> None:
    labels = labels_of((100, 100, 100, 100))
    previous: set[int] = set()
    for count in range(4, 200, 12):
        chosen = set(choose(labels, train=count, val=40, test=40)["train"].tolist())
        assert previous <= chosen
        previous = chosen


def test_one_more_test_image_changes_train_and_val_by_few() -> None:
    labels = labels_of((100, 100))
    before, after = choose(labels, train=60, val=20, test=40), choose(labels, train=60, val=20, test=42)
    assert set(before["test"].tolist()) <= set(after["test"].tolist())
    for name in ("train", "val"):
        assert len(set(before[name].tolist()) ^ set(after[name].tolist())) <= 4


def test_splits_of_the_source_are_kept_apart() -> None:
    labels = labels_of((60, 60))
    parts = {"train": np.arange(80), "val": np.arange(80, 100), "test": np.arange(100, 120)}
    chosen = choose(labels, parts)
    for name, ids in parts.items():
        np.testing.assert_array_equal(chosen[name], ids)
    fewer = choose(labels, parts, train=0.5, val=0.5, test=10)
    assert [len(fewer[name]) for name in ("train", "val", "test")] == [40, 10, 10]
    assert all(set(fewer[name].tolist()) <= set(ids.tolist()) for name, ids in parts.items())


def test_only_a_missing_split_is_taken_from_train() -> None:
    labels = labels_of((60, 60))
    chosen = choose(labels, {"train": np.arange(100), "test": np.arange(100, 120)}, val=10)
    np.testing.assert_array_equal(chosen["test"], np.arange(100, 120))
    assert len(chosen["val"]) == 10
    np.testing.assert_array_equal(np.sort(np.concatenate([chosen["train"], chosen["val"]])), np.arange(100))


TOO_FEW: list[tuple[tuple[int, ...], dict[str, Any], str]] = [
    ((50, 50), {"train": 100}, r"data.train = 100: only 70 images are available for train, of 100 before val and test"),
    ((50, 50), {"train": 0.9}, r"data.train = 0.9: only 70 images are available for train, of 100 before val and test"),
    ((50, 50), {"train": 1}, r"data.train = 1: gives 1 image for 2 classes; every class needs at least one"),
    ((50, 50), {"train": 0.01}, r"data.train = 0.01: gives 1 image for 2 classes; every class needs at least one"),
    ((50, 50), {"test": 97}, r"data.test = 97: .* of its 100 training images at most 96 can be taken"),
    ((50, 50), {"val": 90}, r"data.val = 90: .* of its 100 training images at most 78 can be taken"),
    ((50, 50), {"val": 1.0}, r"data.val = 1.0: .* at most 78 can be taken without leaving a class untrained"),
    (
        (50, 2),
        {},
        r'too few images: train, test and val need at least one of each class, 3 in all; "class 1" has 2',
    ),
]


@pytest.mark.parametrize(("counts", "asked", "message"), TOO_FEW)
def test_too_few_images_say_how_many_there_are(counts: tuple[int, ...], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose(labels_of(counts), **asked)


def test_too_few_in_a_split_of_the_source_say_how_many_there_are() -> None:
    parts = {"train": np.arange(80), "val": np.arange(80, 100), "test": np.arange(100, 120)}
    with pytest.raises(DataError, match=r"data.val = 21: only 20 images are available for val$"):
        choose(labels_of((60, 60)), parts, val=21)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=12), st.data())
def test_allocation_keeps_proportions_limits_and_classes(available: list[int], data: st.DataObject) -> None:
    total = sum(available)
    count = data.draw(st.integers(0, total))
    shares = allocate(np.array(available, dtype=np.int64), count).tolist()
    assert sum(shares) == count
    present = sum(n > 0 for n in available)
    for share, n in zip(shares, available, strict=True):
        assert 0 <= share <= n
        if count >= present:
            assert share >= min(n, 1)
    # without the promise of one each, largest remainders stay within one of the exact share (Hamilton's quota rule)
    if total and all(Fraction(n * count, total) >= 1 for n in available if n):
        assert all(abs(share - Fraction(n * count, total)) < 1 for share, n in zip(shares, available, strict=True))

"""What a study says about splits and labels, in every way of writing it."""

from __future__ import annotations

from typing import Any

import pytest

from frostline.study import Data, Recipe, Splits, Study

WRITTEN: list[tuple[Any, dict[str, tuple[str, ...]]]] = [
    ({"train": "a"}, {"train": ("a",), "val": (), "test": ()}),
    ({"train": ["a", "b"], "test": "c"}, {"train": ("a", "b"), "val": (), "test": ("c",)}),
    ({"train": [0, 1, 2], "val": 3, "test": 4.0}, {"train": ("0", "1", "2"), "val": ("3",), "test": ("4",)}),
    ({"train": True, "test": False}, {"train": ("true",), "val": (), "test": ("false",)}),
    ("none", {"train": (), "val": (), "test": ()}),
]


@pytest.mark.parametrize(("given", "expected"), WRITTEN)
def test_what_each_split_is_called(given: Any, expected: dict[str, tuple[str, ...]]) -> None:
    splits = Data.model_validate({"source": "folder", "path": "x", "splits": given}).splits
    assert splits is not None
    assert splits.by_split() == expected
    assert splits.stated == (given != "none")


@pytest.mark.parametrize("given", [each for each, _ in WRITTEN])
def test_a_study_that_says_its_splits_is_written_and_read_again(given: Any, tmp_path: Any) -> None:
    from frostline.study import load_study

    data = {"source": "csv", "path": "x", "splits": given, "unlabelled": ["?", ""]}
    study = Study(data=data, arms=[{}])
    (tmp_path / "study.toml").write_text(study.to_toml(), encoding="utf-8")
    assert load_study(tmp_path / "study.toml").digest == study.digest


def test_in_python(tmp_path: Any) -> None:
    study = Study(data=Data(source="folder", path="x", splits=Splits(train=("a",), val=("b",))), arms=[{}])
    assert study.data.splits == Splits(train=("a",), val=("b",))


def test_class_weights_go_by_the_names_that_the_data_have() -> None:
    assert Recipe(class_weights={" cafe\u0301\u200b": 2}).class_weights == {"caf\u00e9": 2.0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "cat"),
        (" cat\t", "cat"),
        ("ein\u00a0 Hund", "ein Hund"),
        ("cafe\u0301", "caf\u00e9"),
        ("\ufeffcat\u200b", "cat"),
        ("\u200dcat\u200c", "cat"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u200b", ""),
    ],
)
def test_a_class_name_is_what_it_looks_like(name: str, expected: str) -> None:
    from frostline.class_names import tidy_class_name

    assert tidy_class_name(name) == expected

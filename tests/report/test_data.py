"""The table of a study's images."""

from __future__ import annotations

from typing import Any

from frostline.data import DataSummary
from frostline.report import data_table


def summary(**changes: Any) -> DataSummary:
    fields: dict[str, Any] = {
        "source": "folder",
        "path": "pets",
        "classes": ("cat", "dog"),
        "train": (3000, 1000),
        "val": (90, 30),
        "test": (10, 20),
        "imbalance": 3.0,
        "majority": 0.75,
        "n_skipped": 0,
        "ignored": {},
        "notes": ("splits: taken from column fold",),
    }
    return DataSummary(**fields | changes)


def test_classes_splits_totals_and_what_there_is_to_know() -> None:
    table = data_table(summary(n_skipped=2))
    assert table.title == "data: 4,150 images of 2 classes (folder, pets)"
    assert table.columns == ("class", "train", "val", "test")
    assert table.rows == (("cat", "3,000", "90", "10"), ("dog", "1,000", "30", "20"), ("all", "4,000", "120", "30"))
    assert table.notes == (
        '1,000 to 3,000 training images a class (3.0 to 1); always answering "cat" gives val acc 75.0%',
        "2 items left out as unusable",
        "splits: taken from column fold",
    )


def test_equal_classes() -> None:
    equal = summary(source="digits", path=None, train=(5, 5), imbalance=1.0, notes=())
    table = data_table(equal)
    assert table.title == "data: 160 images of 2 classes (digits)"
    assert table.notes == ("every class has 5 training images",)


def test_nearly_equal_classes_have_no_ratio() -> None:
    nearly = summary(train=(90, 89), imbalance=90 / 89)
    assert data_table(nearly).notes[0] == (
        '89 to 90 training images a class; always answering "cat" gives val acc 75.0%'
    )


def test_of_many_classes_the_largest_and_the_smallest() -> None:
    names = tuple(f"class {k:02}" for k in range(50))
    many = summary(classes=names, train=tuple(range(1, 51)), val=(1,) * 50, test=(1,) * 50)
    rows = data_table(many).rows
    assert [row[0] for row in rows[:5]] == [f"class {k}" for k in (49, 48, 47, 46, 45)]
    assert rows[5] == ("... 40 more", "", "", "")
    assert [row[1] for row in rows[6:]] == ["5", "4", "3", "2", "1", "1,275"]

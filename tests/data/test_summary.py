"""What a study uses of its data, as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from frostline.data import load_dataset, summarise_data
from frostline.study import Data

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., "Path"]
Ask = Callable[..., Data]


def test_images_are_counted_by_split_and_class(make_files: Make, ask: Ask) -> None:
    counts = {"train": {"cat": 6, "dog": 2}, "val": {"cat": 3, "dog": 1}, "test": {"dog": 2}}
    files = {
        f"{split}/{name}/{i}.png": 100 * s + 10 * k + i
        for s, (split, classes) in enumerate(counts.items())
        for k, (name, n) in enumerate(classes.items())
        for i in range(n)
    }
    root = make_files(files | {"train/cat/bad.png": b"", "train/.DS_Store": "x"})
    dataset = load_dataset(ask("folder", root, on_bad_image="skip"))
    summary = summarise_data(dataset)
    assert (summary.source, summary.path, summary.classes) == ("folder", str(root), ("cat", "dog"))
    assert (summary.train, summary.val, summary.test) == ((6, 2), (3, 1), (0, 2))
    assert (summary.n_images, summary.n_skipped) == (14, 1)
    assert summary.ignored == {"hidden": 1}
    assert summary.imbalance == 3
    assert summary.majority == 0.75
    assert json.loads(json.dumps(summary.to_json()))["train"] == [6, 2]
    assert dataset.to_json()["n_by_class"] == {"train": [6, 2], "val": [3, 1], "test": [0, 2]}


@pytest.mark.parametrize(
    ("said", "note"),
    [({}, "val and test: taken from train, since the data have none"), ({"train": 100}, "val and test: taken from")],
)
def test_splits_that_are_taken_from_train_are_told(said: dict[str, int], note: str, ask: Ask) -> None:
    assert summarise_data(load_dataset(ask("digits", **said))).notes[0].startswith(note)

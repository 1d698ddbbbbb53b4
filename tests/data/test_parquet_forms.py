"""Parquet as people have it: class names that differ between files, every type of column, columns in any order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frostline.data import Dataset, decode_image, load_dataset
from frostline.errors import DataError
from frostline.study import Data

if TYPE_CHECKING:
    from pathlib import Path

Ask = Callable[..., Data]
Encode = Callable[..., bytes]
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, encode: Encode) -> Write:
    """Write a file with the given labels and, if any, the class names that its numbers mean."""
    number = iter(range(10_000))

    def write_file(name: str, labels: Sequence[Any], names: Sequence[str] | None = None, kind: Any = None) -> None:
        images = [{"bytes": encode(next(number)), "path": ""} for _ in labels]
        table = pa.table({"image": images, "label": pa.array(labels, kind)})
        if names is not None:
            features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, tmp_path / name)

    return write_file


def labelled(dataset: Dataset) -> dict[str, str]:
    """Return each image's class by its file and row."""
    return {
        dataset.name(split, i): dataset.classes[label]
        for split in dataset.splits
        for i, label in enumerate(split.labels.tolist())
    }


NAMED: dict[str, tuple[str, tuple[Sequence[Any], Any], tuple[Sequence[Any], Any], tuple[str, ...]]] = {
    "another order": ("test", ([0, 1] * 4, ["cat", "dog"]), ([0, 1] * 4, ["dog", "cat"]), ("cat", "dog")),
    "another order between shards": (
        "train",
        ([0, 1] * 4, ["cat", "dog"]),
        ([0, 1] * 4, ["dog", "cat"]),
        ("cat", "dog"),
    ),
    "fewer names": (
        "test",
        ([0, 1, 2] * 3, ["ant", "bee", "cow"]),
        ([0, 1] * 3, ["bee", "cow"]),
        ("ant", "bee", "cow"),
    ),
    "more names in a later shard": (
        "train",
        ([0, 1] * 4, ["bee", "cow"]),
        ([0, 1, 2] * 3, ["ant", "bee", "cow"]),
        ("bee", "cow", "ant"),
    ),
    "text beside names": ("test", ([0, 1] * 4, ["cat", "dog"]), (["dog", "cat"] * 4, None), ("cat", "dog")),
    "numbers everywhere": ("test", ([3, 5] * 4, None), ([5, 3] * 4, None), ("3", "5")),
    "numbers as text": ("test", ([3, 5] * 4, None), (["5", "3"] * 4, None), ("3", "5")),
    "numbers as floats": ("test", ([3, 5] * 4, None), ([5.0, 3.0] * 4, None), ("3", "5")),
    "the same names": ("test", ([1, 0] * 4, ["cat", "dog"]), ([0, 1] * 4, ["cat", "dog"]), ("cat", "dog")),
}


def meaning(labels: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """Return what a file's labels mean to whoever wrote it."""
    return [names[label] if names else str(label).removesuffix(".0") for label in labels]


@pytest.mark.parametrize("case", NAMED)
def test_each_files_numbers_mean_its_own_names(case: str, write: Write, tmp_path: Path, ask: Ask) -> None:
    second, one, other, classes = NAMED[case]
    names = ("train-0.parquet", f"{second}-1.parquet")
    for name, content in zip(names, (one, other), strict=True):
        write(name, *content)
    dataset = load_dataset(ask("parquet", tmp_path))
    assert dataset.classes == classes
    expected = {
        f"{name} row {row}": label
        for name, content in zip(names, (one, other), strict=True)
        for row, label in enumerate(meaning(*content))
    }
    assert labelled(dataset) == expected
    differ = bool(one[1] and other[1] and one[1] != other[1])
    note = f"train-0.parquet and {names[1]} number their classes differently; each is read with its own names"
    assert (note in dataset.notes) == differ


@pytest.mark.parametrize(
    ("one", "other", "named", "numbered"),
    [
        (([0, 1] * 4, ["cat", "dog"]), ([0, 1] * 4, None), "train-0.parquet", "test-1.parquet"),
        (([0, 1] * 4, None), ([0, 1] * 4, ["cat", "dog"]), "test-1.parquet", "train-0.parquet"),
        (([0, 1] * 4, None), (["cat", "dog"] * 4, None), "test-1.parquet", "train-0.parquet"),
        (([True, False] * 4, None), ([0, 1] * 4, None), "train-0.parquet", "test-1.parquet"),
    ],
)
def test_numbers_without_names_beside_names_are_refused_with_both_files(
    one: Any, other: Any, named: str, numbered: str, write: Write, tmp_path: Path, ask: Ask
) -> None:
    write("train-0.parquet", *one)
    write("test-1.parquet", *other)
    with pytest.raises(DataError, match=rf"{named} has names for its classes \(.*\) and {numbered} only numbers"):
        load_dataset(ask("parquet", tmp_path))


def test_a_test_set_without_labels_is_said_to_have_none(write: Write, tmp_path: Path, ask: Ask) -> None:
    write("train-0.parquet", [0, 1] * 6, ["cat", "dog"])
    write("test-0.parquet", [-1] * 4, ["cat", "dog"])
    with pytest.raises(DataError, match=r"test-0.parquet row 0: has no valid label \(label = -1\)"):
        load_dataset(ask("parquet", tmp_path))
    remedy = (
        "no image is left in test\n(?s:.*)\nTo take test from train instead, name only the other splits in data.splits"
    )
    with pytest.raises(DataError, match=remedy):
        load_dataset(ask("parquet", tmp_path, on_bad_image="skip"))
    dataset = load_dataset(ask("parquet", tmp_path, splits={"train": "train-*"}))
    assert {name.split(" ")[0] for name in labelled(dataset)} == {"train-0.parquet"}
    assert "not used: test-0.parquet" in dataset.notes


LABELS: dict[str, tuple[pa.Array, list[str]]] = {
    "text": (pa.array(["b", "a"] * 5), ["b", "a"]),
    "large text": (pa.array(["b", "a"] * 5, pa.large_string()), ["b", "a"]),
    "views of text": (pa.array(["b", "a"] * 5, pa.string_view()), ["b", "a"]),
    "a dictionary of text": (pa.array(["b", "a"] * 5).dictionary_encode(), ["b", "a"]),
    "a dictionary of numbers": (pa.array([7, 3] * 5).dictionary_encode(), ["7", "3"]),
    "small numbers": (pa.array([7, 3] * 5, pa.uint8()), ["7", "3"]),
    "whole floats": (pa.array([7.0, 3.0] * 5), ["7", "3"]),
    "half floats": (pa.array(np.array([7, 3] * 5, np.float16)), ["7", "3"]),
    "truth values": (pa.array([True, False] * 5), ["True", "False"]),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_every_type(case: str, tmp_path: Path, ask: Ask, encode: Encode) -> None:
    labels, expected = LABELS[case]
    pq.write_table(pa.table({"image": [encode(n) for n in range(10)], "label": labels}), tmp_path / "all.parquet")
    found = labelled(load_dataset(ask("parquet", tmp_path / "all.parquet")))
    assert [found[f"all.parquet row {row}"] for row in range(10)] == expected * 5


def images_as(kind: str, encoded: list[bytes]) -> pa.Array:
    plain = pa.array(encoded, pa.binary())
    paths = pa.array([f"{n}.png" for n in range(len(encoded))])
    if kind in ("large_binary", "binary_view"):
        return pa.array(encoded, pa.large_binary() if kind == "large_binary" else pa.binary_view())
    if kind == "fixed size":
        longest = max(map(len, encoded))  # decoders stop at the end of the image
        return pa.array([each.ljust(longest, b"\0") for each in encoded], pa.binary(longest))
    if kind == "struct of views":
        return pa.StructArray.from_arrays(
            [pa.array(encoded, pa.binary_view()), paths.cast(pa.string_view())], ["bytes", "path"]
        )
    if kind == "struct of dictionary":
        return pa.StructArray.from_arrays([plain.dictionary_encode(), paths], ["bytes", "path"])
    if kind == "struct the other way round":
        return pa.StructArray.from_arrays([paths, plain], ["path", "bytes"])
    return plain.dictionary_encode() if kind == "dictionary" else plain


@pytest.mark.parametrize(
    "kind",
    [
        *("binary", "large_binary", "binary_view", "dictionary", "fixed size"),
        *("struct of views", "struct of dictionary", "struct the other way round"),
    ],
)
def test_images_of_every_type(kind: str, tmp_path: Path, ask: Ask, encode: Encode) -> None:
    encoded = [encode(n) for n in range(12)]
    table = pa.table({"label": ["a", "b"] * 6, "image": images_as(kind, encoded)})
    # Arrow can't write such a struct in several groups
    pq.write_table(table, tmp_path / "all.parquet", row_group_size=20 if kind == "struct of views" else 5)
    dataset = load_dataset(ask("parquet", tmp_path / "all.parquet"))
    for split in dataset.splits:
        for position, row in enumerate(split.ids.tolist()):
            np.testing.assert_array_equal(dataset.pixels(split, position), decode_image(encoded[row]))


def test_columns_may_stand_in_another_order_and_some_files_have_more(tmp_path: Path, ask: Ask, encode: Encode) -> None:
    first = {"image": [encode(n) for n in range(6)], "label": ["a", "b"] * 3}
    second = {"label": ["b", "a"] * 3, "extra": list(range(6)), "image": [encode(10 + n) for n in range(6)]}
    pq.write_table(pa.table(first), tmp_path / "train-0.parquet")
    pq.write_table(pa.table(second), tmp_path / "test-0.parquet")
    dataset = load_dataset(ask("parquet", tmp_path))
    assert [dataset.classes[label] for label in dataset.test.labels] == ["b", "a"] * 3
    np.testing.assert_array_equal(dataset.pixels("test", 2), decode_image(encode(12)))


OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "images in one, numbers in the other": (
        {"image": [1] * 6, "label": ["a", "b"] * 3},
        "column image of test-0.parquet is int64, which can't be images; in train-0.parquet it is binary",
    ),
    "labels in one, lists in the other": (
        {"image": [b""] * 6, "label": [["a"]] * 6},
        r"column label of test-0.parquet is list<.*string>, which can't be labels; in train-0.parquet it is string",
    ),
    "another name": ({"img": [b""] * 6, "label": ["a", "b"] * 3}, "differ from those of train-0.parquet"),
}


@pytest.mark.parametrize("case", OTHER)
def test_columns_that_are_something_else_in_one_file(case: str, tmp_path: Path, ask: Ask, encode: Encode) -> None:
    other, message = OTHER[case]
    pq.write_table(
        pa.table({"image": [encode(n) for n in range(6)], "label": ["a", "b"] * 3}), tmp_path / "train-0.parquet"
    )
    pq.write_table(pa.table(other), tmp_path / "test-0.parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(ask("parquet", tmp_path))

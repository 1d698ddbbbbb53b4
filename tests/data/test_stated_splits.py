"""Splits that data state: used where unmistakable, asked about with the line that tells otherwise, never trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frostline.data import Dataset, load_dataset
from frostline.data._split_names import canonical_split, stated_splits
from frostline.errors import DataError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]
Encode = Callable[..., bytes]

EACH = 4


def folders(*prefixes: str, classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, int]:
    names = [f"{prefix}/{name}" if prefix else name for prefix in prefixes for name in classes]
    return {f"{name}/{i}.png": 100 * n + i for n, name in enumerate(names) for i in range(EACH)}


def by_split(dataset: Dataset) -> dict[str, set[str]]:
    """Return the folders that the images of each split are in, two levels deep."""
    return {
        split.name: {"/".join(dataset.name(split, i).split("/")[:-1]) for i in range(len(split))}
        for split in dataset.splits
    }


def lines(message: str) -> list[str]:
    """Return the lines for a study file in a message."""
    return [line.strip() for line in message.splitlines() if line.startswith("  ") and " = " in line]


def read_line(line: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(line)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            *[
                (name, "train")
                for name in ("train", "Training", "TRAIN_SET", "train_images", "images-train", "train2017")
            ],
            *[(name, "train") for name in ("trainset", "trainData", "training data", "dataset_train", "train.")],
            *[(name, "val") for name in ("val", "valid", "Validation", "validation_set", "dev", "valset")],
            *[(name, "test") for name in ("test", "testing", "TestSet", "test_set")],
            *[
                (name, None)
                for name in ("bullet_train", "train_val", "test_tube", "PublicTest", "trainer", "set", "x", "")
            ],
        ],
    )
    def test_that_say_a_split_and_nothing_else(self, name: str, expected: str | None) -> None:
        assert canonical_split(name) == expected

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("seg_train", "seg_test"), ("train", "test")),
            (("pets_train", "pets_val", "pets_test"), ("train", "val", "test")),
            (("bullet_train", "car"), None),
            (("bullet_train",), None),
            (("a_train", "b_test"), None),
            (("seg_train", "seg_test", "seg_pred"), None),
        ],
    )
    def test_that_say_it_together(self, names: tuple[str, ...], expected: tuple[str, ...] | None) -> None:
        assert stated_splits(names) == (expected and dict(zip(names, expected, strict=True)))


USED: dict[str, tuple[dict[str, int], dict[str, set[str]]]] = {
    "training_set and test_set": (
        folders("training_set", "test_set"),
        {"train": {"training_set/cat", "training_set/dog"}, "test": {"test_set/cat", "test_set/dog"}},
    ),
    "seg_train and seg_test": (
        folders("seg_train", "seg_test"),
        {"train": {"seg_train/cat", "seg_train/dog"}, "test": {"seg_test/cat", "seg_test/dog"}},
    ),
    "the same once more within": (
        folders("seg_train/seg_train", "seg_test/seg_test"),
        {
            "train": {"seg_train/seg_train/cat", "seg_train/seg_train/dog"},
            "test": {"seg_test/seg_test/cat", "seg_test/seg_test/dog"},
        },
    ),
    "train_images and val_images": (
        folders("train_images", "val_images"),
        {"train": {"train_images/cat", "train_images/dog"}, "val": {"val_images/cat", "val_images/dog"}},
    ),
    "splits within each class": (
        folders("cat", "dog", classes=("train", "Val", "test_set")),
        {"train": {"cat/train", "dog/train"}, "val": {"cat/Val", "dog/Val"}, "test": {"cat/test_set", "dog/test_set"}},
    ),
}


@pytest.mark.parametrize("case", USED)
def test_folders_that_are_unmistakable_are_used(case: str, make_files: Make, ask: Ask) -> None:
    files, expected = USED[case]
    dataset = load_dataset(ask("folder", make_files(files)))
    assert dataset.classes == ("cat", "dog")
    found = by_split(dataset)
    assert {split: found[split] for split in expected} == expected
    assert any(note.startswith("splits: taken from the folders") for note in dataset.notes)


# what is asked, the line that is taken, and what is trained on then
ASKED: dict[str, tuple[dict[str, int], str, int, set[str]]] = {
    "val and test without train": (
        folders("val", "test"),
        r"has test and val folders \(test, val\) but none for train",
        0,
        {"test/cat", "test/dog"},
    ),
    "val and test as classes": (
        folders("val", "test"),
        "but none for train",
        1,
        {"val/cat", "val/dog", "test/cat", "test/dog"},
    ),
    "one folder beside the splits": (
        folders("seg_train", "seg_test", "seg_pred"),
        '"seg_test", "seg_train" are named like a split, and "seg_pred" is not',
        0,
        {"seg_train/cat", "seg_train/dog"},
    ),
    "one beside them, once more within": (
        folders("seg_train/seg_train", "seg_test/seg_test", "seg_pred"),
        '"seg_test", "seg_train" are named like a split, and "seg_pred" is not',
        0,
        {"seg_train/seg_train/cat", "seg_train/seg_train/dog"},
    ),
    "classes that are called like splits": (
        folders("", classes=("bus", "car", "train")),
        '"train" is named like a split, and "bus", "car" are not',
        1,
        {"bus", "car", "train"},
    ),
    "test beside classes": (
        folders("", classes=("cat", "dog", "test")),
        '"test" is named like a split, and "cat", "dog" are not',
        1,
        {"cat", "dog", "test"},
    ),
    "a split's word among others": (
        folders("batch_train_1", "my_test"),
        "the folders batch_train_1, my_test may be splits",
        0,
        {"batch_train_1/cat", "batch_train_1/dog"},
    ),
    "two folders of one split": (
        folders("train", "training", "test"),
        '"train" and "training" are both train',
        0,
        {"train/cat", "train/dog", "training/cat", "training/dog"},
    ),
    "classes with the same folders in them": (
        folders("clinic_a", "clinic_b"),
        r"the folders \(clinic_a, clinic_b\) hold the same folders \(cat, dog\), so either may be the classes",
        0,
        {"clinic_a/cat", "clinic_a/dog", "clinic_b/cat", "clinic_b/dog"},
    ),
    "splits without class folders, which are classes": (
        folders("", classes=("train", "test")),
        "train holds no folders, so the classes aren't known: put the images of each in a folder of its own",
        0,
        {"train", "test"},
    ),
    "nearly the same folders": (
        folders("a", "b") | {f"c/cat/{i}.png": 50 + i for i in range(EACH)},
        r"hold the same folders \(cat, dog\)",
        0,
        {"a/cat", "a/dog", "b/cat", "b/dog", "c/cat"},
    ),
    "the same folders below splits": (
        folders("train/a", "train/b", "test/a", "test/b"),
        r"the folders of test \(a, b\) hold the same folders \(cat, dog\)",
        0,
        {"train/a/cat", "train/a/dog", "train/b/cat", "train/b/dog"},
    ),
    "splits within some classes": (
        folders("cat", classes=("train", "test")) | {f"dog/{i}.png": 50 + i for i in range(EACH)},
        r"folders named like splits \(test, train\) are found below cat, dog, but not everywhere",
        0,
        {"cat/train", "cat/test", "dog"},
    ),
    "splits within classes beside something else": (
        folders("cat", "dog", classes=("train", "test", "masks")),
        r"folders named like splits \(test, train\) are found below cat, dog, but not everywhere",
        1,
        {"cat/train", "dog/train"},
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_folders_that_may_be_splits_are_asked_about(case: str, make_files: Make, ask: Ask) -> None:
    files, message, chosen, trained = ASKED[case]
    root = make_files(files)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(ask("folder", root))
    line = read_line(lines(str(raised.value))[chosen].replace(', test = "FOLDER"', ""))
    assert by_split(load_dataset(ask("folder", root, **line)))["train"] == trained


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (folders("train") | {f"test/{n}.png": 90 + n for n in range(3)}, 'splits = {train = "train"}'),
        (
            folders("train", "valid") | {f"test/{n}.png": 90 + n for n in range(3)},
            'splits = {train = "train", val = "valid"}',
        ),
        (
            folders("seg_train/seg_train") | {f"seg_test/seg_test/{n}.png": 90 + n for n in range(3)},
            'splits = {train = "seg_train/seg_train"}',
        ),
    ],
)
def test_test_images_without_class_folders_can_be_left_out(
    files: dict[str, int], line: str, make_files: Make, ask: Ask
) -> None:
    root = make_files(files)
    with pytest.raises(DataError, match=r"test holds images but no class folders, so nothing says which") as raised:
        load_dataset(ask("folder", root))
    assert lines(str(raised.value)) == [line]
    dataset = load_dataset(ask("folder", root, **read_line(line)))
    assert dataset.classes == ("cat", "dog")
    assert {dataset.name("test", n).split("/")[0] for n in range(len(dataset.test))} == {
        line.split('"')[1].split("/")[0]
    }


def test_a_single_folder_around_everything_is_named(make_files: Make, ask: Ask) -> None:
    root = make_files(folders("dataset/train", "dataset/test"))
    with pytest.raises(DataError, match=r'holds one folder only, dataset, .*data.path = ".*/dataset"'):
        load_dataset(ask("folder", root))


def test_a_name_that_is_no_text_can_be_asked_about(make_files: Make, ask: Ask) -> None:
    root = make_files(folders("a", "train"))
    os.rename(os.fsencode(root / "a"), os.fsencode(root) + b"/caf\xe9")  # noqa: PTH104
    with pytest.raises(DataError, match=r'"train" is named like a split, and "caf\?" is not') as raised:
        load_dataset(ask("folder", root))
    assert str(raised.value).encode()


def test_a_column_in_some_files_only_is_asked_about(tmp_path: Path, ask: Ask, encode: Encode) -> None:
    for n, more in enumerate(({"fold": [0, 1] * 4}, {})):
        images = [encode(10 * n + i) for i in range(8)]
        pq.write_table(pa.table({"image": images, "label": ["a", "b"] * 4} | more), tmp_path / f"{n}.parquet")
    with pytest.raises(DataError, match=r"data.path = .*: 1.parquet has no column fold, .* in 0.parquet"):
        load_dataset(ask("parquet", tmp_path))
    assert sum(map(len, load_dataset(ask("parquet", tmp_path, split_column="none")).splits)) == 16


def test_folders_that_a_study_names_must_be_there(make_files: Make, ask: Ask) -> None:
    root = make_files(folders("one", "two"))
    with pytest.raises(
        DataError, match=r'data.splits.test: there is no folder "twoo"; the folders are one, two; did you mean "two"'
    ):
        load_dataset(ask("folder", root, splits={"train": "one", "test": "twoo"}))


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (
            {"train": "one", "test": "one/cat"},
            r'"one/cat" \(test\) and "one" \(train\) are the same folder, or one is within',
        ),
        ({"train": ["one", "./one/"]}, r'"./one/" \(train\) and "one" \(train\) are the same folder'),
        ({"train": "../images/one"}, 'data.splits.train: "../images/one" is not a folder below data.path'),
        ({"train": "/"}, 'data.splits.train: "/" is not a folder below data.path'),
        ({"train": "."}, 'data.splits.train: "." is not a folder below data.path'),
    ],
)
def test_folders_that_a_study_names_are_apart(splits: dict[str, Any], message: str, make_files: Make, ask: Ask) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(ask("folder", make_files(folders("one", "two")), splits=splits))


def test_what_a_study_does_not_name_is_told_and_not_used(make_files: Make, ask: Ask) -> None:
    root = make_files(folders("a/b", "c", "d"))
    dataset = load_dataset(ask("folder", root, splits={"train": "a/b", "test": "c"}))
    assert by_split(dataset)["test"] == {"c/cat", "c/dog"}
    assert "not used: folder d" in dataset.notes


# column, its values for the splits in turn, and how many rows each then has
COLUMNS: dict[str, tuple[dict[str, list[str]], dict[str, int]]] = {
    **{
        name: ({name: ["train"] * 4 + ["val"] * 2 + ["test"] * 2}, {"train": 4, "val": 2, "test": 2})
        for name in ("split", "Split", "set", "subset", "partition", "fold", "data_split", "phase")
    },
    "other spellings": (
        {"Set": ["Training"] * 4 + ["Validation"] * 2 + ["TEST_SET"] * 2},
        {"train": 4, "val": 2, "test": 2},
    ),
    "is_valid": ({"is_valid": ["False"] * 6 + ["True"] * 2}, {"val": 2}),
    "is_valid as numbers": ({"is_valid": ["0"] * 6 + ["1"] * 2}, {"val": 2}),
    "is_valid as broken numbers": ({"is_valid": ["0.0"] * 6 + ["1.0"] * 2}, {"val": 2}),
    "is_test": ({"is_test": ["no"] * 6 + ["yes"] * 2}, {"test": 2}),
    "two flags": (
        {"is_val": ["0"] * 4 + ["1"] * 2 + ["0"] * 2, "is_test": ["0"] * 6 + ["1"] * 2},
        {"train": 4, "val": 2, "test": 2},
    ),
    "folds beside a split": (
        {"fold": list("12341234"), "split": ["train"] * 4 + ["val"] * 2 + ["test"] * 2},
        {"train": 4, "val": 2, "test": 2},
    ),
    "two columns that agree": (
        {"set": ["train"] * 6 + ["test"] * 2, "split": ["Train"] * 6 + ["Test"] * 2},
        {"test": 2},
    ),
}

DOUBTFUL: dict[str, tuple[dict[str, list[str]], str, int, dict[str, int]]] = {
    "folds": (
        {"fold": list("11223344")},
        r'column fold may state a split: it holds "1", "2", "3", "4"',
        0,
        {"train": 4, "val": 2, "test": 2},
    ),
    "folds that are something else": ({"fold": list("11223344")}, "column fold may state", 2, {}),
    "is_train": ({"is_train": ["True"] * 6 + ["False"] * 2}, "column is_train may state", 0, {"test": 2}),
    "valid": ({"valid": ["0"] * 6 + ["1"] * 2}, 'column valid may state a split: it holds "0", "1"', 0, {"val": 2}),
    "a set with other names": (
        {"set": ["a"] * 6 + ["b"] * 2},
        'column set may state a split: it holds "a", "b"',
        2,
        {},
    ),
    "public and private test": (
        {"Usage": ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 2},
        'it holds "PrivateTest", "PublicTest", "Training", and "PrivateTest"',
        0,
        {"test": 4},
    ),
    "a misspelt split": (
        {"split": ["train"] * 6 + ["test", "tset"]},
        r'"tset" \(.*(:9|row 7)\) is neither train, val nor test; did you mean "test"',
        0,
        {"train": 4, "val": 2, "test": 1},
    ),
    "splits in a column of any name": (
        {"x": ["train"] * 6 + ["test", "extra"]},
        'column x may state a split: it holds "extra", "test", "train"',
        0,
        {"train": 4, "val": 2, "test": 1},
    ),
    "no train": ({"split": ["test"] * 8}, "column split says test for every row and train for none", 3, {}),
    "columns that contradict each other": (
        {"a": ["train"] * 6 + ["test"] * 2, "b": ["test"] * 2 + ["train"] * 6},
        'the columns a and b state different splits; .*\n  split_column = "a"\n  split_column = "b"',
        1,
        {"test": 2},
    ),
}


@pytest.fixture(params=["csv", "parquet"])
def make_table(request: pytest.FixtureRequest, tmp_path: Path, encode: Encode) -> Callable[..., tuple[str, Path]]:
    """Return a maker of eight images of two classes with further columns, in a CSV or Parquet file."""

    def make(columns: dict[str, list[str]]) -> tuple[str, Path]:
        labels = ["cat", "dog"] * 4
        if request.param == "csv":
            for n in range(8):
                (tmp_path / f"{n}.png").write_bytes(encode(n))
            rows = [[f"{n}.png", label, *(values[n] for values in columns.values())] for n, label in enumerate(labels)]
            text = "\n".join(",".join(row) for row in [["path", "label", *columns], *rows])
            (tmp_path / "all.csv").write_text(text)
            return "csv", tmp_path / "all.csv"
        typed = {name: _typed(values) for name, values in columns.items()}
        images = [{"bytes": encode(n), "path": f"{n}.png"} for n in range(8)]
        pq.write_table(pa.table({"image": images, "label": labels} | typed), tmp_path / "all.parquet")
        return "parquet", tmp_path / "all.parquet"

    return make


def _typed(values: list[str]) -> list[Any]:
    """Return text as the type that pandas would write it with."""
    try:
        return [json.loads(value.lower()) for value in values]
    except ValueError:
        return list(values)


def counts(dataset: Dataset, like: dict[str, int]) -> dict[str, int]:
    return {split: len(dataset.split(split)) for split in like}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_are_unmistakable_are_used(case: str, make_table: Callable[..., Any], ask: Ask) -> None:
    columns, expected = COLUMNS[case]
    source, path = make_table(columns)
    dataset = load_dataset(ask(source, path))
    assert counts(dataset, expected) == expected
    assert any(note.startswith("splits: taken from column") for note in dataset.notes)
    # the rows of a split are those that state it, in order
    assert max(dataset.train.ids) < min(dataset.val.ids) or "val" not in expected


@pytest.mark.parametrize("case", DOUBTFUL)
def test_columns_that_may_state_a_split_are_asked_about(case: str, make_table: Callable[..., Any], ask: Ask) -> None:
    columns, message, chosen, expected = DOUBTFUL[case]
    source, path = make_table(columns)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(ask(source, path))
    answers = lines(str(raised.value))
    # a column and what it means are two lines
    answer = "\n".join(answers[0:2]) if chosen == 0 else answers[min(chosen, len(answers) - 1)]
    dataset = load_dataset(ask(source, path, **read_line(answer)))
    assert counts(dataset, expected) == expected
    if not expected:
        assert sum(map(len, dataset.splits)) == 8


PLAIN: dict[str, dict[str, list[str]]] = {
    "a constant set": {"set": ["a"] * 8},
    "a column of vehicles": {"kind": ["train", "bus", "car", "train"] * 2},
    "numbers": {"age": list("12345678")},
    "a data set's source": {"dataset": ["ham", "bcn"] * 4},
    "text": {"caption": ["a test", "on the train", "x", "y"] * 2},
}


@pytest.mark.parametrize("case", PLAIN)
def test_other_columns_are_left_alone(case: str, make_table: Callable[..., Any], ask: Ask) -> None:
    source, path = make_table(PLAIN[case])
    dataset = load_dataset(ask(source, path))
    assert "val and test: taken from train, since the data have none" in dataset.notes
    assert not any(note.startswith("splits") for note in dataset.notes)


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "no such column": (
        {"split_column": "flod"},
        'split_column = "flod": .* has no such column; those that could state a split are fold; .*"fold"',
    ),
    "no such value": (
        {"split_column": "fold", "splits": {"train": 1, "test": 9}},
        'data.splits: .* has no row whose fold is "9"; the column holds "1", "2", "3", "4"',
    ),
    "no column with these values": (
        {"splits": {"train": "x", "test": "y"}},
        'data.splits: no .*column holds "x" and "y"',
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_a_study_says_must_be_there(case: str, make_table: Callable[..., Any], ask: Ask) -> None:
    said, message = SAID[case]
    source, path = make_table({"fold": list("11223344")})
    with pytest.raises(DataError, match=message):
        load_dataset(ask(source, path, **said))


def test_a_study_may_leave_rows_out(make_table: Callable[..., Any], ask: Ask) -> None:
    source, path = make_table({"fold": list("11223344")})
    dataset = load_dataset(ask(source, path, splits={"train": [1, 2], "test": 3}, val=2))
    assert counts(dataset, {"train": 2, "val": 2, "test": 2}) == {"train": 2, "val": 2, "test": 2}
    assert any(note.endswith("not used: 2 rows with another value") for note in dataset.notes)


@pytest.mark.parametrize("value", ["", " "])
def test_rows_without_a_split_are_named(value: str, make_table: Callable[..., Any], ask: Ask) -> None:
    source, path = make_table({"split": ["train"] * 5 + [value] + ["test"] * 2})
    remedy = r'fill it in, or leave such rows out with data\.splits = \{train = "train", test = "test"\}'
    with pytest.raises(DataError, match=rf"(:7|row 5): has no split; {remedy}(\n|$)"):
        load_dataset(ask(source, path))
    assert len(load_dataset(ask(source, path, splits={"train": "train", "test": "test"})).test) == 2


def test_rows_without_a_split_are_told_once(make_table: Callable[..., Any], ask: Ask) -> None:
    source, path = make_table({"split": ["train"] * 4 + ["test", "", "", ""]})
    with pytest.raises(DataError, match=r"like 2 more of (its|the) rows") as raised:
        load_dataset(ask(source, path))
    assert str(raised.value).count("has no split") == 1
    if source == "parquet":
        assert len(load_dataset(ask(source, path, on_bad_image="skip", val=2)).skipped) == 3
    else:
        assert "all.csv:7: has no split, like 2 more of its rows (lines 8, 9); fill" in str(raised.value)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (list("11223344"), 'splits = {train = ["1", "2"], val = "3", test = "4"}'),
        (["Train"] * 6 + ["Tset"] * 2, 'splits = {train = "Train", test = "VALUE"}'),
    ],
)
def test_a_column_that_the_study_names_is_only_asked_what_its_values_mean(
    values: list[str], line: str, make_table: Callable[..., Any], ask: Ask
) -> None:
    source, path = make_table({"fold": values})
    with pytest.raises(DataError, match="column fold holds ") as raised:
        load_dataset(ask(source, path, split_column="fold"))
    assert lines(str(raised.value)) == [line]
    assert "split_column" not in str(raised.value)


def test_notes_have_the_values_as_the_table_writes_them(make_table: Callable[..., Any], ask: Ask) -> None:
    source, path = make_table({"Set": ["Training"] * 4 + ["Validation"] * 2 + ["TEST_SET"] * 2})
    expected = 'splits: taken from column "Set", {train = "Training", val = "Validation", test = "TEST_SET"}'
    assert expected in load_dataset(ask(source, path)).notes


class TestParquetFiles:
    @pytest.mark.parametrize(
        "names",
        [
            ("training_set-0.parquet", "test_set-0.parquet"),
            ("pets_train.parquet", "pets_test.parquet"),
            ("pets_train-00000-of-00001.parquet", "pets_test-00000-of-00001.parquet"),
            ("train-00000-of-00001-b42a775f407cee45.parquet", "test-00000-of-00001-8b947db1a1a0ab05.parquet"),
            ("pets_train/0.parquet", "pets_test/0.parquet"),
        ],
    )
    def test_names_that_are_unmistakable_are_used(self, make_parquet: Make, ask: Ask, names: tuple[str, str]) -> None:
        dataset = load_dataset(ask("parquet", make_parquet({names[0]: [0, 1] * 6, names[1]: [0, 1] * 2})))
        assert len(dataset.test) == 4
        assert {dataset.name("test", i).split(" row")[0] for i in range(4)} == {names[1]}

    REFUSED: tuple[tuple[tuple[str, str], str, dict[str, Any], set[str]], ...] = (
        (
            ("val-0.parquet", "test-0.parquet"),
            r"there are files for test and val \(test-0.parquet, val-0.parquet\) but none for train",
            {"splits": {"train": "val*", "test": "test*"}},
            {"val-0.parquet"},
        ),
        (
            ("fine_train.parquet", "coarse_test.parquet"),
            "coarse_test.parquet does not name a split",
            {"splits": {"train": "fine_*", "test": "coarse_test"}},
            {"fine_train.parquet"},
        ),
        (
            ("train-0.parquet", "extra-0.parquet"),
            "extra-0.parquet does not name a split",
            {"splits": {"train": "train-0.parquet"}},
            {"train-0.parquet"},
        ),
        (
            ("train-0.parquet", "extra-0.parquet"),
            "extra-0.parquet does not name a split",
            {"splits": "none"},
            {"train-0.parquet", "extra-0.parquet"},
        ),
    )

    @pytest.mark.parametrize(("names", "message", "said", "trained"), REFUSED)
    def test_other_names_are_asked_about(
        self,
        make_parquet: Make,
        ask: Ask,
        names: tuple[str, str],
        message: str,
        said: dict[str, Any],
        trained: set[str],
    ) -> None:
        root = make_parquet({name: [0, 1] * 6 for name in names})
        with pytest.raises(DataError, match=message):
            load_dataset(ask("parquet", root))
        dataset = load_dataset(ask("parquet", root, **said))
        assert {dataset.name("train", i).split(" row")[0] for i in range(len(dataset.train))} == trained

    def test_a_column_that_contradicts_the_names(self, tmp_path: Path, ask: Ask, encode: Encode) -> None:
        for n, name in enumerate(("train", "test")):
            images = [{"bytes": encode(10 * n + i), "path": ""} for i in range(6)]
            splits = ["train", "train", "val", "val", "test", "test"]
            table = pa.table({"image": images, "label": ["a", "b"] * 3, "split": splits})
            pq.write_table(table, tmp_path / f"{name}-0.parquet")
        with pytest.raises(DataError, match=r"train-0.parquet row 2 is train by its file's name, but column split"):
            load_dataset(ask("parquet", tmp_path))
        assert len(load_dataset(ask("parquet", tmp_path, split_column="none")).test) == 6
        assert len(load_dataset(ask("parquet", tmp_path, split_column="split")).test) == 4

    def test_linked_folders_are_read(self, make_parquet: Make, ask: Ask, tmp_path: Path) -> None:
        elsewhere = make_parquet({"train.parquet": [0, 1] * 6})
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "linked").symlink_to(elsewhere)
        (tmp_path / "root" / "again").symlink_to(tmp_path / "root")
        assert sum(map(len, load_dataset(ask("parquet", tmp_path / "root")).splits)) == 12


def test_images_beside_the_same_folders_are_of_the_class(make_files: Make, ask: Ask) -> None:
    files = folders("cat", "dog", classes=("near", "far")) | {
        f"{k}/x.png": 50 + n for n, k in enumerate(("cat", "dog"))
    }
    assert load_dataset(ask("folder", make_files(files))).classes == ("cat", "dog")


def test_one_folder_within_every_class_belongs_to_it(make_files: Make, ask: Ask) -> None:
    dataset = load_dataset(ask("folder", make_files(folders("cat", "dog", classes=("images",)))))
    assert dataset.classes == ("cat", "dog")


def test_many_classes_without_folders_in_them_are_not_asked_about(make_files: Make, ask: Ask) -> None:
    files = {f"n{k:03}/{i}.png": 10 * k + i for k in range(30) for i in range(3)}
    assert len(load_dataset(ask("folder", make_files(files))).classes) == 30

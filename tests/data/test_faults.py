"""Every fault of a data set is reported by name before any training, in one message that says what to do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from frostline.data import Dataset, Preprocessing, load_dataset, load_images
from frostline.errors import DataError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]
Encode = Callable[..., bytes]

GOOD: dict[str, Any] = {f"{name}/{i}.png": 10 * k + i for k, name in enumerate(("cat", "dog")) for i in range(6)}
SPLIT: dict[str, Any] = {
    f"{split}/{name}/{i}.png": 100 * s + 10 * k + i
    for s, split in enumerate(("train", "val", "test"))
    for k, name in enumerate(("cat", "dog"))
    for i in range(3)
}


def png_of(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


# faults of the layout: an error whatever on_bad_image says
FOLDERS: dict[str, tuple[dict[str, Any], str]] = {
    "no class folders, nothing": ({"x.txt": "x"}, "holds no class folders; images are expected in .*/CLASS/ or"),
    "no class folders, only images": ({"0.png": 0, "1.png": 1}, "holds no class folders"),
    "one class only": ({"cat/0.png": 0, "cat/1.png": 1}, 'one class only, "cat": at least two are needed'),
    "one class with images": (
        {"cat/0.png": 0, "cat/1.png": 1, "dog": None},
        'one class only, "cat": at least two are needed\n  class "dog": has no images',
    ),
    "no images at all": ({"cat": None, "dog": None}, "no class with an image in train: at least two are needed"),
    "unknown split folder": (
        SPLIT | {"tset/cat/0.png": 0},
        '"test", "train", "val" are named like a split, and "tset" is not; did you mean "test"',
    ),
    "class folder beside train": (
        SPLIT | {"cat/0.png": 0},
        '"test", "train", "val" are named like a split, and "cat" is not',
    ),
    "two validation folders": (SPLIT | {"valid/cat/0.png": 0}, '"val" and "valid" are both val'),
    "train is empty": (
        {name: number for name, number in SPLIT.items() if not name.startswith("train")} | {"train/cat": None},
        "no class with an image in train",
    ),
    "too few of a class": (GOOD | {"bird/0.png": 90, "bird/1.png": 91}, 'too few images: .*3 in all; "bird" has 2'),
}


@pytest.mark.parametrize("on_bad_image", ["stop", "skip"])
@pytest.mark.parametrize("case", FOLDERS)
def test_faults_of_a_folders_layout(case: str, on_bad_image: str, make_files: Make, ask: Ask) -> None:
    files, message = FOLDERS[case]
    root = make_files(files)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(ask("folder", root, on_bad_image=on_bad_image))
    assert str(root) in str(raised.value)


CUT = "is truncated|can't be decoded|is not"

# bad items: reported together with "stop", left out and counted with "skip"
ITEMS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "an empty file": (GOOD | {"cat/bad.png": b""}, {"cat/bad.png": r"is empty \(0 bytes\)"}),
    "a truncated JPEG": (
        GOOD | {"cat/bad.jpg": b"\xff\xd8\xff\xe0cut"},
        {"cat/bad.jpg": CUT},
    ),
    "a truncated PNG": (GOOD | {"dog/bad.png": png_of(1)[:2000]}, {"dog/bad.png": "is truncated"}),
    "text named like an image": (GOOD | {"cat/bad.jpg": "hello"}, {"cat/bad.jpg": r"is not an image \(it starts with"}),
    "a file of an unknown kind": (GOOD | {"cat/notes.dat": "hello"}, {"cat/notes.dat": "is not an image"}),
    "a file beside the class folders": (GOOD | {"any.dat": "x"}, {"any.dat": "is outside the class folders"}),
    "an image beside the class folders": (GOOD | {"0.png": 70}, {"0.png": "is outside the class folders"}),
    "an empty class": (GOOD | {"bird": None}, {'class "bird"': "has no images"}),
    "a class of other files only": (
        GOOD | {"bird/a.dat": "x"},
        {"bird/a.dat": "is not an image", 'class "bird"': "has no images"},
    ),
    "an empty class of one split": (SPLIT | {"train/bird": None}, {'class "bird"': "has no images"}),
    "a class of documents only": (GOOD | {"bird/a.txt": "x"}, {'class "bird"': "has no images"}),
    "a class in test only": (
        SPLIT | {"test/fox/0.png": 70},
        {"test/fox/0.png": 'is of class "fox", which has no images in train$'},
    ),
    "a misspelt class": (
        SPLIT | {"test/Dogg/0.png": 70},
        {"test/Dogg/0.png": 'is of class "Dogg", which has no images in train; did you mean "dog"'},
    ),
    "a file beside split folders": (SPLIT | {"labels.dat": "x"}, {"labels.dat": "is outside the class folders"}),
    "several at once": (
        GOOD | {"cat/a.png": b"", "dog/b.png": "text", "notes.dat": "x", "bird": None},
        {
            "cat/a.png": "is empty",
            "dog/b.png": "is not an image",
            "notes.dat": "is outside the class folders",
            'class "bird"': "has no images",
        },
    ),
}


@pytest.mark.parametrize("case", ITEMS)
def test_bad_items_stop_by_name_all_at_once(case: str, make_files: Make, ask: Ask) -> None:
    files, faults = ITEMS[case]
    with pytest.raises(DataError, match="can't be used\n") as raised:
        load_dataset(ask("folder", make_files(files)))
    message = str(raised.value)
    assert f"{len(faults)} item{'s' if len(faults) > 1 else ''} can't be used" in message
    for item, reason in faults.items():
        assert re.search(rf"\n  {re.escape(item)}: ({reason})", message, re.MULTILINE)
    assert message.endswith('or set data.on_bad_image = "skip" to leave it out.')


@pytest.mark.parametrize("case", ITEMS)
def test_bad_items_are_skipped_and_counted(case: str, make_files: Make, ask: Ask) -> None:
    files, faults = ITEMS[case]
    dataset = load_dataset(ask("folder", make_files(files), on_bad_image="skip"))
    assert dataset.classes == ("cat", "dog")
    assert {skipped.item for skipped in dataset.skipped} == faults.keys()
    for skipped in dataset.skipped:
        assert re.match(faults[skipped.item], skipped.reason)
    assert sum(len(split) for split in dataset.splits) == (12 if files.keys() >= GOOD.keys() else 18)
    assert dataset.to_json()["n_skipped"] == len(faults)
    load_images(dataset, "train", np.arange(len(dataset.train)), Preprocessing(8))


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, r'  val/Dogg/0.png: is of class "Dogg", which has no images in train; did you mean "dog"\?'),
        (
            30,
            r'  30 images, such as val/Dogg/0.png, are of class "Dogg", which has no images in train; did you mean '
            r'"dog"\?',
        ),
    ],
)
def test_a_class_without_images_in_train_is_told_once(count: int, line: str, make_files: Make, ask: Ask) -> None:
    root = make_files(SPLIT | {f"val/Dogg/{n}.png": 70 + n for n in range(count)} | {"val/cat/bad.png": b""})
    with pytest.raises(
        DataError, match=rf"{count + 1} items can't be used\n{line}\n  val/cat/bad.png: is empty.*\nRep"
    ):
        load_dataset(ask("folder", root))
    dataset = load_dataset(ask("folder", root, on_bad_image="skip"))
    assert len(dataset.skipped) == count + 1
    assert dataset.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        (
            {"val": 2},
            'val has no images of 2 of 4 classes: "a", "d", so its accuracy says nothing about them',
        ),
        ({"test": 3}, 'test has no images of 1 of 4 classes: "d", so its accuracy says nothing about it'),
    ],
)
def test_classes_that_a_split_has_no_images_of(more: dict[str, int], warning: str, make_files: Make, ask: Ask) -> None:
    root = make_files({f"{name}/{n}.png": 10 * k + n for k, name in enumerate("abcd") for n in range(6)})
    assert load_dataset(ask("folder", root, **more)).warnings == (warning,)


def test_many_classes_that_a_split_has_no_images_of(make_files: Make, ask: Ask) -> None:
    root = make_files({f"{k:02}/{n}.png": 10 * k + n for k in range(12) for n in range(4)})
    (warning,) = load_dataset(ask("folder", root, val=1)).warnings
    assert warning.startswith("val has no images of 11 of 12 classes: ")
    assert " and 6 more, so" in warning


def test_many_bad_images_are_counted_beyond_the_first_twenty(make_files: Make, ask: Ask) -> None:
    root = make_files(GOOD | {f"cat/bad{n:02}.png": b"" for n in range(31)})
    with pytest.raises(
        DataError, match=r"31 items can't be used(\n  cat/bad\d\d.png: is empty.*){20}\n  \.\.\. and 11 more"
    ):
        load_dataset(ask("folder", root))


def test_bad_images_outside_the_chosen_subset_cost_nothing(make_files: Make, ask: Ask) -> None:
    root = make_files({f"{k}/{i}.png": 100 * k + i for k in range(2) for i in range(40)})
    asked = ask("folder", root, train=6, val=2, test=2)
    before = load_dataset(asked)
    used = {before.name(split, i) for split in before.splits for i in range(len(split))}
    for path in root.rglob("*.png"):
        if path.relative_to(root).as_posix() not in used:
            path.write_bytes(b"broken")
    assert load_dataset(asked).fingerprint == before.fingerprint


def test_skipping_leaves_the_other_images_as_they_are(make_files: Make, ask: Ask) -> None:
    root = make_files({f"{k}/{i}.png": 100 * k + i for k in range(2) for i in range(20)})
    before = load_dataset(ask("folder", root))
    lost = before.name("train", 4)
    (root / lost).write_bytes(b"")
    after = load_dataset(ask("folder", root, on_bad_image="skip"))
    np.testing.assert_array_equal(after.train.ids, np.delete(before.train.ids, 4))
    assert after.val.fingerprint == before.val.fingerprint
    assert after.test.fingerprint == before.test.fingerprint


LOST: dict[str, tuple[str, str]] = {
    "a whole class of train": ("train/dog", 'no usable image is left in train for class "dog"'),
    "all of val": ("val", "no image is left in val"),
    "all of test": ("test", "no image is left in test"),
}


@pytest.mark.parametrize("case", LOST)
def test_skipping_everything_is_an_error_with_the_reasons(case: str, make_files: Make, ask: Ask) -> None:
    beginning, message = LOST[case]
    root = make_files({name: b"" if name.startswith(f"{beginning}/") else number for name, number in SPLIT.items()})
    with pytest.raises(DataError, match=rf"{message}\n  {beginning}/.*: is empty"):
        load_dataset(ask("folder", root, on_bad_image="skip"))


def test_skipped_items_are_a_warning_too(make_files: Make, ask: Ask) -> None:
    root = make_files(GOOD | {f"cat/bad{n}.png": b"" for n in range(7)} | {"x.dat": "x"})
    warning, *others = load_dataset(ask("folder", root, on_bad_image="skip")).warnings
    assert all(" has no images of 1 of 2 classes: " in other for other in others)
    # found while listing first, found while decoding after
    assert warning.startswith("8 items left out: x.dat is outside the class folders; cat/bad")
    assert warning.endswith(" is empty (0 bytes); and 3 more")


def test_a_class_folder_whose_name_is_no_text(make_files: Make, ask: Ask) -> None:
    root = make_files(GOOD)
    os.rename(os.fsencode(root / "cat"), os.fsencode(root) + b"/caf\xe9")  # noqa: PTH104
    with pytest.raises(DataError, match='name of class folder "caf\ufffd" is not UTF-8 text, so'):
        load_dataset(ask("folder", root, on_bad_image="skip"))


def test_an_image_whose_name_is_no_text(make_files: Make, ask: Ask, encode: Encode) -> None:
    root = make_files(GOOD)
    for name, content in ((b"good\xe9.png", encode(70)), (b"bad\xe9.png", b"")):
        Path(os.fsdecode(os.fsencode(root) + b"/cat/" + name)).write_bytes(content)
    dataset = load_dataset(ask("folder", root, on_bad_image="skip"))
    assert [skipped.item for skipped in dataset.skipped] == ["cat/bad\ufffd.png"]
    names = [dataset.name(split, position) for split in dataset.splits for position in range(len(split))]
    assert "cat/good\ufffd.png" in names
    json.dumps(dataset.to_json(), ensure_ascii=False).encode()


def test_a_link_that_leads_back_up_is_not_followed_for_ever(make_files: Make, ask: Ask) -> None:
    root = make_files(GOOD)
    (root / "cat" / "again").symlink_to(root / "cat")
    dataset = load_dataset(ask("folder", root))
    assert sum(len(split) for split in dataset.splits) == 12


def test_a_folder_that_cannot_be_listed_is_an_error(
    make_files: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_files(GOOD | {"cat/locked/0.png": 50})
    original = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r'data.source = "folder".*locked: can\'t be read \(Permission denied\)'):
        load_dataset(ask("folder", root))


def test_a_file_where_cifar10_should_be(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r'data.path = ".*file": is a file, not a folder$'):
        load_dataset(ask("cifar10", tmp_path / "file"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
        st.lists(st.lists(st.text(max_size=8), max_size=4).map(",".join), max_size=8).map(
            lambda rows: "\n".join(["path,label,split", *rows]).encode()
        ),
    )
)
def test_whatever_a_table_holds_only_our_own_errors_come_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"any.csv"):
        load_dataset(Data(source="csv", path=str(tmp_path / "any.csv")))


def test_whatever_is_damaged_in_a_parquet_file_only_our_own_errors_come_out(make_parquet: Make, ask: Ask) -> None:
    path = make_parquet({"train.parquet": [0, 1] * 10}) / "train.parquet"
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole) - 2000, size=3):  # the metadata at the end is Arrow's own to check
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            load_dataset(ask("parquet", path, on_bad_image="skip"))


def test_an_unreadable_file_says_so(make_files: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_files(GOOD)
    original = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "3.png" and path.parent.name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"\n  dog/3.png: can't be read \(Permission denied\)"):
        load_dataset(ask("folder", root))


PATHS: list[tuple[str, str, str]] = [
    ("folder", "absent", r'data.path = ".*absent": does not exist \(looked for .*absent\)'),
    ("folder", "file.txt", "is a file, not a folder"),
    ("csv", "absent.csv", "does not exist"),
    ("csv", ".", "is a folder, not a CSV file"),
    ("parquet", "absent.parquet", "does not exist"),
    ("parquet", ".", r"holds no .parquet files"),
    ("parquet", "file.txt", "is not a readable Parquet file"),
]


@pytest.mark.parametrize(("source", "name", "message"), PATHS)
def test_missing_and_wrong_paths(source: str, name: str, message: str, tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "file.txt").write_text("hello, this is not Parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(ask(source, tmp_path / name))


@pytest.mark.parametrize("source", ["folder", "csv", "parquet"])
def test_a_path_that_was_left_out(source: str) -> None:
    with pytest.raises(DataError, match=f'data.path is missing: the source "{source}" needs one'):
        load_dataset(Data.model_construct(source=source, path=None))


def test_an_unknown_source() -> None:
    with pytest.raises(DataError, match=r'data.source = "foldr": must be one of .*; did you mean "folder"'):
        load_dataset(Data.model_construct(source="foldr", path="x"))


ROWS = "".join(f"{name},{name.split('/')[0]}\n" for name in GOOD)
SPLIT_ROWS = "".join(f"{name},{name.split('/')[0]},train\n" for name in GOOD)

TABLES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty; a header line with path,label is needed"),
    "header only": ("path,label\n", "has a header but no rows"),
    "no header": (ROWS, 'has no column "path"; its columns are cat/0.png, cat: name one in data.image_column'),
    "no path column": (
        f"pathh,label\n{ROWS}",
        'has no column "path"; its columns are pathh, label: name one in data.image_column; did you mean "pathh"',
    ),
    "no label column": (
        f"path,lable\n{ROWS}",
        'has no column "label"; its columns are path, lable: name one in data.label_column; did you mean "lable"',
    ),
    "a column twice": (f"path,label,label\n{ROWS}", "the header names column label more than once"),
    "an empty label": (
        f"path,label\n{ROWS}cat/9.png,\n",
        r'images without a label:\n  "": all.csv:14\n.*\n  unlabelled = ',
    ),
    "an empty path": (f"path,label\n{ROWS},cat\n", r"all.csv:14: has no path"),
    "a short row": (f"path,label\n{ROWS}cat/9.png\n", r'images without a label:\n  "": all.csv:14\n'),
    "a long row": (f"path,label\n{ROWS}cat/a, b.png,cat\n", r"all.csv:14: has more values than .*needs quotes"),
    "an unknown split": (
        f"path,label,split\n{SPLIT_ROWS}x.png,cat,tset\n",
        r'it holds "train", "tset", and "tset" \(all.csv:14\) is neither train, val nor test; did you mean "test"',
    ),
    "an empty split": (
        f"path,label,split\n{SPLIT_ROWS}x.png,cat,\n",
        r"all.csv:14: has no split; fill it in, or leave such rows out with",
    ),
    "two labels": (f"path,label\n{ROWS}cat/0.png,dog\n", r'all.csv:14: cat/0.png is "dog" here and "cat" on line 2'),
    "two splits": (
        f"path,label,split\n{SPLIT_ROWS}cat/0.png,cat,test\n",
        "all.csv:14: cat/0.png is in test here and in train on line 2",
    ),
    "several at once": (
        f"path,label,split\n{SPLIT_ROWS},cat,train\ny.png,cat,\ncat/0.png,dog,train\n",
        'all.csv:14: has no path\n.*all.csv:15: has no split; .*\n.*all.csv:16: cat/0.png is "dog" here and "cat" on',
    ),
    "more than ten": (
        "path,label\n" + ",cat\n" * 15,
        r"(all.csv:\d+: has no path\n.*){9}and 5 more",
    ),
    "no train": (
        f"path,label,split\n{SPLIT_ROWS}".replace("train", "test"),
        "column split says test for every row and",
    ),
    "one class only": (f"path,label\n{ROWS.replace(',dog', ',cat')}", 'one class only, "cat"'),
    "Latin-1": (b"path,label\n" + "käse.png,cat\n".encode("latin-1"), r"is not UTF-8 text \(.* at byte 12\)"),
    "an image": (png_of(0), "is not UTF-8 text"),
    "a broken quote": (f'path,label\n{ROWS}"cat/0.png"x,cat\n', "is not a CSV table"),
    "a missing image": (
        f"path,label\n{ROWS}cat/gone.png,cat\n",
        r"1 item can't be used\n  cat/gone.png: does not exist",
    ),
    "a folder as an image": (f"path,label\n{ROWS}cat,cat\n", r"1 item can't be used\n  cat: can't be read"),
    "a path that no system accepts": (f"path,label\n{ROWS}cat/\0.png,cat\n", "1 item can't be used|is not a CSV table"),
    "a row twice": (f"path,label\n{ROWS}cat/0.png,cat\n", r"\n  all.csv:14: repeats cat/0.png on line 2"),
    "wrong paths everywhere": (
        f"path,label\n{ROWS.replace('.png', '.PNG')}",
        r"12 items can't be used\n  .*PNG: does not",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_bad_tables(case: str, make_files: Make, ask: Ask) -> None:
    content, message = TABLES[case]
    root = make_files(GOOD | {"all.csv": content})
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(ask("csv", root / "all.csv"))
    assert "all.csv" in str(raised.value)


def cells(n: int) -> list[dict[str, Any]]:
    return [{"bytes": png_of(number), "path": f"{number}.png"} for number in range(n)]


def images_table(**columns: Any) -> pa.Table:
    return pa.table({"image": cells(12), "label": [0, 1] * 6} | columns)


def with_names(table: pa.Table, names: list[str]) -> pa.Table:
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


PARQUET: dict[str, tuple[Callable[[], pa.Table], dict[str, Any], str]] = {
    "no images": (
        lambda: pa.table({"text": ["a"] * 4, "label": [0, 1] * 2}),
        {},
        r"has no image column; the columns are text \(string\), label \(int64\); name it in data.image_column",
    ),
    "no labels": (
        lambda: images_table().drop("label"),
        {},
        "has no label column; the columns are image; name it in data.l",
    ),
    "two image columns": (
        lambda: images_table(mask=[b"x"] * 12),
        {},
        "image, mask could each be the image column; name one in data.image_column",
    ),
    "two label columns": (
        lambda: images_table(category=["a", "b"] * 6),
        {},
        "label, category could each be the label column; name one in data.label_column",
    ),
    "unknown image column": (images_table, {"image_column": "imag"}, 'image_column = "imag": .*; did you mean "image"'),
    "unknown label column": (images_table, {"label_column": "labl"}, 'label_column = "labl": .*; did you mean "label"'),
    "a column that holds no images": (
        images_table,
        {"image_column": "label"},
        'data.image_column = "label": is int64, not encoded images',
    ),
    "labels of another type": (
        lambda: images_table(label=[0.5, 1.5] * 6),
        {},
        'the labels in column "label" are numbers such as 0.5: whole numbers or text are needed',
    ),
    "labels beyond the names": (
        lambda: with_names(images_table(label=[0, 1] * 5 + [2, 7]), ["cat", "dog"]),
        {},
        'column "label" of all.parquet holds 2, 7, but the file names 2 classes, 0 to 1',
    ),
    "missing labels": (
        lambda: with_names(images_table(label=[0, 1] * 5 + [None, -1]), ["cat", "dog"]),
        {},
        r"row 10: has no valid label \(label = None\)\n .* row 11: has no valid label \(label = -1\)",
    ),
    "a class without images": (
        lambda: with_names(images_table(), ["cat", "dog", "bird"]),
        {},
        'class "bird": has no images',
    ),
    "one class only": (lambda: images_table(label=[1] * 12), {}, 'one class only, "1"'),
    "no rows": (lambda: images_table().slice(0, 0), {}, "no class with an image in train"),
    "an empty cell": (
        lambda: images_table(image=[*cells(11), None]),
        {},
        r"row 11: holds no image \(null\)",
    ),
    "no bytes in a cell": (
        lambda: images_table(
            image=[{"bytes": png_of(n), "path": "a"} for n in range(11)] + [{"bytes": None, "path": "gone.png"}]
        ),
        {},
        'row 11: holds no bytes, and its path "gone.png" can\'t be read',
    ),
    "bytes that are no image": (
        lambda: images_table(
            image=[{"bytes": png_of(n), "path": ""} for n in range(11)] + [{"bytes": b"hello", "path": ""}]
        ),
        {},
        "row 11: is not an image",
    ),
}


@pytest.mark.parametrize("case", PARQUET)
def test_bad_parquet_files(case: str, tmp_path: Path, ask: Ask) -> None:
    make, given_columns, message = PARQUET[case]
    pq.write_table(make(), tmp_path / "all.parquet")
    with pytest.raises(DataError, match=message):
        load_dataset(ask("parquet", tmp_path / "all.parquet", **given_columns))


def test_parquet_files_of_an_unknown_split(make_parquet: Make, ask: Ask) -> None:
    root = make_parquet({"train-0.parquet": [0, 1] * 5, "tset-0.parquet": [0, 1]})
    with pytest.raises(DataError, match=r'tset-0.parquet does not name a split: .*; did you mean "test"'):
        load_dataset(ask("parquet", root))


def test_parquet_files_with_other_columns(make_parquet: Make, ask: Ask) -> None:
    root = make_parquet({"train-0.parquet": [0, 1] * 5})
    pq.write_table(pa.table({"other": [1]}), root / "test-0.parquet")
    with pytest.raises(
        DataError, match=r"the columns of test-0.parquet \(other\) differ from those of train-0.parquet"
    ):
        load_dataset(ask("parquet", root))


def test_a_damaged_parquet_file(make_parquet: Make, ask: Ask) -> None:
    root = make_parquet({"train-0.parquet": [0, 1] * 20})
    path = root / "train-0.parquet"
    data = bytearray(path.read_bytes())
    data[4:600] = bytes(596)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"train-0.parquet: row group 0 is damaged"):
        load_dataset(ask("parquet", root))


def test_a_truncated_parquet_file(make_parquet: Make, ask: Ask) -> None:
    root = make_parquet({"train-0.parquet": [0, 1] * 20})
    path = root / "train-0.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-0.parquet: is not a readable Parquet file"):
        load_dataset(ask("parquet", root))


COUNTS: list[tuple[dict[str, Any], str]] = [
    ({"train": 5000}, r'data.source = "digits": data.train = 5000: only 1258 images are available for train, of 1797'),
    ({"val": 5000}, r"data.val = 5000: the source has no val split, and of its 1797 training images at most \d+ can"),
    ({"test": 1797}, r"data.test = 1797: the source has no test split"),
    ({"train": 7}, r"data.train = 7: gives 7 images for 10 classes; every class needs at least one"),
]


@pytest.mark.parametrize(("counts", "message"), COUNTS)
def test_fewer_images_than_asked_for(counts: dict[str, Any], message: str, ask: Ask) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(ask("digits", **counts))


class TestDuplicates:
    def load(self, make_files: Make, ask: Ask, more: dict[str, Any]) -> Dataset:
        return load_dataset(ask("folder", make_files(SPLIT | more)))

    def test_none(self, make_files: Make, ask: Ask) -> None:
        assert self.load(make_files, ask, {}).warnings == ()

    def test_across_splits(self, make_files: Make, ask: Ask) -> None:
        dataset = self.load(make_files, ask, {"test/cat/copy.png": 0})
        assert dataset.warnings == (
            "1 image appears in more than one split; scores may be too high: "
            "train/cat/0.png (train) = test/cat/copy.png (test)",
        )

    def test_of_the_same_pixels_in_another_format(self, make_files: Make, ask: Ask, encode: Encode) -> None:
        dataset = self.load(make_files, ask, {"val/cat/copy.bmp": encode(0, "BMP")})
        assert "train/cat/0.png (train) = val/cat/copy.bmp (val)" in dataset.warnings[0]

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_within_a_split_are_told(self, make_files: Make, ask: Ask, split: str) -> None:
        number = SPLIT[f"{split}/cat/0.png"]
        dataset = self.load(make_files, ask, {f"{split}/cat/copy{n}.png": number for n in range(2)})
        assert dataset.warnings == (
            f"1 image appears more than once in {split}: {split}/cat/0.png ({split}) = {split}/cat/copy0.png ({split})"
            f" = {split}/cat/copy1.png ({split})",
        )

    CONTRADICTORY = (
        r"2 items can\'t be used\n"
        r'  train/cat/0.png \("cat"\) = {0} \("dog"\): exact copies under different labels\nRepair'
    )

    @pytest.mark.parametrize("copy", ["train/dog/copy.png", "val/dog/copy.png", "test/dog/copy.png"])
    def test_under_two_labels_stop(self, make_files: Make, ask: Ask, copy: str) -> None:
        with pytest.raises(DataError, match=self.CONTRADICTORY.format(copy)):
            self.load(make_files, ask, {copy: 0})

    def test_under_two_labels_are_all_left_out_when_skipping(self, make_files: Make, ask: Ask) -> None:
        files = SPLIT | {"train/dog/copy.png": 0, "test/cat/copy.png": 0}
        dataset = load_dataset(ask("folder", make_files(files), on_bad_image="skip"))
        assert {each.item for each in dataset.skipped} == {"train/cat/0.png", "train/dog/copy.png", "test/cat/copy.png"}
        assert len(dataset.train) == 5
        assert dataset.warnings == (
            '3 items left out: train/cat/0.png ("cat") = train/dog/copy.png ("dog") = test/cat/copy.png ("cat"): exact '
            "copies under different labels",
        )
        assert {each.item: each.reason for each in dataset.skipped} == {
            "train/cat/0.png": 'is labelled "cat", but train/dog/copy.png, an exact copy, is labelled "dog"',
            "train/dog/copy.png": 'is labelled "dog", but train/cat/0.png, an exact copy, is labelled "cat"',
            "test/cat/copy.png": 'is labelled "cat", but train/dog/copy.png, an exact copy, is labelled "dog"',
        }

    def test_under_two_labels_list_five_at_most(self, make_files: Make, ask: Ask) -> None:
        copies = {f"train/cat/copy{n}.png": 0 for n in range(6)} | {"test/dog/copy.png": 0}
        with pytest.raises(DataError, match=r'0.png \("cat"\) = test/dog/copy.png \("dog"\) = .* and 3 more: exact'):
            self.load(make_files, ask, copies)

    def test_under_labels_that_differ_in_case_only(self, make_files: Make, ask: Ask) -> None:
        files = {f"{name}/{n}.png": n for name in ("Cat", "cat") for n in range(5)} | {"dog/9.png": 9}
        with pytest.raises(
            DataError,
            match=r"copies under different labels; .* only in upper and lower case, so they probably mean one",
        ):
            load_dataset(ask("folder", make_files(files | {f"dog/{n}.png": n for n in range(10, 15)})))

    def test_many_are_counted(self, make_files: Make, ask: Ask) -> None:
        copies = {f"test/cat/copy{n}.png": n for n in range(3)}
        copies |= {f"test/dog/copy{n}.png": 10 + n for n in range(3)}
        dataset = self.load(make_files, ask, copies)
        assert re.match(r"6 images appear in more than one split.*; and 1 more$", dataset.warnings[0])


class TestFingerprint:
    def test_is_that_of_the_contents_not_of_the_encoding(self, make_files: Make, ask: Ask, encode: Encode) -> None:
        root = make_files(GOOD)
        before = load_dataset(ask("folder", root))
        for name, number in GOOD.items():
            (root / name).write_bytes(encode(number, "BMP"))
        assert load_dataset(ask("folder", root)).fingerprint == before.fingerprint

    def test_changes_with_one_pixel_one_label_one_image(self, make_files: Make, ask: Ask, encode: Encode) -> None:
        root = make_files(GOOD)
        asked = ask("folder", root, on_bad_image="skip")
        seen = [load_dataset(asked).fingerprint]
        (root / "cat/2.png").write_bytes(encode(77))
        seen.append(load_dataset(asked).fingerprint)
        (root / "cat").rename(root / "cow")
        seen.append(load_dataset(asked).fingerprint)
        (root / "dog/3.png").unlink()
        seen.append(load_dataset(asked).fingerprint)
        assert len(set(seen)) == 4

    def test_of_a_split_depends_on_that_split_alone(self, ask: Ask) -> None:
        few, many = load_dataset(ask("digits", train=50)), load_dataset(ask("digits", train=60))
        assert few.val.fingerprint == many.val.fingerprint
        assert few.test.fingerprint == many.test.fingerprint
        assert few.train.fingerprint != many.train.fingerprint
        assert few.fingerprint != many.fingerprint

    def test_is_the_same_every_time(self, ask: Ask) -> None:
        assert load_dataset(ask("digits")).fingerprint == load_dataset(ask("digits")).fingerprint


def test_an_image_that_changed_since_loading_is_noticed(make_files: Make, ask: Ask, encode: Encode) -> None:
    root = make_files(GOOD)
    dataset = load_dataset(ask("folder", root))
    name = dataset.name("train", 1)
    (root / name).write_bytes(encode(99))
    load_images(dataset, "train", [0], Preprocessing(8))
    with pytest.raises(DataError, match=f"{name}: its contents changed since the run began; start the run again"):
        load_images(dataset, "train", [0, 1], Preprocessing(8))


def test_an_image_that_vanished_since_loading_is_named(make_files: Make, ask: Ask) -> None:
    root = make_files(GOOD)
    dataset = load_dataset(ask("folder", root))
    name = dataset.name("val", 0)
    (root / name).unlink()
    with pytest.raises(DataError, match=f"{name}: could be read when the run began, but now .*No such file"):
        dataset.pixels("val", 0)

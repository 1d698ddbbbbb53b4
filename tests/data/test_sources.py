"""Each source in the layouts that people have, and real CIFAR-10."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from frostline.data import Dataset, decode_image, load_dataset
from frostline.data._blobs import Blobs
from frostline.errors import MissingExtraError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]
Encode = Callable[..., bytes]

EACH = 5  # images of each class in the small data sets below


def names(dataset: Dataset) -> dict[str, set[str]]:
    return {split.name: {dataset.name(split, i) for i in range(len(split))} for split in dataset.splits}


def labelled(dataset: Dataset) -> dict[str, str]:
    """Return the class of each image, by name, over all splits."""
    return {
        dataset.name(split, i): dataset.classes[label]
        for split in dataset.splits
        for i, label in enumerate(split.labels.tolist())
    }


def class_folders(prefix: str = "", first: int = 0, classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, Any]:
    return {f"{prefix}{name}/{i}.png": first + EACH * k + i for k, name in enumerate(classes) for i in range(EACH)}


class TestDigits:
    def test_the_images_are_scikit_learns(self, ask: Ask) -> None:
        from sklearn.datasets import load_digits

        reference = load_digits()
        dataset = load_dataset(ask("digits"))
        assert dataset.classes == tuple("0123456789")
        assert sum(len(split) for split in dataset.splits) == 1797
        for split in dataset.splits:
            np.testing.assert_array_equal(split.labels, reference.target[split.ids])
            pixels = dataset.pixels(split, 3)
            assert pixels.shape == (8, 8, 3)
            exact = reference.images[split.ids[3]][:, :, None] / 16 * 255
            assert np.abs(pixels - exact).max() <= 0.5

    def test_they_are_the_same_where_scikit_learn_keeps_its_file_elsewhere(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from frostline.data import _digits

        expected = load_dataset(ask("digits"))
        monkeypatch.setattr(_digits, "FILE", "elsewhere.csv.gz")
        assert load_dataset(ask("digits")).fingerprint == expected.fingerprint

    def test_without_scikit_learn_the_extra_is_named(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sklearn", None)
        with pytest.raises(
            MissingExtraError, match=r"scikit-learn, which is not installed: pip install 'frostline\[st"
        ):
            load_dataset(ask("digits"))


class TestFolder:
    def test_class_folders_alone_are_split(self, make_files: Make, ask: Ask, encode: Encode) -> None:
        dataset = load_dataset(ask("folder", make_files(class_folders())))
        assert dataset.classes == ("cat", "dog")
        assert {name: len(found) for name, found in names(dataset).items()} == {"train": 6, "val": 2, "test": 2}
        assert all(image.startswith(label) for image, label in labelled(dataset).items())
        assert dataset.warnings == ()
        position = dataset.train.ids.tolist().index(dataset.train.ids[0])
        number = int(dataset.name("train", position).split("/")[1][0])
        np.testing.assert_array_equal(dataset.pixels("train", position), decode_image(encode(number)))

    @pytest.mark.parametrize("val", ["val", "valid", "validation", "Val", None])
    @pytest.mark.parametrize("test", ["test", "Test", "testing", None])
    def test_split_folders_are_kept(self, make_files: Make, ask: Ask, val: str | None, test: str | None) -> None:
        files = class_folders("train/")
        for number, folder in enumerate((val, test), start=1):
            if folder:
                files |= class_folders(f"{folder}/", 100 * number)
        found = names(load_dataset(ask("folder", make_files(files))))
        for name, folder in (("val", val), ("test", test)):
            assert {image.split("/")[0] for image in found[name]} == {folder or "train"}
            assert len(found[name]) == (10 if folder else 2)
        assert {image.split("/")[0] for image in found["train"]} == {"train"}

    def test_folders_within_a_class_belong_to_it(self, make_files: Make, ask: Ask) -> None:
        files = class_folders() | {"cat/2024/may/a.png": 50, "cat/2024/b.png": 51}
        found = labelled(load_dataset(ask("folder", make_files(files))))
        assert len(found) == 12
        assert found["cat/2024/may/a.png"] == "cat"

    def test_what_file_managers_leave_behind_is_ignored(self, make_files: Make, ask: Ask) -> None:
        litter = [".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "cat/desktop.ini", "cat/._0.png", ".git/config"]
        litter += ["__MACOSX/cat/0.png", "dog/.ipynb_checkpoints/0.png"]
        dataset = load_dataset(ask("folder", make_files(class_folders() | dict.fromkeys(litter, "x"))))
        assert dataset.classes == ("cat", "dog")
        assert len(labelled(dataset)) == 10

    def test_an_image_is_known_by_its_contents_when_its_name_says_nothing(
        self, make_files: Make, ask: Ask, encode: Encode
    ) -> None:
        files = class_folders() | {"cat/photo": 50, "dog/photo.bin": encode(51, "JPEG"), "dog/LOUD.PNG": 52}
        assert {"cat/photo", "dog/photo.bin", "dog/LOUD.PNG"} <= labelled(
            load_dataset(ask("folder", make_files(files)))
        ).keys()

    def test_links_are_followed(self, make_files: Make, ask: Ask, tmp_path: Path, encode: Encode) -> None:
        root = make_files(class_folders())
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for number in range(4):
            (elsewhere / f"{number}.png").write_bytes(encode(60 + number))
        (root / "linked").symlink_to(elsewhere)
        dataset = load_dataset(ask("folder", root))
        assert dataset.classes == ("cat", "dog", "linked")

    def test_ids_do_not_depend_on_the_order_of_the_file_system(
        self, make_files: Make, ask: Ask, tmp_path: Path
    ) -> None:
        root = make_files(class_folders())
        other = tmp_path / "other"
        for path in sorted(root.rglob("*.png"), reverse=True):
            target = other / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        first, second = load_dataset(ask("folder", root)), load_dataset(ask("folder", other))
        assert first.fingerprint == second.fingerprint

    def test_class_names_that_are_numbers_are_in_their_order(self, make_files: Make, ask: Ask) -> None:
        files = class_folders(classes=("10", "9", "2"))
        assert load_dataset(ask("folder", make_files(files))).classes == ("2", "9", "10")

    def test_names_may_hold_any_characters(self, make_files: Make, ask: Ask) -> None:
        files = class_folders(classes=("کلاس یک", "ein Hund, groß"))
        assert set(load_dataset(ask("folder", make_files(files))).classes) == {"کلاس یک", "ein Hund, groß"}

    def test_a_relative_path_starts_at_the_working_directory(
        self, make_files: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = make_files(class_folders())
        monkeypatch.chdir(root.parent)
        assert len(labelled(load_dataset(ask("folder", root.name)))) == 10


def table(files: dict[str, Any], header: str = "path,label", mark: str = ",", split: str | None = None) -> str:
    rows = [mark.join([name, name.split("/")[-2]] + ([split] if split else [])) for name in files]
    return "\n".join([header.replace(",", mark), *rows]) + "\n"


class TestCsv:
    @pytest.mark.parametrize("mark", [",", ";", "\t"])
    @pytest.mark.parametrize("start", ["", "\ufeff"])
    def test_a_table_of_paths_and_labels(self, make_files: Make, ask: Ask, mark: str, start: str) -> None:
        files = class_folders()
        root = make_files(files | {"all.csv": start + table(files, mark=mark)})
        dataset = load_dataset(ask("csv", root / "all.csv"))
        assert labelled(dataset) == {name: name.split("/")[0] for name in files}

    def test_a_split_column_is_kept(self, make_files: Make, ask: Ask) -> None:
        train, val, test = (class_folders(f"{n}/", 100 * n) for n in range(3))
        text = table(train, "path,label,split", split="train") + "".join(
            table(files, split=split).split("\n", 1)[1] for files, split in ((val, "Validation"), (test, "test"))
        )
        root = make_files(train | val | test | {"all.csv": text})
        assert names(load_dataset(ask("csv", root / "all.csv"))) == {
            "train": set(train),
            "val": set(val),
            "test": set(test),
        }

    def test_columns_may_be_named_and_stand_in_any_order(self, make_files: Make, ask: Ask) -> None:
        files = class_folders()
        rows = "".join(f"7,{name.split('/')[0]},{name}\n" for name in files)
        root = make_files(files | {"all.csv": "age,kind,file\n" + rows})
        asked = ask("csv", root / "all.csv", image_column="file", label_column="kind")
        assert len(labelled(load_dataset(asked))) == 10

    def test_quotes_spaces_empty_lines_and_windows_line_ends(self, make_files: Make, ask: Ask) -> None:
        files = class_folders() | {"cat/a, b.png": 50}
        rows = "".join(f'"{name}" , {name.split("/")[0]}\r\n\r\n'.replace(" ,", ",") for name in files)
        root = make_files({**files, "all.csv": ("path, label\r\n" + rows).encode()})
        assert labelled(load_dataset(ask("csv", root / "all.csv")))["cat/a, b.png"] == "cat"

    def test_absolute_paths(self, make_files: Make, ask: Ask, tmp_path: Path) -> None:
        files = class_folders()
        root = make_files(files)
        (tmp_path / "all.csv").write_text(table({f"{root}/{name}": 0 for name in files}))
        assert len(labelled(load_dataset(ask("csv", tmp_path / "all.csv")))) == 10

    @pytest.mark.parametrize("again", ["cat/0.png", "./cat/0.png", "cat//0.png", "cat\\0.png"])
    def test_an_image_listed_twice_counts_once(self, make_files: Make, ask: Ask, again: str) -> None:
        files = class_folders()
        root = make_files(files | {"all.csv": table(files) + f"{again},cat\n"})
        dataset = load_dataset(ask("csv", root / "all.csv", on_bad_image="skip"))
        assert len(labelled(dataset)) == 10
        assert [(s.item, s.reason) for s in dataset.skipped] == [("all.csv:12", f"repeats {again} on line 2")]


class TestParquet:
    @pytest.mark.parametrize(
        "layout",
        [
            ("train-00000-of-00001.parquet", "validation-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
            ("data/train-00000-of-00001.parquet", "data/valid.parquet", "data/test_0.parquet"),
            ("default/train/0000.parquet", "default/validation/0000.parquet", "default/test/0000.parquet"),
            ("train.parquet", "val.parquet", "test.parquet"),
        ],
    )
    def test_files_and_folders_named_by_split(self, make_parquet: Make, ask: Ask, layout: tuple[str, str, str]) -> None:
        root = make_parquet(dict(zip(layout, ([0, 1] * 4, [1, 0], [0, 1, 0]), strict=True)))
        dataset = load_dataset(ask("parquet", root))
        assert [len(split) for split in dataset.splits] == [8, 2, 3]
        assert [split.labels.tolist() for split in dataset.splits] == [[0, 1] * 4, [1, 0], [0, 1, 0]]
        assert dataset.name("test", 2) == f"{layout[2]} row 2"

    def test_one_file_is_all_train_and_its_images_are_found(self, make_parquet: Make, ask: Ask, encode: Encode) -> None:
        root = make_parquet({"test-0.parquet": [0, 1] * 10})
        dataset = load_dataset(ask("parquet", root / "test-0.parquet"))
        assert [len(split) for split in dataset.splits] == [14, 2, 4]
        for split in dataset.splits:
            for position, image in enumerate(split.ids.tolist()):
                np.testing.assert_array_equal(dataset.pixels(split, position), decode_image(encode(image)))

    def test_shards_are_read_in_the_order_of_their_names(self, make_parquet: Make, ask: Ask, encode: Encode) -> None:
        root = make_parquet({f"train-{n}.parquet": [0, 1] * 3 for n in range(3)})
        dataset = load_dataset(ask("parquet", root, train=6, val=4, test=2))
        assert dataset.name_of(7) == "train-1.parquet row 1"
        for position, image in enumerate(dataset.train.ids.tolist()):
            np.testing.assert_array_equal(dataset.pixels("train", position), decode_image(encode(image)))

    def test_shards_without_a_split_in_their_name_are_train(self, make_parquet: Make, ask: Ask) -> None:
        dataset = load_dataset(ask("parquet", make_parquet({f"part-{n}.parquet": [0, 1] * 5 for n in range(2)})))
        assert sum(len(split) for split in dataset.splits) == 20

    LABELS: tuple[tuple[list[Any], list[str] | None, tuple[str, ...]], ...] = (
        ([0, 1] * 5, ["cat", "dog"], ("cat", "dog")),
        ([3, 10] * 5, None, ("3", "10")),
        (["dog", "cat"] * 5, None, ("cat", "dog")),
        ([True, False] * 5, None, ("False", "True")),
    )

    @pytest.mark.parametrize(("labels", "given", "expected"), LABELS)
    def test_labels_of_every_type(
        self, make_parquet: Make, ask: Ask, labels: list[Any], given: list[str] | None, expected: tuple[str, ...]
    ) -> None:
        dataset = load_dataset(ask("parquet", make_parquet({"train.parquet": labels}, given)))
        assert dataset.classes == expected
        read = [dataset.classes[label] for label in dataset.train.labels.tolist()]
        assert read == [str(given[labels[i]] if given else labels[i]) for i in dataset.train.ids.tolist()]

    def test_text_labels_in_a_dictionary_column(self, tmp_path: Path, ask: Ask, encode: Encode) -> None:
        labels = pa.array(["dog", "cat"] * 5).dictionary_encode()
        images = pa.array([encode(n) for n in range(10)], pa.large_binary())
        pq.write_table(pa.table({"pixels": images, "class": labels}), tmp_path / "pets.parquet")
        assert load_dataset(ask("parquet", tmp_path / "pets.parquet")).classes == ("cat", "dog")

    def test_named_columns_decide_between_several(self, tmp_path: Path, ask: Ask, encode: Encode) -> None:
        columns = {
            "front": [{"bytes": encode(n), "path": ""} for n in range(10)],
            "back": [{"bytes": encode(50 + n), "path": ""} for n in range(10)],
            "coarse": [0, 1] * 5,
            "fine": [0, 1, 2, 3, 4] * 2,
        }
        pq.write_table(pa.table(columns), tmp_path / "all.parquet")
        asked = ask("parquet", tmp_path / "all.parquet", image_column="back", label_column="coarse")
        dataset = load_dataset(asked)
        assert dataset.classes == ("0", "1")
        expected = decode_image(encode(50 + int(dataset.train.ids[0])))
        np.testing.assert_array_equal(dataset.pixels("train", 0), expected)

    def test_images_may_lie_beside_the_table(self, make_parquet: Make, ask: Ask, encode: Encode) -> None:
        cells = [{"bytes": None, "path": f"{n}.png"} for n in range(10)]
        root = make_parquet({"train.parquet": [0, 1] * 5}, cells={"train.parquet": cells})
        for number in range(10):
            (root / f"{number}.png").write_bytes(encode(number))
        dataset = load_dataset(ask("parquet", root))
        np.testing.assert_array_equal(dataset.pixels("train", 0), decode_image(encode(int(dataset.train.ids[0]))))

    def test_only_the_row_groups_of_chosen_rows_are_read(
        self, make_parquet: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = make_parquet({"train.parquet": [0, 1] * 50, "test.parquet": [0, 1] * 50})
        read: list[int] = []
        original = pq.ParquetFile.read_row_group

        def counting(self: Any, group: int, **options: Any) -> Any:
            read.append(group)
            return original(self, group, **options)

        monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
        load_dataset(ask("parquet", root, train=4, val=2, test=2))
        assert 1 <= len(read) <= 8

    def test_images_beyond_memorys_share_lie_in_a_nameless_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
        blobs = Blobs(in_memory_bytes=1000)
        contents = [bytes([n]) * (n + 200) for n in range(20)]
        numbers = [blobs.append(content) for content in contents]
        assert [blobs[number] for number in reversed(numbers)] == contents[::-1]
        assert list((tmp_path / "cache").iterdir()) == []


class TestRealCifar10:
    def test_all_of_it(self, cifar10_path: Path, ask: Ask) -> None:
        dataset = load_dataset(ask("parquet", cifar10_path))
        assert [len(split) for split in dataset.splits] == [45000, 5000, 10000]
        assert dataset.classes[0] == "airplane"
        assert dataset.classes[9] == "truck"
        for split in dataset.splits:
            assert np.bincount(split.labels).tolist() == [len(split) // 10] * 10
        assert dataset.skipped == ()

    def test_a_subset_is_loaded_right(self, cifar10_path: Path, ask: Ask) -> None:
        dataset = load_dataset(ask("parquet", cifar10_path, train=4000, val=1000, test=1000))
        rows = pq.read_table(next(cifar10_path.glob("train-*.parquet"))).to_pylist()
        for split in (dataset.train, dataset.val):
            for position in range(0, len(split), 97):
                row = rows[split.ids[position]]
                assert split.labels[position] == row["label"]
                expected = np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])))
                np.testing.assert_array_equal(dataset.pixels(split, position), expected)


def test_results_describe_the_data(ask: Ask, make_files: Make) -> None:
    root = make_files(class_folders())
    described = load_dataset(ask("folder", root, val=2, seed=4)).to_json()
    assert json.loads(json.dumps(described)) == described
    expected = {
        "source": "folder",
        "path": os.fspath(root),
        "val": 2,
        "seed": 4,
        "classes": ["cat", "dog"],
        "n_train": 6,
        "n_val": 2,
        "n_test": 2,
        "n_skipped": 0,
        "on_bad_image": "stop",
    }
    assert expected.items() <= described.items()

"""What systems and editors leave behind, and what is no file, is ignored in every source, and counted in one line."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from frostline.data import Dataset, load_dataset
from frostline.errors import DataError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]
Encode = Callable[..., bytes]

GOOD: dict[str, Any] = {f"{name}/{i}.png": 10 * k + i for k, name in enumerate(("cat", "dog")) for i in range(5)}
SPLIT: dict[str, Any] = {
    f"{split}/{path}": 100 * s + n for s, split in enumerate(("train", "val", "test")) for path, n in GOOD.items()
}

FILES = {
    ".DS_Store": "hidden",
    "._0.png": "hidden",
    ".0.png.swp": "hidden",
    ".directory": "hidden",
    "Thumbs.db": "Thumbs.db",
    "THUMBS.DB": "Thumbs.db",
    "ehthumbs.db": "ehthumbs.db",
    "desktop.ini": "desktop.ini",
    "Desktop.ini": "desktop.ini",
    "Icon\r": "Icon",
    "0.png:Zone.Identifier": "Zone.Identifier",
    "0.png~": "editor's backup",
    "#notes.txt#": "editor's backup",
    "~$labels.xlsx": "editor's backup",
}
FOLDERS = {
    ".ipynb_checkpoints": "hidden",
    ".git": "hidden",
    ".Trash-1000": "hidden",
    ".Spotlight-V100": "hidden",
    "__MACOSX": "__MACOSX",
    "@eaDir": "@eaDir",
    "@EADIR": "@eaDir",
    "#recycle": "#recycle",
    "#snapshot": "#snapshot",
    "@Recycle": "@Recycle",
    "$RECYCLE.BIN": "$RECYCLE.BIN",
    "System Volume Information": "System Volume Information",
    "lost+found": "lost+found",
    "__pycache__": "__pycache__",
}


def names(dataset: Dataset) -> set[str]:
    return {dataset.name(split, i) for split in dataset.splits for i in range(len(split))}


def make_special(kind: str, path: Path) -> None:
    """Put something at a path that is no image and no folder."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            here = Path.cwd()
            os.chdir(path.parent)  # the name of a socket is at most some 100 bytes long
            try:
                with socket.socket(socket.AF_UNIX) as server:
                    server.bind(path.name)
            finally:
                os.chdir(here)
        case "device":
            path.symlink_to("/dev/zero")  # endless
        case "broken link":
            path.symlink_to(path.parent / "gone")
        case _:  # a link to itself
            path.symlink_to(path)


SPECIAL = {kind: kind for kind in ("pipe", "socket", "device", "broken link")} | {"circle": "broken link"}


class TestFolder:
    @pytest.mark.parametrize("files", [GOOD, SPLIT], ids=["class folders", "split folders"])
    @pytest.mark.parametrize("name", FILES)
    def test_files(self, files: dict[str, Any], name: str, make_files: Make, ask: Ask) -> None:
        below = sorted({path.rsplit("/", 1)[0] for path in files})
        root = make_files(files | {f"{folder}/{name}": 70 for folder in (".", below[0])})
        dataset = load_dataset(ask("folder", root))
        assert names(dataset) == set(files)
        assert dataset.ignored == {FILES[name]: 2}

    @pytest.mark.parametrize("files", [GOOD, SPLIT], ids=["class folders", "split folders"])
    @pytest.mark.parametrize("name", FOLDERS)
    def test_folders(self, files: dict[str, Any], name: str, make_files: Make, ask: Ask) -> None:
        below = sorted({path.rsplit("/", 1)[0] for path in files})
        places = {".", below[0], below[0].split("/")[0]}
        litter = {f"{place}/{name}/{inner}": 70 for place in places for inner in ("0.png", "cat/1.png")}
        dataset = load_dataset(ask("folder", make_files(files | litter)))
        assert dataset.classes == ("cat", "dog")
        assert names(dataset) == set(files)
        assert dataset.ignored == {FOLDERS[name]: len(places)}

    @pytest.mark.parametrize("kind", SPECIAL)
    @pytest.mark.parametrize("place", ["cat/0000.png", "dog/what", "above.png", "bird"])
    def test_what_is_no_file(self, kind: str, place: str, make_files: Make, ask: Ask) -> None:
        root = make_files(GOOD)
        make_special(kind, root / place)
        dataset = load_dataset(ask("folder", root))
        assert names(dataset) == set(GOOD)
        assert dataset.classes == ("cat", "dog")
        assert dataset.ignored == {SPECIAL[kind]: 1}

    @pytest.mark.parametrize(
        ("link", "target"),
        [
            *((link, target) for link in ("cat/again", "again", "cat/deep/again") for target in (".", "..")),
            *((link, "cat") for link in ("cat/again", "cat/deep/again")),
        ],
    )
    def test_links_to_a_folder_above_are_not_followed(self, link: str, target: str, make_files: Make, ask: Ask) -> None:
        root = make_files(GOOD | {"cat/deep/0.png": 50})
        (root / link).symlink_to(root / target)
        dataset = load_dataset(ask("folder", root))
        assert names(dataset) == {*GOOD, "cat/deep/0.png"}
        assert dataset.ignored == {"link to a folder above it": 1}

    def test_two_folders_that_link_to_each_other_end(self, make_files: Make, ask: Ask) -> None:
        pets = {f"pets/{path}": number for path, number in GOOD.items()}
        root = make_files(pets | {f"cars/{number}.png": 60 + number for number in range(3)})
        (root / "pets" / "cat" / "dogs").symlink_to(root / "pets" / "dog")
        (root / "pets" / "dog" / "cats").symlink_to(root / "pets" / "cat")
        dataset = load_dataset(ask("folder", root))
        # each once by its own folder and once by the other's link
        assert len(names(dataset)) == 23
        assert dataset.ignored == {"link to a folder above it": 2}

    def test_all_of_it_is_one_line(self, make_files: Make, ask: Ask) -> None:
        root = make_files(GOOD | {".a": "x", "cat/.b": "x", "cat/.c/d.png": 1, "cat/Thumbs.db": "x", "dog/0.png~": "x"})
        for number in range(2):
            make_special("pipe", root / "dog" / f"pipe{number}.png")
            make_special("broken link", root / f"gone{number}")
        (root / "up").symlink_to(root)
        dataset = load_dataset(ask("folder", root))
        line = "ignored: 3 hidden, 2 pipes, 2 broken links, 1 Thumbs.db, 1 editor's backup, 1 link to a folder above it"
        assert [sorted(warning.split(", ")) for warning in dataset.warnings] == [sorted(line.split(", "))]
        assert dataset.to_json()["ignored"] == dataset.ignored
        assert sum(dataset.ignored.values()) == 10

    def test_nothing_is_said_of_a_clean_folder(self, make_files: Make, ask: Ask) -> None:
        dataset = load_dataset(ask("folder", make_files(GOOD)))
        assert dataset.ignored == {}
        assert dataset.warnings == ()

    def test_where_nothing_is_left_the_error_says_what_was_ignored(self, make_files: Make, ask: Ask) -> None:
        root = make_files({"cat": None, "dog": None})
        for name in ("cat", "dog"):
            for number in range(3):
                make_special("broken link", root / name / f"{number}.jpg")
        with pytest.raises(DataError, match=r"no class with an image in train(.|\n)*\n  ignored: 6 broken links$"):
            load_dataset(ask("folder", root))
        with pytest.raises(DataError, match=r"holds no class folders.*\n  ignored: 1 hidden$"):
            load_dataset(ask("folder", make_files({"../empty/.hidden/0.png": 1}).parent / "empty"))

    def test_names_that_only_look_like_it_are_classes(self, make_files: Make, ask: Ask) -> None:
        classes = ("lost", "recycle", "thumbs", "desktop", "snapshot", "#1", "~tilde")
        files = {f"{name}/{i}.png": 10 * k + i for k, name in enumerate(classes) for i in range(3)}
        dataset = load_dataset(ask("folder", make_files(files)))
        assert dataset.classes == tuple(sorted(classes))
        assert dataset.ignored == {}


DOCUMENTS = [
    *(
        "README.txt",
        "notes.TXT",
        "README",
        "LICENSE",
        "labels.csv",
        "annotations.json",
        "0.xml",
        "about.md",
        "paper.pdf",
    ),
    *("classes.names", "page.html", "table.xlsx"),
]


class TestDocuments:
    @pytest.mark.parametrize("files", [GOOD, SPLIT], ids=["class folders", "split folders"])
    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_are_ignored_and_counted(self, files: dict[str, Any], name: str, make_files: Make, ask: Ask) -> None:
        places = (".", sorted({path.rsplit("/", 1)[0] for path in files})[0])
        dataset = load_dataset(ask("folder", make_files(files | {f"{place}/{name}": "text" for place in places})))
        assert names(dataset) == set(files)
        assert dataset.ignored == {"document or metadata file": 2}
        assert "ignored: 2 documents or metadata files" in dataset.warnings

    def test_beside_folders_that_are_looked_for_by_what_is_in_them(self, make_files: Make, ask: Ask) -> None:
        nested = {f"seg_{path.split('/')[0]}/seg_{path}": number for path, number in SPLIT.items()}
        dataset = load_dataset(ask("folder", make_files(nested | {"seg_train/README.txt": "text"})))
        assert dataset.classes == ("cat", "dog")
        assert dataset.ignored == {"document or metadata file": 1}

    @pytest.mark.parametrize("name", ["0.txt", "0.csv", "LICENSE"])
    def test_what_is_an_image_is_one(self, name: str, make_files: Make, ask: Ask) -> None:
        dataset = load_dataset(ask("folder", make_files(GOOD | {f"cat/{name}": 70})))
        assert names(dataset) == {*GOOD, f"cat/{name}"}
        assert dataset.ignored == {}

    def test_a_class_may_be_called_like_one(self, make_files: Make, ask: Ask) -> None:
        files = {f"{name}/{n}.png": 10 * k + n for k, name in enumerate(("a.pdf", "b.txt")) for n in range(3)}
        assert load_dataset(ask("folder", make_files(files))).classes == ("a.pdf", "b.txt")

    @pytest.mark.parametrize("name", ["cat/broken.png", "cat/thing.dat", "cat/drawing.svg", "cat/no_suffix"])
    def test_other_files_are_faults(self, name: str, make_files: Make, ask: Ask) -> None:
        with pytest.raises(DataError, match=f"1 item can't be used\n  {name}: is not an image"):
            load_dataset(ask("folder", make_files(GOOD | {name: "text"})))


class TestParquet:
    def test_copies_in_hidden_folders_are_no_data(self, make_parquet: Make, ask: Ask) -> None:
        files = {"train-0.parquet": [0, 1] * 6, "test-0.parquet": [0, 1] * 2}
        copies = (".ipynb_checkpoints/train-0-checkpoint.parquet", "._train-0.parquet", "@eaDir/test-0.parquet")
        root = make_parquet(files | {copy: [0, 1] * 6 for copy in copies})
        dataset = load_dataset(ask("parquet", root))
        assert sum(len(split) for split in dataset.splits) == 16
        assert dataset.ignored == {"hidden": 2, "@eaDir": 1}
        assert dataset.warnings == ("ignored: 2 hidden, 1 @eaDir",)

    @pytest.mark.parametrize("kind", SPECIAL)
    def test_what_is_no_file(self, kind: str, make_parquet: Make, ask: Ask) -> None:
        root = make_parquet({"train-0.parquet": [0, 1] * 6})
        make_special(kind, root / "train-1.parquet")
        dataset = load_dataset(ask("parquet", root))
        assert sum(len(split) for split in dataset.splits) == 12
        assert dataset.ignored == {SPECIAL[kind]: 1}

    def test_linked_folders_are_read_once(self, make_parquet: Make, ask: Ask) -> None:
        root = make_parquet({"data/train-0.parquet": [0, 1] * 6})
        (root / "data").rename(root.parent / "elsewhere")
        (root / "data").symlink_to(root.parent / "elsewhere")
        (root.parent / "elsewhere" / "up").symlink_to(root)
        dataset = load_dataset(ask("parquet", root))
        assert sum(len(split) for split in dataset.splits) == 12
        assert dataset.ignored == {"link to a folder above it": 1}

    def test_an_image_beside_the_table_that_is_a_pipe(self, make_parquet: Make, ask: Ask, encode: Encode) -> None:
        cells = [{"bytes": None if n == 3 else encode(n), "path": "pipe.png"} for n in range(10)]
        root = make_parquet({"train.parquet": [0, 1] * 5}, cells={"train.parquet": cells})
        make_special("pipe", root / "pipe.png")
        with pytest.raises(DataError, match=r'row 3: holds no bytes, and its path "pipe.png" is a pipe, not a file'):
            load_dataset(ask("parquet", root))


class TestCsv:
    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_a_row_that_names_one_is_told_by_name(self, kind: str, make_files: Make, ask: Ask) -> None:
        rows = "".join(f"{path},{path.split('/')[0]}\n" for path in GOOD)
        root = make_files(GOOD | {"all.csv": f"path,label\n{rows}cat/special.png,cat\n"})
        make_special(kind, root / "cat" / "special.png")
        with pytest.raises(DataError, match=rf"cat/special.png: is a {kind}, not a file"):
            load_dataset(ask("csv", root / "all.csv"))

    def test_a_hidden_file_that_the_table_names_is_meant(self, make_files: Make, ask: Ask) -> None:
        files = GOOD | {"cat/.hidden.png": 70}
        rows = "".join(f"{path},{path.split('/')[0]}\n" for path in files)
        dataset = load_dataset(ask("csv", make_files(files | {"all.csv": f"path,label\n{rows}"}) / "all.csv"))
        assert "cat/.hidden.png" in names(dataset)
        assert dataset.ignored == {}


@pytest.mark.parametrize("source", ["folder", "csv", "parquet"])
def test_a_path_that_is_a_pipe_itself_is_an_error(source: str, tmp_path: Path, ask: Ask) -> None:
    make_special("pipe", tmp_path / "pipe")
    with pytest.raises(DataError, match=r'data.path = ".*pipe": is a pipe, not a '):
        load_dataset(ask(source, tmp_path / "pipe"))


@pytest.mark.parametrize("place", [CIFAR10.filename, f"{CIFAR10.base_folder}/data_batch_1"])
def test_a_pipe_among_the_files_of_cifar10(place: str, tmp_path: Path, ask: Ask) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    make_special("pipe", tmp_path / place)
    with pytest.raises(DataError, match=rf"{place} is a pipe, not a file: remove it$"):
        load_dataset(ask("cifar10", tmp_path))


def test_ids_are_in_the_order_of_the_paths(make_files: Make, ask: Ask) -> None:
    inner = ("z.png", "x/1.png", "x/y/2.png", "w/3.png", "m.png")
    files = {f"{k}/{name}": 10 * n + i for n, k in enumerate(("a", "b")) for i, name in enumerate(inner)}
    dataset = load_dataset(ask("folder", make_files(files | {"a/.hidden/0.png": 90})))
    # a folder's files before its folders
    order = ["m.png", "z.png", "w/3.png", "x/1.png", "x/y/2.png"]
    assert [dataset.name_of(image) for image in range(10)] == [f"{k}/{name}" for k in ("a", "b") for name in order]
    assert sorted(np.concatenate([split.ids for split in dataset.splits]).tolist()) == list(range(10))

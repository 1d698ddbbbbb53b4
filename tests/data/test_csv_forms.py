"""CSV tables as people write them: headers, marks, quotes, and where paths start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frostline.data import Dataset, load_dataset
from frostline.errors import DataError
from frostline.study import Data

Make = Callable[..., Path]
Ask = Callable[..., Data]

IMAGES: dict[str, Any] = {f"{label}/{i}.png": 10 * k + i for k, label in enumerate(("cat", "dog")) for i in range(5)}
ROWS = [(name, name.split("/")[0]) for name in IMAGES]
PLAIN = "\n".join(f"{name},{label}" for name, label in ROWS) + "\n"


def labelled(dataset: Dataset) -> dict[str, str]:
    return {
        dataset.name(split, i): dataset.classes[label]
        for split in dataset.splits
        for i, label in enumerate(split.labels.tolist())
    }


READ: dict[str, str | bytes] = {
    "plain": "path,label\n" + PLAIN,
    "blank first lines": "\n  \n\npath,label\n" + PLAIN,
    "first lines of commas": ",,\n,,\npath,label,\n" + PLAIN,
    "a mark and blank first lines": "\ufeff\n\npath,label\n" + PLAIN,
    "quoted names": '"path","label"\n' + PLAIN,
    "names in single quotes": "'path','label'\n" + PLAIN,
    "spaced names": "  path ,  label  \n" + PLAIN,
    "spaced and quoted names": ' "path" , "label" \n' + PLAIN,
    "spaced and quoted cells": "path,label\n" + "".join(f' "{name}", "{label}"\n' for name, label in ROWS),
    "names in capitals": "Path,LABEL\n" + PLAIN,
    "other usual names": "File_Name,Class\n" + PLAIN,
    "usual names with a space": "image path,class name\n" + PLAIN,
    "an unnamed index": ",path,label\n" + "".join(f"{n},{name},{label}\n" for n, (name, label) in enumerate(ROWS)),
    "two unnamed columns": ",,path,label\n" + "".join(f"1,2,{name},{label}\n" for name, label in ROWS),
    "a comma too many": "path,label,\n" + "".join(f"{name},{label},\n" for name, label in ROWS),
    "commas too many in the rows": "path,label\n" + "".join(f"{name},{label},,\n" for name, label in ROWS),
    "rows of nothing but commas": "path,label\n" + PLAIN.replace("\n", "\n,\n"),
    "bars": "path|label\n" + PLAIN.replace(",", "|"),
    "Excel's first line": "sep=;\npath;label\n" + PLAIN.replace(",", ";"),
    "a mark within a quoted name": 'label;path;"size, in bytes"\n' + "".join(f"{b};{a};7\n" for a, b in ROWS),
    "Windows' line ends": ("path,label\n" + PLAIN).replace("\n", "\r\n").encode(),
    "old Mac line ends": ("path,label\n" + PLAIN).replace("\n", "\r").encode(),
    "backslashes": "path,label\n" + PLAIN.replace("/", "\\"),
}


@pytest.mark.parametrize("case", READ)
def test_tables_are_read(case: str, make_files: Make, ask: Ask) -> None:
    root = make_files(IMAGES | {"all.csv": READ[case]})
    dataset = load_dataset(ask("csv", root / "all.csv"))
    assert {name.replace("\\", "/"): label for name, label in labelled(dataset).items()} == dict(ROWS)
    assert ("paths: backslashes separate folders" in dataset.notes) == (case == "backslashes")


def test_lines_are_counted_from_the_first_of_the_file(make_files: Make, ask: Ask) -> None:
    root = make_files(IMAGES | {"all.csv": "\n\npath,label\n" + PLAIN + ",cat\n"})
    with pytest.raises(DataError, match=r"all.csv:14: has no path"):
        load_dataset(ask("csv", root / "all.csv"))


class TestPaths:
    def test_start_at_the_table(self, make_files: Make, ask: Ask) -> None:
        root = make_files(IMAGES | {"all.csv": "path,label\n" + PLAIN})
        assert "paths: relative to the folder of all.csv" in load_dataset(ask("csv", root / "all.csv")).notes

    def test_start_at_the_working_directory_where_nothing_is_at_the_table(
        self, make_files: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = make_files(IMAGES | {"tables/all.csv": "path,label\n" + PLAIN})
        monkeypatch.chdir(root)
        dataset = load_dataset(ask("csv", "tables/all.csv"))
        assert labelled(dataset) == dict(ROWS)
        assert "paths: relative to the working directory" in dataset.notes

    def test_start_at_the_table_where_both_would_do(
        self, make_files: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = make_files(
            IMAGES | {f"other/{name}": 50 + n for name, n in IMAGES.items()} | {"all.csv": "path,label\n" + PLAIN}
        )
        monkeypatch.chdir(root / "other")
        dataset = load_dataset(ask("csv", root / "all.csv"))
        assert "paths: relative to the folder of all.csv" in dataset.notes
        here = load_dataset(ask("csv", root / "all.csv", train=2, val=2, test=2))
        monkeypatch.chdir(root)
        assert load_dataset(ask("csv", root / "all.csv", train=2, val=2, test=2)).fingerprint == here.fingerprint

    def test_that_lead_nowhere_are_named(self, make_files: Make, ask: Ask) -> None:
        root = make_files(IMAGES | {"all.csv": "path,label\n" + PLAIN.replace("cat/0", "cat/00")})
        with pytest.raises(DataError, match=r"1 item can't be used\n  cat/00.png: does not exist"):
            load_dataset(ask("csv", root / "all.csv"))

    def test_a_file_may_have_a_backslash_in_its_name(self, make_files: Make, ask: Ask) -> None:
        files = IMAGES | {"cat\\9.png": 90}
        root = make_files(files | {"all.csv": "path,label\n" + PLAIN + "cat\\9.png,cat\n"})
        dataset = load_dataset(ask("csv", root / "all.csv"))
        assert len(labelled(dataset)) == 11
        assert "paths: backslashes separate folders" not in dataset.notes


WRONG: dict[str, tuple[str, dict[str, str], str]] = {
    "two columns of images": (
        "image,file,label\n" + "".join(f"{a},{a},{b}\n" for a, b in ROWS),
        {},
        "image, file could each be the image column; name one in data.image_column",
    ),
    "one column for both": ("path,label\n" + PLAIN, {"label_column": "path"}, "column path can't be both"),
    "blank lines only": ("\n\n \n", {}, "is empty; a header line with path,label is needed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_say_too_little(case: str, make_files: Make, ask: Ask) -> None:
    text, said, message = WRONG[case]
    root = make_files(IMAGES | {"all.csv": text})
    with pytest.raises(DataError, match=message):
        load_dataset(ask("csv", root / "all.csv", **said))


def test_a_path_and_a_label_again_in_an_unused_row_are_no_contradiction(make_files: Make, ask: Ask) -> None:
    rows = "".join(f"{name},{label},{fold}\n" for fold in (1, 2) for name, label in ROWS)
    root = make_files(IMAGES | {"all.csv": "path,label,round\n" + rows})
    dataset = load_dataset(ask("csv", root / "all.csv", split_column="round", splits={"train": 2}))
    assert labelled(dataset) == dict(ROWS)

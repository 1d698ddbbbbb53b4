"""What lies where a study says that its images are; nothing there is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from frostline.data_paths import data_path_fault, what_it_is

if TYPE_CHECKING:
    from pathlib import Path

ABSENT = "does not exist (looked for {}/absent)"


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("folder", "folder", None),
        ("folder", "file.csv", "is a file, not a folder"),
        ("folder", "absent", ABSENT),
        ("folder", "pipe", "is a pipe, not a folder"),
        ("csv", "file.csv", None),
        ("csv", "folder", "is a folder, not a CSV file"),
        ("csv", "absent", ABSENT),
        ("csv", "pipe", "is a pipe, not a CSV file"),
        ("parquet", "file.csv", None),
        ("parquet", "folder", None),
        ("parquet", "absent", ABSENT),
        ("parquet", "pipe", "is a pipe, not a Parquet file or a folder of them"),
        ("cifar10", "folder", None),
        ("cifar10", "absent", None),
        ("cifar10", "cifar-10-python.tar.gz", None),
        ("cifar10", "file.csv", "is a file, not a folder"),
        ("folder", "a" * 300, "can't be read (File name too long)"),
        ("digits", "absent", None),
    ],
)
def test_what_is_there_and_what_is_needed(
    source: str, name: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for file in ("file.csv", "cifar-10-python.tar.gz"):
        (tmp_path / file).write_text("")
    fault = data_path_fault(source, str(tmp_path / name))
    assert fault == (None if expected is None else expected.format(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert data_path_fault(source, name) == fault


def test_a_home_directory_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    assert data_path_fault("folder", "~/photos") is None
    assert data_path_fault("folder", "~/other") == f"does not exist (looked for {tmp_path}/other)"
    fault = data_path_fault("folder", "~nobody-of-that-name/photos")
    assert fault is not None
    assert fault.startswith("can't be read (")


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert what_it_is(tmp_path / "link") == "folder"
    assert data_path_fault("folder", str(tmp_path / "link")) is None
    assert data_path_fault("folder", str(tmp_path / "broken")) == f"does not exist (looked for {tmp_path}/broken)"

"""Files that are saved together: whole or not there, and none has its name before the disk has all of them."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from frostline.errors import DiskFullError
from frostline.files import FileBatch, save_file

if TYPE_CHECKING:
    from pathlib import Path


def contents(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("n", [0, 1, 100])
def test_a_batch_holds_what_files_saved_one_by_one_hold(n: int, tmp_path: Path) -> None:
    wanted = {f"{number % 7}/{number}.bin": bytes([number]) * number for number in range(n)}
    for name, content in wanted.items():
        save_file(tmp_path / "alone" / name, content)
    with FileBatch() as batch:
        for name, content in wanted.items():
            batch.save(tmp_path / "together" / name, content)
        assert not any((tmp_path / "together" / name).exists() for name in wanted)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone") == wanted


def test_what_is_there_is_replaced_and_the_last_content_counts(tmp_path: Path) -> None:
    save_file(tmp_path / "a", b"old")
    with FileBatch() as batch:
        for content in (b"first", b"new"):
            batch.save(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == b"old"
    assert contents(tmp_path) == {"a": b"new"}


def test_none_has_its_name_before_all_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(len([name for name in contents(tmp_path) if not name.startswith(".")]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with FileBatch() as batch:
        for number in range(20):
            batch.save(tmp_path / str(number), b"content")
    assert synced == [0] * 20 + [20]  # the folder last


@pytest.mark.parametrize(
    ("fails", "code", "why"),
    [
        ("fsync", errno.ENOSPC, "no room left"),
        ("fsync", errno.EIO, os.strerror(errno.EIO)),
        ("replace", errno.EDQUOT, "no room left"),
    ],
)
def test_a_full_disk_is_named_and_leaves_nothing_behind(
    fails: str, code: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((os, "fsync", fail) if fails == "fsync" else (type(tmp_path), "replace", fail)))
    with pytest.raises(DiskFullError, match=f"a: {why}. What was finished before is kept"), FileBatch() as batch:  # noqa: PT012
        batch.save(tmp_path / "a", b"content")
        batch.save(tmp_path / "b", b"content")
    assert contents(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    with pytest.raises(DiskFullError, match=r"in the way.b: .*What was finished before is kept"), FileBatch() as batch:  # noqa: PT012
        batch.save(tmp_path / "a", b"content")
        batch.save(tmp_path / "in the way" / "b", b"content")
    assert contents(tmp_path) == {"in the way": b""}


def test_another_error_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="other"), FileBatch() as batch:  # noqa: PT012
        batch.save(tmp_path / "a", b"content")
        raise KeyError("other")
    assert contents(tmp_path) == {}

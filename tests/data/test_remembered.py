"""What a check of images found is remembered for plans, as long as their files are the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from frostline.data import _checking, load_dataset
from frostline.data._remembered import KEPT, files_key, recall, remember
from frostline.places import cache_directory
from frostline.study import Data

if TYPE_CHECKING:
    from pathlib import Path

N = 12


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    for i in range(N):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
    (tmp_path / "photos" / "a" / "bad.png").write_bytes(b"no image")
    return tmp_path / "photos"


def data_of(photos: Path) -> Data:
    return Data(source="folder", path=str(photos), on_bad_image="skip", val=2, test=2)


def never(*_: object) -> None:
    raise AssertionError("images were decoded")


def test_a_plan_takes_what_was_found(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = load_dataset(data_of(photos))
    with monkeypatch.context() as patch:
        patch.setattr(_checking, "map_in_threads", never)
        known = load_dataset(data_of(photos), remembered=True)
    assert known.skipped == checked.skipped
    assert known.skipped[0].item.endswith("bad.png")
    assert known.warnings == checked.warnings
    for ours, theirs in zip(known.splits, checked.splits, strict=True):
        assert (ours.digests, ours.ids.tolist()) == (theirs.digests, theirs.ids.tolist())
    image = int(known.train.ids[0])
    assert np.array_equal(known.read(image), checked.read(image))


def test_a_run_decodes_them_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dataset(data_of(photos))
    monkeypatch.setattr(_checking, "map_in_threads", never)
    with pytest.raises(AssertionError, match="images were decoded"):
        load_dataset(data_of(photos))


@pytest.mark.parametrize("what", ["size", "time", "choice", "damage"])
def test_what_has_changed_is_looked_at_again(photos: Path, what: str) -> None:
    before = load_dataset(data_of(photos), remembered=True)
    changed, data = photos / "b" / "1.png", data_of(photos)
    if what == "size":
        Image.fromarray(np.full((9, 8, 3), 200, np.uint8)).save(changed)
    elif what == "time":
        state = changed.stat()
        Image.fromarray(np.full((8, 8, 3), 201, np.uint8)).save(changed)
        os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    elif what == "choice":
        data = Data(source="folder", path=str(photos), on_bad_image="skip", val=2, test=2, seed=1)
    else:
        for stored in (cache_directory() / "images").iterdir():
            stored.write_text("{")
    known, fresh = load_dataset(data, remembered=True), load_dataset(data)
    assert [split.digests for split in known.splits] == [split.digests for split in fresh.splits]
    assert ([split.digests for split in known.splits] == [split.digests for split in before.splits]) == (
        what == "damage"
    )


def test_the_latest_are_kept(photos: Path) -> None:
    for number in range(KEPT + 3):
        remember(f"{number:03}", ["digest"])
        os.utime(cache_directory() / "images" / f"{number:03}.json", (number, number))
    remember("last", ["digest"])
    assert len(list((cache_directory() / "images").iterdir())) == KEPT
    assert recall("last", 1) == ["digest"]
    assert recall("000", 1) is None
    assert recall("last", 2) is None


def test_files_that_are_gone_have_no_key(photos: Path) -> None:
    assert files_key([photos / "a" / "0.png"], np.arange(1)) is not None
    assert files_key([photos / "a" / "gone.png"], np.arange(1)) is None


def test_another_package_that_decodes_makes_another_key(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(photos.glob("*/*.png"))
    ids = np.arange(len(files))
    before = files_key(files, ids)
    assert files_key(files, ids) == before
    monkeypatch.setattr("frostline.data._remembered.decoders", lambda: ["13.0.0", "pillow-heif"])
    assert files_key(files, ids) != before

"""Damage on the disk and disks without room: noticed, said, and mended no further than necessary."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from frostline.errors import DiskFullError
from frostline.features import FeatureStore

from .passes import N, contents, digests, make_specs, run, segment_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUTS = ["layer4", "head"]


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100 if path.suffix != ".json" else 40)


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def write_other_rows(path: Path) -> None:
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "rows": record["rows"] - 1}))


def drop_checksum(path: Path) -> None:
    record = json.loads(path.read_text())
    record["tensors"][0].pop()
    path.write_text(json.dumps(record))


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("00003.0.bin", truncate, "00003.0.bin has 24476 of 24576 bytes"),
    ("00003.0.bin", extend, "00003.0.bin is too long"),
    ("00003.0.bin", flip_bit, "00003.0.bin is damaged in its rows from 0 bytes on"),
    ("00003.0.bin", os.remove, "00003.0.bin is missing"),
    ("00003.0.bin", empty, "00003.0.bin has 0 of 24576 bytes"),
    ("00007.0.bin", flip_bit, "00007.0.bin is damaged"),
    ("00003.json", os.remove, ""),
    ("00007.json", os.remove, ""),
    ("00003.json", empty, "its record can't be read"),
    ("00003.json", truncate, "its record can't be read"),
    ("00003.json", write_other_rows, "its record is damaged"),
    ("00003.json", drop_checksum, "its record is damaged"),
    ("00003.ids", flip_bit, "its list of images is damaged"),
    ("00003.ids", truncate, "its list of images is damaged"),
    ("00003.ids", os.remove, "its list of images can't be read"),
]


@pytest.mark.parametrize(("name", "damage", "fault"), DAMAGE, ids=lambda value: getattr(value, "__name__", value))
def test_only_a_damaged_segment_is_made_again(
    store: FeatureStore, notices: list[str], name: str, damage: Callable[[Path], None], fault: str
) -> None:
    run(store, CUTS)
    before = contents(store)
    path = segment_file(store, "head", name)
    damage(path)
    times = {
        other: other.stat().st_mtime_ns
        for other in store.path.rglob("0*")
        if other.name[:5] != name[:5] and other.suffix != ".ids"  # which are touched when rows are used
    }
    computed: list[int] = []

    again = FeatureStore(store.path)
    assert again.open(make_specs(["head"])[0], digests()) is None
    assert again.open(make_specs(["layer4"])[0], digests()) is not None
    report = run(again, CUTS, notice=notices.append, progress=lambda done, total: computed.append(done))

    assert not report.reused
    segment = int(name[:5])
    if fault:
        assert len(report.repaired) == 1
        assert report.repaired[0].startswith(f"resnet18 at head, segment {segment}: ")
        assert fault in report.repaired[0]
        assert [text for text in notices if fault in text and text.endswith("made again")] == notices
    else:  # without its record a segment isn't there
        assert (report.repaired, notices) == ((), [])
    assert report.n_passed == (6 if segment == 7 else 12)  # its images and no others
    assert len(computed) == (2 if segment == 7 else 3)
    assert contents(again) == before
    assert {other: other.stat().st_mtime_ns for other in times} == times


def test_damage_in_several_cuts_at_once(store: FeatureStore, notices: list[str]) -> None:
    run(store, CUTS)
    before = contents(store)
    flip_bit(segment_file(store, "head", "00001.0.bin"))
    segment_file(store, "layer4", "00005.0.bin").unlink()
    report = run(FeatureStore(store.path), CUTS, notice=notices.append)
    assert len(report.repaired) == len(notices) == 2
    assert contents(store) == before


def test_bytes_checked_once_are_checked_again_when_touched(store: FeatureStore, notices: list[str]) -> None:
    run(store, ["head"])
    assert run(store, ["head"]).reused
    flip_bit(segment_file(store, "head", "00000.0.bin"))
    assert store.open(make_specs(["head"])[0], digests()) is None
    assert len(run(store, ["head"], notice=notices.append).repaired) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"rows": {"shapes": "many"}}', b"\xff\xfe"])
def test_rows_without_their_format_are_made_again(store: FeatureStore, content: bytes) -> None:
    run(store, ["head"])
    before = contents(store)
    segment_file(store, "head", "meta.json").write_bytes(content)
    assert store.open(make_specs(["head"])[0], digests()) is None
    assert not run(store, ["head"]).reused
    assert contents(store) == before


def test_a_full_disk_is_said_before_work_begins(small_disk: Path, notices: list[str]) -> None:
    store = FeatureStore(small_disk / "features")
    (small_disk / "filler").write_bytes(bytes(3 << 20))
    message = (
        rf"no room for activations in {re.escape(str(store.path))}: 1\.5 MB are needed and 1\.\d MB are free\. Make "
        r"room there, for example with `frostline cache prune`, or set FROSTLINE_CACHE to a directory on a larger disk"
    )
    with pytest.raises(DiskFullError, match=message):
        run(store, ["layer4"])
    assert list(store.path.rglob("*.bin")) == []
    (small_disk / "filler").unlink()
    assert not run(store, ["layer4"]).reused
    assert run(store, ["layer4"]).reused


def test_a_disk_that_fills_up_keeps_what_is_stored(
    small_disk: Path, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(small_disk / "features")
    filler = small_disk / "filler"

    def fill(done: int, total: int) -> None:
        if done >= N // 2 and not filler.exists():
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            with suppress(OSError):  # the pass itself took the last of it meanwhile
                filler.write_bytes(bytes(free))

    with pytest.raises(
        DiskFullError, match=r"no room for activations in .* kept, and the same command goes on from it"
    ):
        run(store, CUTS, progress=fill, seconds_a_batch=0.01)
    kept = len(list(store.path.glob("*/0*.json")))
    assert kept > 0
    assert not list(store.path.rglob("*.bin.partial"))  # half a segment gives its room back

    with pytest.raises(DiskFullError, match="no room for activations"):
        run(store, CUTS)
    filler.unlink()
    report = run(store, CUTS, notice=notices.append)
    assert not report.reused
    assert report.repaired == ()
    assert 0 < report.n_passed < N
    assert notices == []
    whole = FeatureStore(tmp_path / "whole")
    run(whole, CUTS)
    assert contents(store) == contents(whole)


def test_a_file_size_limit_reads_as_a_full_disk(store: FeatureStore, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskFullError, match="no room for activations"):
            run(store, ["layer4"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not run(store, ["layer4"]).reused


def test_a_read_only_disk_can_be_read_but_not_written(small_disk: Path) -> None:
    store = FeatureStore(small_disk / "features")
    run(store, ["head"])
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    again = FeatureStore(store.path)
    assert run(again, ["head"]).reused
    assert again.open(make_specs(["head"])[0], digests()) is not None
    with pytest.raises(
        DiskFullError, match=r"activations can't be written in .* \(Read-only file system\)\. Give this user permission"
    ):
        run(again, ["layer4"])


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    store = FeatureStore(tmp_path / "file" / "features")
    assert store.entries() == ()
    with pytest.raises(DiskFullError, match=r"activations can't be written in .*or set FROSTLINE_CACHE to a directory"):
        run(store, ["head"])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission(tmp_path: Path) -> None:
    place = tmp_path / "closed"
    place.mkdir(mode=0o500)
    with pytest.raises(DiskFullError, match=r"activations can't be written in .* \(Permission denied\)"):
        run(FeatureStore(place / "features"), ["head"])

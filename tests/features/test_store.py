"""The store: listed, pruned by age to a size, verified."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from frostline.errors import FeatureError
from frostline.features import FeatureStore
from frostline.places import cache_directory

from .passes import N, digests, make_specs, run, segment_file

if TYPE_CHECKING:
    from pathlib import Path

CUTS = ["input", "layer4", "head"]


@pytest.fixture
def full(store: FeatureStore) -> FeatureStore:
    """A store with three sets of rows, last used in the order of CUTS, and nobody using them."""
    run(store, CUTS)
    store.close()
    for age, cut in enumerate(CUTS):
        for ids in store.folder(make_specs([cut])[0]).glob("*.ids"):
            os.utime(ids, (1000 + age, 1000 + age))
    return FeatureStore(store.path)


def cuts(entries: tuple[object, ...]) -> list[str]:
    return [entry.spec["cut"] for entry in entries]  # type: ignore[attr-defined]


def test_the_store_is_in_the_cache_directory() -> None:
    assert FeatureStore().path == cache_directory() / "features"


def test_a_store_that_does_not_exist_is_empty_and_stays_so(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "nothing")
    assert store.entries() == ()
    assert store.verify() == {}
    assert store.prune(0) == ()
    assert store.open(make_specs(["head"])[0], digests()) is None


def test_entries_say_what_they_hold(full: FeatureStore) -> None:
    entries = full.entries()
    assert cuts(entries) == ["head", "layer4", "input"]
    assert [entry.last_used for entry in entries] == [1002, 1001, 1000]
    for entry in entries:
        files = [path.stat().st_size for path in (full.path / entry.key).iterdir()]
        assert entry.n_bytes == sum(files)
        assert entry.n_images == N
    assert entries[0].key == make_specs(["head"])[0].key
    assert entries[0].spec["backbone"] == "resnet18"
    assert entries[0].spec["preprocessing"]["image_size"] == 64


def test_opening_counts_as_use(full: FeatureStore) -> None:
    features = full.open(make_specs(["input"])[0], digests())
    assert features is not None
    assert cuts(full.entries())[0] == "input"
    sizes = {entry.spec["cut"]: entry.n_bytes for entry in full.entries()}
    assert cuts(full.prune(sizes["input"] + sizes["head"])) == ["layer4"]


def test_pruning_removes_the_least_recently_used_first(full: FeatureStore) -> None:
    sizes = {entry.spec["cut"]: entry.n_bytes for entry in full.entries()}
    assert full.prune(sum(sizes.values())) == ()
    assert cuts(full.prune(sizes["layer4"] + sizes["head"])) == ["input"]
    assert cuts(full.prune(sizes["head"])) == ["layer4"]
    assert cuts(full.prune(0)) == ["head"]
    assert [path.name for path in full.path.iterdir()] == ["locks"]


def test_pruning_goes_segment_by_segment(full: FeatureStore) -> None:
    size = sum(entry.n_bytes for entry in full.entries())
    (removed,) = full.prune(size - 1)
    assert (removed.spec["cut"], removed.n_images) == ("input", 12)
    assert [entry.n_images for entry in full.entries()] == [N, N, N - 12]
    assert full.verify() == {}
    (spec,) = make_specs(["input"])
    assert full.count_missing(spec, digests()) == 12
    assert run(full, ["input"]).n_passed == 12
    assert full.open(spec, digests()) is not None


def test_rows_in_use_are_not_pruned(full: FeatureStore) -> None:
    opened = full.open(make_specs(["layer4"])[0], digests())
    assert opened is not None
    assert sorted(cuts(FeatureStore(full.path).prune(0))) == ["head", "input"]
    opened.close()
    assert cuts(full.prune(0)) == ["layer4"]


def test_rows_of_a_run_under_way_are_not_pruned(store: FeatureStore) -> None:
    run(store, ["head"])
    other = FeatureStore(store.path)
    assert other.prune(0) == ()
    store.close()
    assert cuts(other.prune(0)) == ["head"]


def test_rows_to_keep_are_kept(full: FeatureStore) -> None:
    assert sorted(cuts(full.prune(0, keep=make_specs(["input"])))) == ["head", "layer4"]


def test_a_limit_prunes_what_others_left(full: FeatureStore, notices: list[str]) -> None:
    size = sum(entry.n_bytes for entry in full.entries())
    limited = FeatureStore(full.path, limit_bytes=size)
    report = run(limited, ["layer2"], notice=notices.append)
    assert report.n_bytes > 0
    left = limited.entries()
    assert "input" not in cuts(left)
    assert "layer2" in cuts(left)
    # 5.9 MB for layer2 alone: more than all that was there.
    assert len(notices) == 1
    assert notices[0].startswith("stored activations will take 5.9 MB, above their limit of")


def test_the_limit_may_stand_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FeatureStore(tmp_path).limit_bytes is None
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "20GB")
    assert FeatureStore(tmp_path).limit_bytes == 20_000_000_000
    assert FeatureStore(tmp_path, limit_bytes=5).limit_bytes == 5
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "much")
    with pytest.raises(FeatureError, match='FROSTLINE_CACHE_LIMIT = "much" is not a size: give bytes'):
        FeatureStore(tmp_path)


def test_within_its_limit_a_store_says_nothing(full: FeatureStore, notices: list[str]) -> None:
    limited = FeatureStore(full.path, limit_bytes=8_000_000)
    run(limited, ["layer2"], notice=notices.append)
    assert notices == []
    left = {entry.spec["cut"]: entry.n_images for entry in limited.entries()}
    assert left["layer2"] == left["head"] == left["layer4"] == N
    assert left["input"] < N  # used longest ago, and only as much of it as is needed
    assert sum(entry.n_bytes for entry in limited.entries()) <= 8_000_000


def test_leftovers_of_a_killed_prune_are_swept(full: FeatureStore) -> None:
    trash = full.path / ".trash-abc-1-2"
    trash.mkdir()
    (trash / "00000.0.bin").write_bytes(b"rows")
    assert len(full.entries()) == 3
    full.prune(10**12)
    assert not trash.exists()


def test_verify_names_what_is_damaged(full: FeatureStore) -> None:
    assert full.verify() == {}
    path = segment_file(full, "layer4", "00004.0.bin")
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    segment_file(full, "head", "meta.json").unlink()
    layer4, head = make_specs(["layer4", "head"])
    assert full.verify() == {
        layer4.key: {4: "00004.0.bin is damaged in its rows from 0 bytes on"},
        head.key: {-1: "meta.json is missing or damaged"},
    }
    assert [entry.spec for entry in full.entries() if entry.key == head.key] == [{}]


def test_an_unfinished_pass_is_no_damage(store: FeatureStore) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 50:
            raise StopError("stopped")

    with pytest.raises(StopError, match="stopped"):
        run(store, ["head"], progress=stop, seconds_a_batch=0.01)
    assert store.verify() == {}
    assert [0 < entry.n_images < N for entry in store.entries()] == [True]


def test_stray_files_are_ignored(full: FeatureStore) -> None:
    (full.path / "README").write_text("mine")
    assert len(full.entries()) == 3
    full.prune(0)
    assert (full.path / "README").read_text() == "mine"

"""Rows come back as they went in: every dtype, several tensors a cut, several cuts a pass."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from frostline.data import View
from frostline.errors import FeatureError
from frostline.features import Features, FeatureStore, _engine, _held, run_pass
from frostline.features._torch import TorchEngine

from .passes import BATCH_SIZE, SHAPES, N, Prefix, contents, digests, expected, images, make_specs, normalise_batch, run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

ALL = np.arange(N)
CUTS = ["input", "layer2", "layer3.0.conv2", "layer4.copy", "head"]


@pytest.fixture(params=[False, True], ids=["read from files", "held in memory"])
def held_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read rows in both ways."""
    monkeypatch.setattr(_held.HeldMemory, "take", lambda *_: request.param)


def open_rows(store: FeatureStore, cut: str, dtype: str = "float32") -> Features:
    features = store.open(make_specs([cut], "float16" if dtype == "float16" else "float32")[0], digests())
    assert features is not None
    return features


def relative(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_several_cuts_in_one_pass_equal_eager_torch(store: FeatureStore, engine: str) -> None:
    report = run(store, CUTS, engine=engine)

    assert report.engine.startswith(engine)
    assert not report.reused
    for cut, tensors in zip(CUTS[1:], expected(CUTS[1:]), strict=True):
        features = open_rows(store, cut)
        assert (features.n, features.shapes, features.dtype) == (N, SHAPES[cut], "float32")
        read = features.read(ALL)
        assert len(read) == len(tensors)
        for ours, theirs in zip(read, tensors, strict=True):
            assert ours.dtype == np.float32
            assert relative(ours, theirs) < 1e-5
    assert np.array_equal(open_rows(store, "input").read(ALL)[0], images())
    stored = sum(path.stat().st_size for path in store.path.rglob("*.bin"))
    assert report.n_bytes == stored


def test_a_cut_alone_equals_the_cut_in_company(store: FeatureStore, tmp_path: Path) -> None:
    run(store, CUTS, engine="openvino")
    alone = FeatureStore(tmp_path / "alone")
    for cut in ("layer2", "layer3.0.conv2", "head"):
        run(alone, [cut], engine="openvino")
    company = contents(store)
    rows = contents(alone)
    assert len([name for name in rows if name.endswith(".bin")]) == 4 * 8
    assert rows == {name: company[name] for name in rows}


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_rerun_is_bit_identical(store: FeatureStore, tmp_path: Path, engine: str) -> None:
    run(store, ["layer4", "head"], engine=engine)
    again = FeatureStore(tmp_path / "again")
    run(again, ["layer4", "head"], engine=engine)
    assert contents(again) == contents(store)


@pytest.mark.usefixtures("held_bytes")
def test_float16_is_read_as_float32_within_half_a_unit_in_its_last_place(store: FeatureStore) -> None:
    run(store, ["layer4"])
    run(store, ["layer4"], "float16")
    exact = open_rows(store, "layer4").read(ALL)[0]
    narrow = open_rows(store, "layer4", "float16")
    rows = narrow.read(ALL)[0]
    assert narrow.dtype == "float16"
    assert narrow.n_bytes * 2 == open_rows(store, "layer4").n_bytes
    assert rows.dtype == np.float32
    # IEEE 754 binary16: 11 significant bits, so 2**-11 relative; 2**-25 absolute where numbers are subnormal.
    assert np.all(np.abs(rows - exact) <= np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25))
    assert np.array_equal(rows, exact.astype(np.float16).astype(np.float32))


def test_activations_beyond_float16_are_refused(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loud(TorchEngine):
        def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
            for outputs in super().run(batches):
                yield tuple(output * 1e6 for output in outputs)

    monkeypatch.setitem(_engine.ENGINES, "torch", Loud)
    with pytest.raises(FeatureError, match=r"resnet18 at head: .* beyond the 65,504 .* activations = \"float32\""):
        run(store, ["head"], "float16")
    assert store.open(make_specs(["head"], "float16")[0], digests()) is None


@pytest.mark.usefixtures("held_bytes")
def test_reading_takes_any_order_and_repeats(store: FeatureStore) -> None:
    run(store, ["layer3.0.conv2"])
    features = open_rows(store, "layer3.0.conv2")
    whole = features.read(ALL)
    generator = np.random.Generator(np.random.PCG64(0))
    order = [generator.integers(0, N, size) for size in (1, 7, 64, 0, 200)]
    for positions, tensors in zip(order, features.batches(order), strict=True):
        alone = features.read(positions)
        for ours, theirs, all_rows in zip(tensors, alone, whole, strict=True):
            assert np.array_equal(ours, all_rows[positions])
            assert np.array_equal(theirs, all_rows[positions])
            assert ours.flags.writeable


@pytest.mark.usefixtures("held_bytes")
def test_reading_ahead_can_stop_early(store: FeatureStore) -> None:
    run(store, ["head"])
    batches = open_rows(store, "head").batches([ALL] * 50)
    next(batches)
    batches.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "frostline-ahead"]


@pytest.mark.usefixtures("held_bytes")
@pytest.mark.parametrize("position", [-1, N])
def test_a_position_outside_is_an_error(store: FeatureStore, position: int) -> None:
    run(store, ["head"])
    features = open_rows(store, "head")
    with pytest.raises(IndexError, match=rf"positions must be in \[0, {N}\), got {position} to {position}"):
        features.read(np.array([position]))
    with pytest.raises(IndexError, match="positions must be in"):
        list(features.batches([np.array([position])]))


@pytest.mark.usefixtures("held_bytes")
def test_no_images_at_all(store: FeatureStore) -> None:
    report = run(store, ["input", "head"], chosen=[])
    assert (report.n_bytes, report.engine, report.n_passed) == (0, "none", 0)
    assert run(store, ["input", "head"], chosen=[]).reused
    features = store.open(make_specs(["head"])[0], [])
    assert features is not None
    assert features.n == 0
    assert features.read(np.array([], dtype=np.int64))[0].shape == (0, 512)


@pytest.mark.parametrize("batch_size", [1, 4, 90, 1000])
def test_any_batch_size_stores_the_same_images(store: FeatureStore, batch_size: int) -> None:
    run(store, ["input"], batch_size=batch_size)
    assert np.array_equal(open_rows(store, "input").read(ALL)[0], images())


def test_what_is_there_is_reused_and_progress_counts_images(store: FeatureStore, notices: list[str]) -> None:
    counts: list[tuple[int, int]] = []
    run(store, ["layer4"], progress=lambda done, total: counts.append((done, total)))
    assert counts[0] == (4, N)
    assert counts[-1] == (N, N)
    assert counts == sorted(counts)

    counts.clear()
    report = run(store, ["layer4"], progress=lambda done, total: counts.append((done, total)), notice=notices.append)
    assert report.reused
    assert report.repaired == ()
    assert (counts, notices) == ([], [])
    # A cut more computes that one only.
    before = contents(store)
    assert not run(store, ["layer4", "head"], notice=notices.append).reused
    after = contents(store)
    assert {name: after[name] for name in before} == before
    assert notices == []


def test_one_compiled_engine_serves_splits_and_views(store: FeatureStore) -> None:
    built: list[str] = []
    run(store, ["head"])

    def load(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        return images()[positions]

    def make_prefix() -> Prefix:
        built.append("prefix")
        return Prefix(["head"])

    other = dataclasses.replace(make_specs(["head"])[0], view=View("flip", 0, 1))
    report = run_pass(
        store,
        [other],
        make_prefix,
        [SHAPES["head"]],
        load,
        normalise_batch,
        digests(),
        engine="torch",
        batch_size=BATCH_SIZE,
    )
    assert report.n_passed == N
    assert built == []
    features = store.open(other, digests())
    assert features is not None
    assert np.array_equal(features.read(ALL)[0], open_rows(store, "head").read(ALL)[0])

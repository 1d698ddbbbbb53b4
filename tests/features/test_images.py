"""Rows belong to images: what went through a prefix once never goes through it again, whoever asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from frostline.features import Engines, FeatureStore, _engine
from frostline.features._index import Index, first_of_each
from frostline.features._segments import Segment, image_ids
from frostline.features._torch import TorchEngine

from .passes import N, contents, digests, images, make_specs, run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CUTS = ["input", "layer3.0.conv2", "head"]


def rows(store: FeatureStore, cut: str, chosen: Sequence[int]) -> tuple[NDArray[Any], ...]:
    features = store.open(make_specs([cut])[0], [digests()[image] for image in chosen])
    assert features is not None
    assert features.n == len(chosen)
    return features.read(np.arange(len(chosen)))


ENGINES = Engines()
"""Compiled once for all tests."""


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", engines=ENGINES)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FeatureStore]:
    """All rows by each engine, made in one pass."""
    store = FeatureStore(tmp_path_factory.mktemp("whole"), engines=ENGINES)
    run(store, CUTS, engine=request.param)
    return request.param, store


SHUFFLED = np.random.Generator(np.random.PCG64(3)).permutation(N).tolist()


@pytest.mark.parametrize(
    ("earlier", "asked", "n_passed"),
    [
        (range(80), range(N), 10),
        (range(10, N), range(N), 10),
        (range(N), range(20, 50), 0),
        (range(N), SHUFFLED, 0),
        (SHUFFLED[:50], SHUFFLED, 40),
        (range(0, N, 2), range(0, N, 3), 15),
        ([5, 7, 5, 5], [7, 5, 7, 6], 1),
        ([1, 2, 3], [5, 5, 6, 5], 2),
    ],
    ids=["more", "more before", "fewer", "in another order", "both", "some", "copies", "copies that are new"],
)
def test_only_images_without_rows_are_passed_and_their_rows_are_the_same(
    whole: tuple[str, FeatureStore], store: FeatureStore, earlier: Sequence[int], asked: Sequence[int], n_passed: int
) -> None:
    engine, reference = whole
    run(store, CUTS, engine=engine, chosen=earlier)
    report = run(store, CUTS, engine=engine, chosen=asked)
    assert (report.n_passed, report.reused) == (n_passed, n_passed == 0)
    for cut in CUTS:
        for ours, theirs in zip(rows(store, cut, asked), rows(reference, cut, asked), strict=True):
            assert np.array_equal(ours, theirs)
    stored = {entry.spec["cut"]: entry.n_images for entry in store.entries()}
    assert stored == dict.fromkeys(CUTS, len({*earlier, *asked}))


def test_growing_by_and_by_ends_with_the_same_rows(whole: tuple[str, FeatureStore], store: FeatureStore) -> None:
    engine, reference = whole
    counts = [run(store, ["head"], engine=engine, chosen=range(n)).n_passed for n in (1, 2, 30, 30, 71, N)]
    assert counts == [1, 1, 28, 0, 41, 19]
    assert np.array_equal(rows(store, "head", range(N))[0], rows(reference, "head", range(N))[0])
    assert store.verify() == {}


def test_cuts_that_are_there_for_other_images_are_filled_up_together(store: FeatureStore) -> None:
    run(store, ["layer4"], chosen=range(30))
    run(store, ["head"], chosen=range(20, 60))
    assert run(store, ["layer4", "head"], chosen=range(70)).n_passed == 60  # 0 to 19 and 30 to 69
    assert [entry.n_images for entry in store.entries()] == [70, 70]


def test_what_was_stored_before_isnt_touched(store: FeatureStore) -> None:
    run(store, CUTS, chosen=range(50))
    before = contents(store)
    run(store, CUTS)
    after = contents(store)
    assert {name: after[name] for name in before} == before


def test_missing_rows_are_counted_without_reading_them(store: FeatureStore) -> None:
    (spec,) = make_specs(["head"])
    assert store.count_missing(spec, digests()) == N
    assert store.count_missing(spec, digests()[:1] * 5) == 1
    run(store, ["head"], chosen=range(70))
    assert store.count_missing(spec, digests()) == 20
    assert store.count_missing(spec, digests()[60:80] * 2) == 10
    assert store.open(spec, digests()) is None
    assert store.open(spec, digests()[:70]) is not None


class Company(TorchEngine):
    """An engine whose rows depend on the batch they are in."""

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        batches = [images.copy() for images in batches]
        sums = [float(images.mean()) for images in batches]
        for total, outputs in zip(sums, super().run(batches), strict=True):
            yield tuple(output * np.float32(1 + total * 1e-7) for output in outputs)


class Places(TorchEngine):
    """An engine whose rows depend on their place in the batch."""

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        for outputs in super().run(batches):
            yield tuple(output + np.float32(1e-4) * (np.arange(len(output)) == 0)[:, None] for output in outputs)


@pytest.mark.parametrize("kind", [Company, Places])
def test_an_engine_whose_rows_depend_on_others_runs_image_by_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[TorchEngine]
) -> None:
    monkeypatch.setitem(_engine.ENGINES, "openvino", kind)
    store = FeatureStore(tmp_path / "features")
    report = run(store, ["head"], engine="openvino")
    assert report.engine.endswith(", image by image")
    other = FeatureStore(tmp_path / "other")
    for chosen in (range(3), range(50, N), range(N)):
        run(other, ["head"], engine="openvino", chosen=chosen)
    assert np.array_equal(rows(other, "head", range(N))[0], rows(store, "head", range(N))[0])


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_an_index_finds_every_row_and_no_other(n: int, tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(n))
    # Halves of names from few numbers: most names share one of them with others.
    ids = generator.integers(0, 40, (n, 2), dtype=np.uint64)
    parts = np.array_split(ids, 3)
    index = Index([Segment(tmp_path, number, part, (len(part),), ()) for number, part in enumerate(parts)])
    asked = generator.integers(0, 45, (500, 2), dtype=np.uint64)
    found = index.locate(asked)
    places = [(number, offset) for number, part in enumerate(parts) for offset in range(len(part))]
    first: dict[tuple[int, ...], int] = {}
    for row, each in enumerate(map(tuple, ids.tolist())):
        first.setdefault(each, row)
    assert found.tolist() == [first.get(tuple(each), -1) for each in asked.tolist()]
    assert list(zip(index.segment.tolist(), index.offset.tolist(), strict=True)) == places
    positions = np.arange(3, 500)
    earliest: dict[tuple[int, ...], int] = {}
    for position in positions.tolist():
        earliest.setdefault(tuple(asked[position].tolist()), position)
    assert first_of_each(asked, positions).tolist() == sorted(earliest.values())


def test_names_are_read_from_digests() -> None:
    assert image_ids(["01" + "00" * 14 + "02" + "ff" * 4]).tolist() == [[1, 2 << 56]]
    assert image_ids([]).shape == (0, 2)
    assert images().shape[0] == N

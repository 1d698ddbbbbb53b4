"""Preprocessing and views against torchvision's own functions; rows depend on nothing but themselves."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from frostline.data import (
    Dataset,
    Preprocessing,
    View,
    augment_image,
    iterate_images,
    load_dataset,
    load_images,
    normalise,
    preprocess_image,
)
from frostline.errors import DataError
from frostline.streams import numpy_stream
from frostline.study import Data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Images = NDArray[np.uint8]


def picture(height: int, width: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(Data(source="digits", train=60, val=20, test=20))


@pytest.fixture
def mixed(make_files: Callable[..., Path], ask: Callable[..., Data], encode: Callable[..., bytes]) -> Dataset:
    """Images of different sizes and formats."""
    files: dict[str, Any] = {}
    for number in range(24):
        size = (9 + 5 * (number % 5), 11 + 7 * (number % 3))
        kind, suffix = (("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"))[number % 3]
        files[f"{'ab'[number % 2]}/{number:02}.{suffix}"] = encode(number, kind, size)
    return load_dataset(ask("folder", make_files(files), val=4, test=4))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(
    "size", [(32, 32), (8, 8), (40, 30), (30, 41), (100, 64), (33, 64), (64, 64), (64, 101), (1, 5)]
)
def test_preprocessing_equals_torchvision(size: tuple[int, int], interpolation: Any) -> None:
    pixels = picture(*size)
    mode = v2.InterpolationMode(interpolation)
    reference = v2.Compose([v2.Resize(64, mode, antialias=True), v2.CenterCrop(64)])
    expected = reference(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(preprocess_image(pixels, Preprocessing(64, interpolation)), expected)


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (3, 900), (50, 401)])
def test_extremely_long_images_are_near_torchvision(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    smooth = (127 + 120 * np.sin((rows + columns) / 40))[:, :, None].repeat(3, 2).astype(np.uint8)
    reference = v2.Compose([v2.Resize(16, antialias=True), v2.CenterCrop(16)])
    expected = reference(torch.from_numpy(smooth).permute(2, 0, 1)).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(preprocess_image(smooth, Preprocessing(16)).astype(int) - expected).max() <= 3


def test_an_extremely_long_image_needs_little_memory() -> None:
    assert preprocess_image(picture(1, 60000), Preprocessing(224)).shape == (224, 224, 3)


def test_normalise_equals_torchvision() -> None:
    preprocessing = Preprocessing(8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    images = torch.from_numpy(np.stack([picture(8, 8, seed) for seed in range(3)])).permute(0, 3, 1, 2).contiguous()
    reference = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(preprocessing.mean, preprocessing.std)])
    before = images.clone()
    result = normalise(images, preprocessing)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, reference(images), rtol=1e-6, atol=1e-6)
    assert torch.equal(images, before)


def test_normalise_of_no_images_is_empty() -> None:
    assert normalise(torch.empty(0, 3, 8, 8, dtype=torch.uint8), Preprocessing(8)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 4, 4), r"images are torch.float32 \[1, 3, 4, 4\]: uint8 \[B, 3, H, W\] is needed"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r"images are torch.uint8 \[3, 4, 4\]"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), r"images are torch.uint8 \[1, 1, 4, 4\]"),
    ],
)
def test_normalise_refuses_other_tensors(images: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        normalise(images, Preprocessing(4))


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: Preprocessing(0), "image_size = 0: must be at least 1 pixel"),
    (lambda: Preprocessing(8, "bilinea"), 'interpolation "bilinea" is unknown: .*did you mean "bilinear"'),  # type: ignore[arg-type]
    (lambda: Preprocessing(8, std=(1.0, 0.0, 1.0)), "three values each, std above 0"),
    (lambda: View("none", 0, 0), 'augmentation "none" has no views'),  # type: ignore[arg-type]
    (lambda: View("flip", 0, -1), "view -1 does not exist"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_impossible_settings_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize("size", [8, 31, 64, 5])
def test_crop_flip_equals_torchvisions_reflected_padding(size: int) -> None:
    image = picture(size, size)
    padding = size // 8
    padded = v2.functional.pad(torch.from_numpy(image).permute(2, 0, 1), [padding], padding_mode="reflect")
    seen = set()
    for index in range(40):
        result = torch.from_numpy(np.ascontiguousarray(augment_image(image, View("crop-flip", 5, index), f"{17:032x}")))
        stream = numpy_stream("view", 5, 17, index)
        flipped = bool(stream.integers(2))
        top, left = (int(value) for value in stream.integers(0, 2 * padding + 1, size=2))
        expected = padded[:, top : top + size, left : left + size]
        expected = expected.flip(2) if flipped else expected
        assert torch.equal(result.permute(2, 0, 1), expected)
        seen.add((flipped, top, left))
    assert len(seen) > (20 if padding > 1 else 1)


def test_half_of_all_views_are_flipped_and_both_augmentations_flip_the_same() -> None:
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    flips = [
        augment_image(image, View("flip", 0, index), f"{number:032x}")[0, 0, 0] != 0
        for number in range(50)
        for index in range(20)
    ]
    assert 0.45 < np.mean(flips) < 0.55
    for index in range(20):
        flipped = bool(augment_image(image, View("flip", 0, index), f"{3:032x}")[0, 0, 0])
        cropped = augment_image(image, View("crop-flip", 0, index), f"{3:032x}")
        assert flipped == bool(int(cropped[4, 2, 0]) > int(cropped[4, 5, 0]))


@pytest.mark.parametrize("view", [None, View("flip", 1, 2), View("crop-flip", 1, 2)])
def test_rows_depend_on_nothing_but_themselves(mixed: Dataset, view: View | None) -> None:
    preprocessing = Preprocessing(24)
    positions = np.arange(len(mixed.train))
    together = load_images(mixed, "train", positions, preprocessing, view)
    assert together.shape == (16, 3, 24, 24)
    assert together.dtype == np.uint8
    assert together.flags.c_contiguous
    order = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(load_images(mixed, mixed.train, order, preprocessing, view), together[order])
    for position in positions.tolist():
        alone = load_images(mixed, "train", [position], preprocessing, view)
        np.testing.assert_array_equal(alone[0], together[position])
    np.testing.assert_array_equal(load_images(mixed, "train", [3, 3], preprocessing, view), together[[3, 3]])


def test_rows_are_the_images_of_the_split(mixed: Dataset) -> None:
    loaded = load_images(mixed, "val", [2, 0], Preprocessing(24))
    for row, position in zip(loaded, [2, 0], strict=True):
        expected = preprocess_image(mixed.pixels("val", position), Preprocessing(24))
        np.testing.assert_array_equal(row, expected.transpose(2, 0, 1))


def test_views_do_not_depend_on_the_subset(ask: Callable[..., Data]) -> None:
    few = load_dataset(ask("digits", train=50, val=100, test=100))
    many = load_dataset(ask("digits", train=400, val=100, test=100))
    position = int(np.flatnonzero(many.train.ids == few.train.ids[7])[0])
    view = View("crop-flip", 0, 3)
    first = load_images(few, "train", [7], Preprocessing(32), view)
    second = load_images(many, "train", [position], Preprocessing(32), view)
    np.testing.assert_array_equal(first, second)


def test_views_of_other_seeds_and_indices_differ(digits: Dataset) -> None:
    positions = np.arange(60)
    views = [View("crop-flip", 0, 0), View("crop-flip", 0, 1), View("crop-flip", 1, 0), View("flip", 0, 0)]
    loaded = [load_images(digits, "train", positions, Preprocessing(32), view).tobytes() for view in views]
    assert len(set(loaded)) == len(views)


def test_the_number_of_threads_changes_nothing(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    positions, view = np.arange(60), View("crop-flip", 0, 0)
    threaded = load_images(digits, "train", positions, Preprocessing(32), view)
    monkeypatch.setattr("frostline.data._workers.n_workers", lambda: 1)
    np.testing.assert_array_equal(load_images(digits, "train", positions, Preprocessing(32), view), threaded)


def test_no_positions_give_no_images(digits: Dataset) -> None:
    assert load_images(digits, "train", [], Preprocessing(32)).shape == (0, 3, 32, 32)


def test_an_unknown_split_is_refused(digits: Dataset) -> None:
    with pytest.raises(
        DataError, match='split "tran" is unknown: the splits are train, val and test; did you mean "train"'
    ):
        load_images(digits, "tran", [0], Preprocessing(32))


def batches_of(n: int, size: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + size, n)) for start in range(0, n, size)]


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_iterating_equals_loading(digits: Dataset, ahead: int) -> None:
    batches, view = batches_of(60, 7), View("flip", 0, 0)
    results = list(iterate_images(digits, "train", batches, Preprocessing(16), view, ahead=ahead))
    assert len(results) == len(batches)
    for expected, (positions, images) in zip(batches, results, strict=True):
        np.testing.assert_array_equal(positions, expected)
        np.testing.assert_array_equal(
            images, load_images(digits, "train", expected, Preprocessing(16), View("flip", 0, 0))
        )


def test_iterating_over_nothing_gives_nothing(digits: Dataset) -> None:
    assert list(iterate_images(digits, "train", [], Preprocessing(16))) == []


def test_iterating_reads_only_so_far_ahead(digits: Dataset) -> None:
    asked: list[int] = []

    def batches() -> Iterator[NDArray[np.int64]]:
        for number, batch in enumerate(batches_of(60, 5)):
            asked.append(number)
            yield batch

    images = iterate_images(digits, "train", batches(), Preprocessing(16), ahead=2)
    next(images)
    assert asked == [0, 1, 2]


def test_leaving_the_loop_ends_the_background_thread(digits: Dataset) -> None:
    for _ in iterate_images(digits, "train", batches_of(60, 5), Preprocessing(16)):
        break
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("frostline-ahead") for name in names)


def test_an_error_comes_with_its_batch(mixed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "images" / mixed.name("train", 5)).unlink()
    images = iterate_images(mixed, "train", batches_of(16, 4), Preprocessing(16))
    next(images)
    with pytest.raises(DataError, match="could be read when the run began, but now"):
        next(images)


def test_nothing_can_be_decoded_less_than_one_batch_ahead(digits: Dataset) -> None:
    with pytest.raises(DataError, match="ahead = 0: at least one batch"):
        iterate_images(digits, "train", [], Preprocessing(16), ahead=0)


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
def test_a_forked_child_can_load_images(digits: Dataset) -> None:
    import os

    load_images(digits, "train", np.arange(60), Preprocessing(8))  # the pool has its threads now
    child = os.fork()
    if child == 0:
        # only NumPy work: torch's own threads do not survive a fork
        from frostline.data._workers import map_in_threads

        os._exit(0 if map_in_threads(lambda x: x + 1, range(100)) == list(range(1, 101)) else 1)
    assert os.waitpid(child, 0)[1] == 0

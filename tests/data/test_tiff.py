"""Every layout of a TIFF file is decoded right or refused with what to do, over the product of what TIFF 6.0 allows."""

from __future__ import annotations

import io
import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.data.tiff_files import FLOAT, SIGNED, UNSIGNED, Layout, write_tiff

from frostline.data import BadImageError, decode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 18, 21  # more than one strip and more than one tile, the last of each cut off
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
UNSPECIFIED, MULTIPLIED, ALPHA = 0, 1, 2
BITS = (1, 2, 4, 8, 12, 16, 32, 64)
ORDERS = ("<", ">")


def samples_of(layout: Layout) -> NDArray[Any]:
    random = np.random.default_rng(layout.bits)
    size = HEIGHT, WIDTH, CHANNELS[layout.photometric] + len(layout.extra)
    if layout.sample_format == FLOAT:
        return random.random(size)
    top = 1 << min(layout.bits, 16)
    samples = random.integers(0, top, size)
    if layout.sample_format == SIGNED:
        return samples - top // 2
    if layout.extra == (MULTIPLIED,):
        n = CHANNELS[layout.photometric]
        samples[:, :, :n] = samples[:, :, :n] * samples[:, :, n:] // (top - 1)
    return samples


def palette_of(bits: int) -> NDArray[np.int64]:
    return np.random.default_rng(bits).integers(0, 256, (3, 1 << min(bits, 8))) * 257


def tags_of(layout: Layout) -> list[tuple[int, str, Any]]:
    if layout.photometric == PALETTE:
        return [(320, "H", palette_of(layout.bits).ravel().tolist())]
    return [(530, "H", (1, 1))] if layout.photometric == YCBCR else []


def expected_of(samples: NDArray[Any], layout: Layout) -> NDArray[np.float64]:
    """Return what the specification says is shown, float64 [H, W, 3] in [0, 255], transparency over white."""
    values = samples / ((1 << layout.bits) - 1)
    match layout.photometric:
        case 0:
            colours = np.repeat(1 - values[:, :, :1], 3, axis=2)
        case 1:
            colours = np.repeat(values[:, :, :1], 3, axis=2)
        case 2:
            colours = values[:, :, :3]
        case 3:
            colours = palette_of(layout.bits).T[samples[:, :, 0]] / 65535
        case 5:
            colours = (1 - values[:, :, :3]) * (1 - values[:, :, 3:4])
        case _:  # YCbCr, ITU-R BT.601 (section 21)
            luma, blue, red = values[:, :, 0], values[:, :, 1] - 128 / 255, values[:, :, 2] - 128 / 255
            green = luma - 0.114 * 1.772 / 0.587 * blue - 0.299 * 1.402 / 0.587 * red
            colours = np.stack([luma + 1.402 * red, green, luma + 1.772 * blue], axis=2).clip(0, 1)
    shown: NDArray[np.float64] = colours * 255
    if layout.extra and layout.extra[0] != UNSPECIFIED:
        alpha = values[:, :, CHANNELS[layout.photometric], None]
        shown = (shown if layout.extra[0] == MULTIPLIED else shown * alpha) + 255 * (1 - alpha)
    return shown


def every_storage(bits: int, photometric: int, extra: tuple[int, ...]) -> list[Layout]:
    """Return all ways to store unsigned samples of one kind."""
    return [
        Layout(bits, photometric, UNSIGNED, planar, order, fill_order, deflate, tiled=tiled, extra=extra)
        for planar, order, fill_order, deflate, tiled in itertools.product(
            (1, 2), ORDERS, (1, 2), (False, True), (False, True)
        )
    ]


def can_be_stored(bits: int, photometric: int, extra: tuple[int, ...]) -> bool:
    """Tell whether the kind exists: palettes have up to 8 bits and no premultiplied alpha, nor has one bit."""
    if photometric == PALETTE and (bits > 8 or extra == (MULTIPLIED,)):
        return False
    return extra != (MULTIPLIED,) or bits > 1


KINDS = [
    (bits, photometric, extra)
    for bits, photometric, extra in itertools.product(
        BITS[:-2], (0, 1, 2, 3, 5, 6), ((), (UNSPECIFIED,), (MULTIPLIED,), (ALPHA,))
    )
    if can_be_stored(bits, photometric, extra)
]


@pytest.mark.parametrize(("bits", "photometric", "extra"), KINDS)
def test_unsigned_samples_however_stored_are_right_or_refused(
    bits: int, photometric: int, extra: tuple[int, ...]
) -> None:
    # Pillow keeps the upper byte of 16-bit colours, so a colour and its alpha (or black) are a level off each;
    # YCbCr goes through tables of whole numbers
    tolerance = {16: 3.0 if photometric in (RGB, CMYK) else 0.5, 12: 0.5}.get(bits, 1.5)
    for layout in every_storage(bits, photometric, extra):
        samples = samples_of(layout)
        pixels = decoded(write_tiff(samples, layout, tags_of(layout)))
        if isinstance(pixels, str):
            assert "convert it to 8 or 16 bits a sample" in pixels, layout
            assert layout not in READ, layout
            continue
        expected = expected_of(samples, layout)
        assert pixels.shape == expected.shape, layout
        assert np.abs(pixels - expected).max() <= tolerance, layout


def decoded(data: bytes) -> NDArray[np.uint8] | str:
    """Return a file's pixels, or the reason why it is refused."""
    try:
        return decode_image(data)
    except BadImageError as error:
        return str(error)


def read(kinds: dict[int, tuple[int, ...]], extras: tuple[tuple[int, ...], ...], *planes: int) -> set[Layout]:
    return {
        layout
        for photometric, depths in kinds.items()
        for bits in depths
        for extra in extras
        for layout in every_storage(bits, photometric, extra)
        if layout.planar in planes and layout.fill_order == 1
    }


# what people have, and must not be refused
READ = {
    *read({WHITE_IS_ZERO: (1, 2, 4, 8, 16), BLACK_IS_ZERO: (1, 2, 4, 8, 16)}, ((),), 1, 2),
    *read({RGB: (8, 16)}, ((), (UNSPECIFIED,), (ALPHA,)), 1, 2),
    *read({RGB: (8, 16)}, ((MULTIPLIED,),), 1),
    *read({PALETTE: (1, 2, 4, 8)}, ((),), 1, 2),
    *read({BLACK_IS_ZERO: (8,)}, ((ALPHA,),), 1),
    *read({CMYK: (8, 16)}, ((),), 1),
    *read({CMYK: (8,)}, ((),), 2),
    *read({YCBCR: (8,)}, ((),), 1),
}


@pytest.mark.parametrize(
    ("bits", "sample_format"),
    [*((bits, SIGNED) for bits in BITS), *((bits, FLOAT) for bits in (16, 32, 64)), (32, UNSIGNED), (64, UNSIGNED)],
)
def test_samples_without_a_fixed_range_are_refused(bits: int, sample_format: int) -> None:
    named = {UNSIGNED: "", SIGNED: "signed ", FLOAT: "float "}[sample_format]
    message = f"^has {bits}-bit {named}samples without a fixed range: convert it to 8 or 16 bits a sample$"
    for photometric, planar, order, deflate in itertools.product((0, 1, 2, 5), (1, 2), ORDERS, (False, True)):
        layout = Layout(bits, photometric, sample_format, planar, order, deflate=deflate)
        with pytest.raises(BadImageError, match=message):
            decode_image(write_tiff(samples_of(layout), layout))


def test_lab_colours_become_those_of_srgb() -> None:
    layout = Layout(8, LAB)
    lab = np.array([[[0, 0, 0], [255, 0, 0], [128, 0, 0], [150, 30, 30], [150, -30, 20], [100, 10, -40]]])
    stored = np.concatenate([lab[:, :, :1], lab[:, :, 1:] % 256], axis=2)
    # CIE 15: L in [0, 100], D50; then the D50 matrix of sRGB (IEC 61966-2-1, adapted by Bradford)
    f_y = (lab[:, :, 0] / 2.55 + 16) / 116
    f = np.stack([f_y + lab[:, :, 1] / 500, f_y, f_y - lab[:, :, 2] / 200], axis=2)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1.0, 0.8249]
    to_rgb = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540]])
    to_rgb = np.vstack([to_rgb, [0.0719453, -0.2289914, 1.4052427]])
    linear = (xyz @ to_rgb.T).clip(0, 1)
    expected = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear) * 255
    for order, deflate in itertools.product(ORDERS, (False, True)):
        pixels = decode_image(write_tiff(stored, Layout(8, LAB, order=order, deflate=deflate)))
        assert np.abs(pixels - expected).max() <= 3
    with pytest.raises(BadImageError, match="8-bit Lab with each channel stored apart: convert it to 8 or 16 bits"):
        decode_image(write_tiff(stored, Layout(8, LAB, layout.sample_format, planar=2)))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, RGB])
@pytest.mark.parametrize("order", ORDERS)
def test_differences_between_neighbours_are_added_up(bits: int, photometric: int, order: str) -> None:
    layout = Layout(bits, photometric, order=order, deflate=True, predictor=2)
    samples = samples_of(layout)
    assert np.abs(decode_image(write_tiff(samples, layout)) - expected_of(samples, layout)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("letter", ["H", "I"])
@pytest.mark.parametrize("order", ORDERS)
def test_orientation_may_be_of_either_type(orientation: int, letter: str, order: str) -> None:
    layout = Layout(16, WHITE_IS_ZERO, order=order)
    samples = samples_of(layout)
    plain, turned = (
        decode_image(write_tiff(samples, layout, [(274, letter, [value])])).astype(int) for value in (1, orientation)
    )
    # TIFF 6.0, tag 274: which side of the scene the first stored row and column are
    rows = plain if orientation in (1, 2, 5, 6) else plain[::-1]
    if orientation in (1, 4):
        columns = rows
    elif orientation in (2, 3):
        columns = rows[:, ::-1]
    else:
        columns = {5: plain, 6: plain[::-1], 7: plain[::-1, ::-1], 8: plain[:, ::-1]}[orientation].transpose(1, 0, 2)
    np.testing.assert_array_equal(turned, columns)


@pytest.mark.parametrize(
    "compression", ["tiff_ccitt", "group3", "group4", "packbits", "tiff_lzw", "tiff_adobe_deflate"]
)
def test_black_and_white_in_every_compression(compression: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH)).astype(bool)
    stream = io.BytesIO()
    Image.fromarray(bits).save(stream, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode_image(stream.getvalue())[:, :, 1], bits * 255)


def test_jpeg_inside_a_tiff(gradient: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    Image.fromarray(gradient).save(stream, "TIFF", compression="jpeg", quality=95)
    assert np.abs(decode_image(stream.getvalue()).astype(int) - gradient).max() < 40


@pytest.mark.parametrize("order", ORDERS)
def test_a_palette_of_8_bit_colours(order: str) -> None:
    layout = Layout(4, PALETTE, order=order)
    samples = samples_of(layout)
    palette = palette_of(4) // 257
    pixels = decode_image(write_tiff(samples, layout, [(320, "H", palette.ravel().tolist())]))
    np.testing.assert_array_equal(pixels, palette.T[samples[:, :, 0]])


def big_tiff(samples: NDArray[np.uint16], order: str) -> bytes:
    """Return one strip of grey in a BigTIFF file: eight bytes for each offset and count."""
    height, width = samples.shape
    body = samples.astype(order + "u2").tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 16), (277, 1), (278, height)]
    tags.append((279, len(body)))
    directory = struct.pack(order + "Q", len(tags))
    directory += b"".join(struct.pack(order + "HHQQ", tag, 16, 1, value) for tag, value in tags)
    magic = b"II+\0" if order == "<" else b"MM\0+"
    return magic + struct.pack(order + "HHQ", 8, 0, 16 + len(body)) + body + directory + bytes(8)


def test_big_tiff() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (6, 7), dtype=np.uint16)
    assert np.abs(decode_image(big_tiff(samples, "<"))[:, :, 0] - samples / 257).max() <= 0.5
    message = "^is a big-endian BigTIFF file, which can't be read: convert it to an ordinary TIFF$"
    with pytest.raises(BadImageError, match=message):
        decode_image(big_tiff(samples, ">"))


def with_subsampling(size: tuple[int, int]) -> bytes:
    return write_tiff(samples_of(Layout(8, YCBCR)), Layout(8, YCBCR), [(530, "H", size)])


def without_a_part(layout: Layout) -> bytes:
    """Return a file that is more than twice as high as its strips or tiles reach."""
    data = write_tiff(samples_of(layout), layout)
    entry = struct.Struct(layout.order + "HHII")
    return data.replace(entry.pack(257, 4, 1, HEIGHT), entry.pack(257, 4, 1, 2 * HEIGHT + 1))


ODD: dict[str, tuple[bytes, str]] = {
    "a preview first": (
        write_tiff(samples_of(Layout(8, RGB)), Layout(8, RGB), [(254, "I", [1])]),
        "begins with a preview, as a camera's raw files do: convert it to an ordinary image",
    ),
    "spot colours": (
        write_tiff(samples_of(Layout(8, CMYK)), Layout(8, CMYK), [(332, "H", [2])]),
        "has inks other than cyan, magenta, yellow and black: convert it to RGB",
    ),
    "subsampled colours": (with_subsampling((2, 2)), "is an uncompressed TIFF file with subsampled colours: convert"),
    "missing strips": (
        without_a_part(Layout(16, BLACK_IS_ZERO)),
        r"is damaged \(its directory lists 4 of the 8 parts of the image\)",
    ),
    "missing tiles": (
        without_a_part(Layout(8, RGB, planar=2, order=">", tiled=True)),
        r"is damaged \(its directory lists 12 of the 18 parts of the image\)",
    ),
    "two depths": (
        write_tiff(samples_of(Layout(8, RGB)), Layout(8, RGB)).replace(
            struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 8, 8, 4)
        ),
        r"is a TIFF file of 8/4-bit RGB, which can't be read \(.*\): convert it to 8 or 16 bits a sample",
    ),
    "a camera's filter": (
        write_tiff(samples_of(Layout(16, BLACK_IS_ZERO)), Layout(16, BLACK_IS_ZERO)).replace(
            struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 32803)
        ),
        "is a TIFF file of 16-bit colour filter array, which can't be read",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_other_kinds_are_named(kind: str) -> None:
    data, message = ODD[kind]
    with pytest.raises(BadImageError, match=f"^{message}"):
        decode_image(data)

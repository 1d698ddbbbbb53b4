"""Every kind of image becomes the right RGB pixels, and every broken one says what is wrong with it."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from frostline.data import BadImageError, decode_image

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[Any]
SOME = np.random.default_rng(0)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Return a PNG file put together by hand from its specification: Pillow can't write every kind."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, payload) for kind, payload in chunks)


def grey(values: Array) -> Array:
    return np.repeat(values[:, :, None], 3, axis=2)


RGB = SOME.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = SOME.integers(0, 256, (5, 7), dtype=np.uint8)
DEEP = SOME.integers(0, 65536, (5, 7), dtype=np.uint16)
BITS = SOME.integers(0, 2, (5, 7)).astype(bool)
PALETTE = SOME.integers(0, 256, (4, 3), dtype=np.uint8)
INDICES = SOME.integers(0, 4, (5, 7), dtype=np.uint8)
ALPHA = SOME.integers(0, 256, (5, 7), dtype=np.uint8)
CMYK = SOME.integers(0, 256, (5, 7, 4), dtype=np.uint8)


def palette_image() -> Image.Image:
    image = Image.frombytes("P", (7, 5), INDICES.tobytes())
    image.putpalette(PALETTE.tobytes())
    return image


def over_white(colour: Array, alpha: Array) -> Array:
    """Return the source-over blend (Porter and Duff 1984) of colours [H, W, 3] on white."""
    share = alpha[:, :, None] / 255
    return colour * share + 255 * (1 - share)


def deep_rgb_rows(values: Array) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)


DEEP_RGB = SOME.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
WITH_HIDDEN = np.dstack([RGB, ALPHA])

EXACT: dict[str, tuple[Callable[[], bytes], Array]] = {
    "PNG": (lambda: saved(Image.fromarray(RGB), "PNG"), RGB),
    "BMP": (lambda: saved(Image.fromarray(RGB), "BMP"), RGB),
    "TIFF": (lambda: saved(Image.fromarray(RGB), "TIFF"), RGB),
    "TIFF, LZW": (lambda: saved(Image.fromarray(RGB), "TIFF", compression="tiff_lzw"), RGB),
    "WebP, lossless": (lambda: saved(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
    "PPM": (lambda: saved(Image.fromarray(RGB), "PPM"), RGB),
    "TGA": (lambda: saved(Image.fromarray(RGB), "TGA"), RGB),
    "grey PNG": (lambda: saved(Image.fromarray(GREY), "PNG"), grey(GREY)),
    "1-bit PNG": (lambda: saved(Image.fromarray(BITS), "PNG"), grey(BITS.astype(np.uint8) * 255)),
    "palette PNG": (lambda: saved(palette_image(), "PNG"), PALETTE[INDICES]),
    "palette GIF": (lambda: saved(palette_image(), "GIF"), PALETTE[INDICES]),
    "animated GIF": (
        lambda: saved(palette_image(), "GIF", save_all=True, append_images=[Image.new("P", (7, 5))]),
        PALETTE[INDICES],
    ),
    "16-bit grey PNG": (lambda: saved(Image.fromarray(DEEP), "PNG"), grey(np.rint(DEEP / 257).astype(np.uint8))),
    "16-bit grey TIFF": (lambda: saved(Image.fromarray(DEEP), "TIFF"), grey(np.rint(DEEP / 257).astype(np.uint8))),
    "16-bit grey TIFF, big-endian": (
        lambda: saved(Image.fromarray(DEEP.astype(">u2")), "TIFF"),
        grey(np.rint(DEEP / 257).astype(np.uint8)),
    ),
    "RGBA PNG, opaque": (lambda: saved(Image.fromarray(np.dstack([RGB, np.full_like(ALPHA, 255)])), "PNG"), RGB),
    "RGBA PNG, clear": (lambda: saved(Image.fromarray(np.dstack([RGB, 0 * ALPHA])), "PNG"), np.full_like(RGB, 255)),
}
NEAR: dict[str, tuple[Callable[[], bytes], Array, float]] = {
    "RGBA PNG": (lambda: saved(Image.fromarray(WITH_HIDDEN), "PNG"), over_white(RGB, ALPHA), 1),
    "RGBA WebP": (
        lambda: saved(Image.fromarray(WITH_HIDDEN), "WEBP", lossless=True, exact=True),
        over_white(RGB, ALPHA),
        1,
    ),
    "grey and alpha PNG": (
        lambda: saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]), "PNG"),
        over_white(grey(GREY), ALPHA),
        1,
    ),
    # Pillow keeps the upper byte of each 16-bit sample
    "16-bit RGB PNG": (lambda: png(7, 5, 16, 2, deep_rgb_rows(DEEP_RGB.reshape(5, 21))), DEEP_RGB / 257, 1),
    "CMYK TIFF": (
        lambda: saved(Image.frombytes("CMYK", (7, 5), CMYK.tobytes()), "TIFF"),
        (255.0 - CMYK[:, :, :3]) * (255.0 - CMYK[:, :, 3:]) / 255,
        1.5,
    ),
}


@pytest.mark.parametrize("kind", EXACT)
def test_every_lossless_kind_is_decoded_exactly(kind: str) -> None:
    make, expected = EXACT[kind]
    pixels = decode_image(make())
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("kind", NEAR)
def test_blended_and_converted_kinds_are_right_to_a_level(kind: str) -> None:
    make, expected, tolerance = NEAR[kind]
    pixels = decode_image(make())
    assert pixels.shape == (5, 7, 3)
    assert np.abs(pixels - expected).max() <= tolerance


def test_a_palette_with_a_clear_colour_shows_white_there() -> None:
    pixels = decode_image(saved(palette_image(), "PNG", transparency=2))
    expected = PALETTE[INDICES]
    expected[INDICES == 2] = 255
    np.testing.assert_array_equal(pixels, expected)


def test_an_rgb_png_with_a_clear_colour_shows_white_there() -> None:
    clear = tuple(int(value) for value in RGB[2, 3])
    pixels = decode_image(saved(Image.fromarray(RGB), "PNG", transparency=clear))
    expected = RGB.copy()
    expected[(RGB[2, 3] == RGB).all(axis=2)] = 255
    np.testing.assert_array_equal(pixels, expected)


JPEGS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "4:2:0": {"subsampling": 2},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "restart markers": {"restart_marker_rows": 1},
    "with a comment": {"comment": b"Exif\0\0 is only mentioned here"},
}


@pytest.mark.parametrize("kind", JPEGS)
def test_jpegs_have_the_same_pixels_as_pillow_gives(kind: str, gradient: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(gradient), "JPEG", quality=85, **JPEGS[kind])
    np.testing.assert_array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))
    assert np.abs(decode_image(data).astype(int) - gradient).max() < 40


def test_a_grey_jpeg_becomes_rgb(gradient: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(gradient[:, :, 1]), "JPEG")
    np.testing.assert_array_equal(decode_image(data), grey(np.asarray(Image.open(io.BytesIO(data)))))


def test_a_cmyk_jpeg_becomes_rgb(gradient: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(gradient).convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert np.abs(decode_image(data).astype(int) - gradient).max() < 16


def test_an_rgb_jpeg_without_colour_transform_keeps_its_colours(gradient: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(gradient), "JPEG", quality=95, keep_rgb=True)
    assert np.abs(decode_image(data).astype(int) - gradient).max() < 16


# EXIF 2.32, tag 274: where the first row and first column of the stored pixels are to be shown
ORIENTED: dict[int, Callable[[Array], Array]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_exif_orientation_is_applied(kind: str, orientation: int, gradient: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    plain = decode_image(saved(Image.fromarray(gradient), kind, **options))
    rotated = decode_image(saved(Image.fromarray(gradient), kind, exif=exif, **options))
    np.testing.assert_array_equal(rotated, ORIENTED[orientation](plain))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("padding", [b"", b"\xff\xff"])
def test_orientation_is_found_behind_other_segments_in_both_byte_orders(
    order: str, padding: bytes, gradient: NDArray[np.uint8]
) -> None:
    ifd = struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    block = b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + ifd
    note = b"\xff\xfe" + struct.pack(">H", 2 + 9) + b"Exif\0\0abc"
    exif = padding + b"\xff\xe1" + struct.pack(">H", 2 + len(block)) + block
    plain = saved(Image.fromarray(gradient), "JPEG")
    turned = plain[:2] + note + exif + plain[2:]
    np.testing.assert_array_equal(decode_image(turned), np.rot90(decode_image(plain), -1))


def test_a_damaged_exif_block_does_not_lose_the_image(gradient: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(gradient), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff garbage")
    assert decode_image(data).shape == gradient.shape


def test_pixels_can_be_written_to(gradient: NDArray[np.uint8]) -> None:
    for kind in ("PNG", "JPEG"):
        assert decode_image(saved(Image.fromarray(gradient), kind)).flags.writeable


def noisy(kind: str, **options: Any) -> bytes:
    return saved(Image.fromarray(SOME.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind, **options)


def with_flipped_byte(data: bytes, at: float) -> bytes:
    place = int(len(data) * at)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", r"is empty \(0 bytes\)"),
    "text": (lambda: b"hello, I am a cat", r"is not an image \(it starts with 'hello, I am '\)"),
    "a web page": (lambda: b"<!DOCTYPE html><html>404</html>", r"is not an image \(it starts with '<!DOCTYPE ht'\)"),
    "an SVG drawing": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is not an image"),
    "a ZIP archive": (lambda: b"PK\x03\x04" + bytes(60), "is not an image"),
    "a PDF document": (lambda: b"%PDF-1.7\n" + bytes(60), "is not an image"),
    "an EPS program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
    "zeros": (lambda: bytes(100), "is not an image"),
    "only a JPEG's magic number": (lambda: b"\xff\xd8\xff", "is truncated|can't be decoded|is not an image"),
    "random bytes after a JPEG's magic number": (
        lambda: b"\xff\xd8\xff" + SOME.bytes(500),
        "is truncated|can't be decoded|is not an image",
    ),
    "JPEG cut in its header": (lambda: noisy("JPEG")[:100], "is truncated|can't be decoded|is not an image"),
    "JPEG cut in the middle": (lambda: noisy("JPEG")[:2000], "is truncated"),
    "JPEG cut near its end": (lambda: noisy("JPEG")[:-40], "is truncated"),
    "progressive JPEG cut": (lambda: noisy("JPEG", progressive=True)[:2500], "is truncated"),
    "PNG cut in its header": (lambda: noisy("PNG")[:20], "is truncated|can't be decoded|is not an image"),
    "PNG cut in the middle": (lambda: noisy("PNG")[:4000], "is truncated"),
    "PNG with a flipped byte": (lambda: with_flipped_byte(noisy("PNG"), 0.5), "can't be decoded|is truncated"),
    "GIF cut": (lambda: noisy("GIF")[:1500], "is truncated|can't be decoded"),
    "BMP cut": (lambda: noisy("BMP")[:4000], "is truncated|can't be decoded"),
    "TIFF cut": (lambda: noisy("TIFF")[:4000], "is truncated|can't be decoded|is not an image"),
    "WebP cut": (lambda: noisy("WEBP")[:1500], "is truncated|can't be decoded|is not an image"),
    "32-bit float TIFF": (
        lambda: saved(Image.fromarray(SOME.random((4, 4), dtype=np.float32)), "TIFF"),
        "has 32-bit float samples without a fixed range: convert it to 8 or 16 bits a sample",
    ),
    "32-bit integer TIFF": (
        lambda: saved(Image.fromarray(np.array([[7, 255]], dtype=np.int32)), "TIFF"),
        "has 32-bit signed samples without a fixed range: convert it to 8 or 16 bits a sample",
    ),
    "Git LFS pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "is a pointer to a file that Git LFS hasn't fetched: run git lfs pull",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_every_bad_image_is_refused_with_its_reason(kind: str) -> None:
    make, message = BAD[kind]
    with pytest.raises(BadImageError, match=f"^({message})"):
        decode_image(make())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damage_anywhere_gives_pixels_or_a_reason_but_nothing_else(kind: str) -> None:
    data = noisy(kind)
    for _ in range(60):
        damaged = bytearray(data[: int(SOME.integers(1, len(data) + 1))])
        for place in SOME.integers(0, len(damaged), size=3):
            damaged[place] = SOME.integers(0, 256)
        with contextlib.suppress(BadImageError):
            assert decode_image(bytes(damaged)).ndim == 3


def test_the_room_imports_no_torch() -> None:
    code = "import sys, frostline.data; assert 'torch' not in sys.modules and 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

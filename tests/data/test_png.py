"""Every PNG file is decoded right: colour types, depths and transparency, over the product of what PNG 1.2 allows."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from frostline.data import BadImageError, decode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 9, 11
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(samples: NDArray[Any], colour: int, depth: int, *before_pixels: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of samples [H, W, S], put together from its specification."""
    height, width, _ = samples.shape
    rows = samples.reshape(height, -1)
    if depth >= 8:
        lines = [row.astype(f">u{depth // 8}").tobytes() for row in rows]
    else:
        bits = (rows[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
        lines = [row.tobytes() for row in np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        *before_pixels,
        (b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def samples_of(colour: int, depth: int) -> NDArray[np.int64]:
    samples = np.random.default_rng(depth).integers(1, 1 << depth, (HEIGHT, WIDTH, CHANNELS[colour]))
    samples[::2, 3] = samples[1, 1]  # the transparent colour, more than once
    samples[0, 0] = 0
    return samples


def palette_of(depth: int) -> NDArray[np.int64]:
    return np.random.default_rng(depth + 1).integers(0, 256, (1 << depth, 3))


def colours_of(samples: NDArray[np.int64], colour: int, depth: int) -> NDArray[np.float64]:
    """Return the colours without their transparency, float64 [H, W, 3] in [0, 255]."""
    if colour == PALETTE:
        return palette_of(depth)[samples[:, :, 0]].astype(float)
    values = samples / ((1 << depth) - 1) * 255
    return np.repeat(values[:, :, :1], 3, axis=2) if colour in (GREY, GREY_ALPHA) else values[:, :, :3]


def over_white(colours: NDArray[np.float64], alpha: NDArray[Any]) -> NDArray[np.float64]:
    shown: NDArray[np.float64] = colours * alpha + 255.0 * (1 - alpha)
    return shown


def palette_chunk(depth: int) -> tuple[bytes, bytes]:
    return b"PLTE", palette_of(depth).astype(np.uint8).tobytes()


@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_colour_type_and_depth(colour: int, depth: int) -> None:
    samples = samples_of(colour, depth)
    alpha = samples[:, :, -1:] / ((1 << depth) - 1) if colour in (GREY_ALPHA, RGBA) else np.ones(1)
    pixels = decode_image(png(samples, colour, depth, *([palette_chunk(depth)] if colour == PALETTE else [])))
    expected = over_white(colours_of(samples, colour, depth), alpha)
    # Pillow keeps the upper byte of 16-bit colours and of their alpha
    tolerance = 2 if depth == 16 and colour != GREY else 0.51
    assert np.abs(pixels - expected).max() <= tolerance


@pytest.mark.parametrize(("colour", "depth"), [(GREY, depth) for depth in DEPTHS[GREY]] + [(RGB, 8)])
def test_a_transparent_colour_shows_white(colour: int, depth: int) -> None:
    samples = samples_of(colour, depth)
    clear = samples[1, 1]
    pixels = decode_image(png(samples, colour, depth, (b"tRNS", struct.pack(f">{len(clear)}H", *clear))))
    opaque = 1.0 - (samples == clear).all(axis=2, keepdims=True)
    assert 0 < opaque.sum() < opaque.size
    assert np.abs(pixels - over_white(colours_of(samples, colour, depth), opaque)).max() <= 0.51


def test_a_grey_beside_the_transparent_one_stays() -> None:
    samples = np.array([[[32768], [32769], [33023], [33024], [128]]])  # the same upper byte, the same lower byte
    pixels = decode_image(png(samples, GREY, 16, (b"tRNS", struct.pack(">H", 32769))))
    assert pixels[0, :, 0].tolist() == [128, 255, 128, 128, 0]


def test_a_transparent_16_bit_colour_is_refused() -> None:
    data = png(samples_of(RGB, 16), RGB, 16, (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    with pytest.raises(BadImageError, match=r"^is a 16-bit RGB image with a transparent colour: convert it to 8 bits"):
        decode_image(data)


@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
@pytest.mark.parametrize("entries", ["all", "some", "one clear"])
def test_a_palette_with_transparency(depth: int, entries: str) -> None:
    samples = samples_of(PALETTE, depth)
    alphas = np.full(1 << depth, 255)  # entries that tRNS leaves out are opaque
    if entries == "one clear":
        alphas[samples[1, 1, 0]] = 0
    else:
        n = len(alphas) if entries == "all" else len(alphas) // 2
        alphas[:n] = np.random.default_rng(9).integers(0, 256, n)
    stored = alphas[: len(alphas) // 2] if entries == "some" else alphas
    data = png(samples, PALETTE, depth, palette_chunk(depth), (b"tRNS", stored.astype(np.uint8).tobytes()))
    expected = over_white(colours_of(samples, PALETTE, depth), alphas[samples] / 255)
    assert np.abs(decode_image(data) - expected).max() <= 0.51

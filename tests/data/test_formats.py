"""Other formats than TIFF and PNG: colours, ranges, first frames, limits, and formats that need a package."""

from __future__ import annotations

import importlib.util
import io
import struct
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import PIL
import pytest
from PIL import Image, features
from tests.data.test_png import GREY, chunk, png

from frostline.data import BadImageError, _plugins, decode_image
from frostline.data._opening import image_suffixes, open_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


ROWS, COLUMNS = np.mgrid[0:24, 0:32]
SMOOTH = np.stack([ROWS * 9, COLUMNS * 7, (ROWS + COLUMNS) * 4], axis=2).clip(0, 255).astype(np.uint8)
ALPHA = ((ROWS * 5 + COLUMNS * 3) % 256).astype(np.uint8)
OVER_WHITE = SMOOTH * (ALPHA[:, :, None] / 255) + 255 * (1 - ALPHA[:, :, None] / 255)
OPAQUE, SEE_THROUGH = Image.fromarray(SMOOTH), Image.fromarray(np.dstack([SMOOTH, ALPHA]))
LOSSLESS: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("BMP", "DDS", "DIB", "JPEG2000", "PCX", "PPM", "QOI", "SGI", "TGA")},
    "WEBP": {"lossless": True, "exact": True},
    "ICO": {"sizes": [(32, 24)]},
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_colours(kind: str) -> None:
    np.testing.assert_array_equal(decode_image(saved(OPAQUE, kind, **LOSSLESS[kind])), SMOOTH)


@pytest.mark.parametrize("kind", ["DDS", "ICO", "JPEG2000", "QOI", "SGI", "TGA", "WEBP"])
def test_transparency(kind: str) -> None:
    assert np.abs(decode_image(saved(SEE_THROUGH, kind, **LOSSLESS[kind])) - OVER_WHITE).max() <= 0.51


class TestRanges:
    @pytest.mark.parametrize("top", [1, 15, 100, 255, 256, 1000, 4095, 65535])
    def test_grey_of_a_stated_range(self, top: int) -> None:
        values = np.linspace(0, top, 35).round().astype(int).reshape(5, 7)
        body = values.astype(">u2" if top > 255 else np.uint8).tobytes()
        pixels = decode_image(f"P5 7 5 {top}\n".encode() + body)
        assert np.abs(pixels[:, :, 1] - values / top * 255).max() <= 0.51

    def test_16_bit_grey_in_jpeg_2000(self) -> None:
        deep = (ROWS * 2500 + COLUMNS * 100).astype(np.uint16)
        assert np.abs(decode_image(saved(Image.fromarray(deep), "JPEG2000"))[:, :, 2] - deep / 257).max() <= 0.51

    @pytest.mark.parametrize("bits", [16, 32, -32])
    def test_measurements_are_refused(self, bits: int) -> None:
        cards = ["SIMPLE  = T", f"BITPIX  = {bits}", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2", "END"]
        data = "".join(card.ljust(80) for card in cards).ljust(2880).encode() + bytes(2880)
        with pytest.raises(BadImageError, match=r"without a fixed range.*: convert it to 8 or 16 bits a sample"):
            decode_image(data)


class TestInks:
    STORED = np.dstack([SMOOTH, ALPHA])  # Adobe's JPEG files hold 255 less the ink

    def with_transform(self, number: int) -> bytes:
        """Return a JPEG of these four channels; Adobe's marker says 0 for CMYK, 2 for YCCK."""
        inks = Image.frombytes("CMYK", (32, 24), (255 - self.STORED).tobytes())
        data = saved(inks, "JPEG", quality=98, subsampling=0)
        place = data.index(b"Adobe") + 11
        assert data[place] == 0
        return data[:place] + bytes([number]) + data[place + 1 :]

    def test_cmyk(self) -> None:
        light = self.STORED.astype(float)
        expected = light[:, :, :3] * light[:, :, 3:] / 255
        assert np.abs(decode_image(self.with_transform(0)) - expected).max() <= 8

    def test_ycck(self) -> None:
        luma, blue, red = (self.STORED[:, :, n].astype(float) for n in range(3))
        green = luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)
        inks = np.stack([luma + 1.402 * (red - 128), green, luma + 1.772 * (blue - 128)], axis=2).clip(0, 255)
        expected = (255 - inks) * self.STORED[:, :, 3:] / 255
        assert np.abs(decode_image(self.with_transform(2)) - expected).max() <= 14


class TestFirstFrames:
    SECOND = Image.fromarray(255 - SMOOTH)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
    def test_of_a_lossless_animation(self, kind: str) -> None:
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(OPAQUE, kind, save_all=True, append_images=[self.SECOND], **options)
        np.testing.assert_array_equal(decode_image(data), SMOOTH)

    def test_of_a_gif_with_a_clear_colour(self) -> None:
        indices = (ROWS // 6 + 4 * (COLUMNS // 8)).astype(np.uint8)
        palette = np.random.default_rng(0).integers(0, 256, (16, 3), dtype=np.uint8)
        frames = []
        for shift in (0, 5):
            frames.append(Image.frombytes("P", (32, 24), ((indices + shift) % 16).tobytes()))
            frames[-1].putpalette(palette.tobytes())
        data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=3)
        expected = palette[indices]
        expected[indices == 3] = 255
        np.testing.assert_array_equal(decode_image(data), expected)


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a JPEG file whose header claims a size."""
    data = saved(OPAQUE, "JPEG")
    place = data.index(b"\xff\xc0") + 5  # after the length and the depth
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def png_of_size(width: int, height: int) -> bytes:
    data = png(np.zeros((1, 1, 1), dtype=int), GREY, 8)
    return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def bmp_of_size(width: int, height: int) -> bytes:
    data = saved(OPAQUE, "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


OF_SIZE: dict[str, Callable[[int, int], bytes]] = {"JPEG": jpeg_of_size, "PNG": png_of_size, "BMP": bmp_of_size}


class TestLimits:
    @pytest.mark.parametrize("kind", OF_SIZE)
    @pytest.mark.parametrize(("width", "height"), [(20000, 10000), (60000, 60000), (13378, 13378)])
    def test_all_formats_have_the_same(self, kind: str, width: int, height: int) -> None:
        message = f"^has {width:,} by {height:,} pixels, and at most 178,956,970 in all are decoded: make it smaller$"
        with pytest.raises(BadImageError, match=message):
            decode_image(OF_SIZE[kind](width, height))

    @pytest.mark.parametrize("kind", ["PNG", "BMP"])
    def test_below_it_nothing_is_said(self, kind: str) -> None:
        assert open_image(OF_SIZE[kind](13377, 13377)).size == (13377, 13377)  # Pillow would warn of a bomb


class TestPackages:
    HEADERS: ClassVar[dict[str, tuple[bytes, str]]] = {
        "HEIC": (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "pillow-heif"),
        "HEIC of a phone": (b"\0\0\0\x24ftypmif1\0\0\0\0mif1heicMiHBMiHE", "pillow-heif"),
        "HEIC with ten bits": (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "pillow-heif"),
        "JPEG XL": (b"\xff\x0a\xcb\x40", "pillow-jxl-plugin"),
        "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
    }

    @pytest.fixture
    def nothing_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _plugins._teach_pillow.cache_clear()
        for name in ("pillow_heif", "pillow_avif", "pillow_jxl"):
            monkeypatch.setitem(sys.modules, name, None)

    @pytest.mark.usefixtures("nothing_installed")
    @pytest.mark.parametrize("kind", HEADERS)
    def test_the_missing_one_is_named(self, kind: str) -> None:
        data, package = self.HEADERS[kind]
        name = kind.split(" of ")[0].split(" with ")[0].split(" in ")[0]
        message = f"^is an image in {name} format, which needs a package that isn't installed: pip install {package}$"
        with pytest.raises(BadImageError, match=message):
            decode_image(data + bytes(100))

    @pytest.mark.usefixtures("nothing_installed")
    @pytest.mark.parametrize("brand", [b"avif", b"mif1"])
    def test_avif_where_pillow_was_built_without_it(self, brand: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.init()
        factory, _ = Image.OPEN["AVIF"]
        monkeypatch.setitem(Image.OPEN, "AVIF", (factory, lambda prefix: "AVIF support not installed"))
        data = b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0avifmif1" + bytes(100)
        with pytest.raises(BadImageError, match=r"^is an image in AVIF format, .*: pip install pillow-avif-plugin$"):
            decode_image(data)

    @pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
    def test_avif_where_pillow_has_it(self) -> None:
        data = saved(OPAQUE, "AVIF", quality=100, subsampling="4:4:4")
        assert np.abs(decode_image(data).astype(int) - SMOOTH).max() <= 6

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_heic_where_its_package_is_installed(self, orientation: int) -> None:
        pillow_heif = pytest.importorskip("pillow_heif")
        exif = Image.Exif()
        exif[0x0112] = orientation
        stream = io.BytesIO()
        pillow_heif.from_pillow(OPAQUE).save(stream, quality=95, chroma=444, exif=exif.tobytes())
        turned: NDArray[np.uint8] = np.rot90(SMOOTH, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
        assert np.abs(decode_image(stream.getvalue()).astype(int) - turned).max() <= 16

    @pytest.mark.skipif(importlib.util.find_spec("pillow_jxl") is None, reason="pillow-jxl-plugin is not installed")
    def test_jpeg_xl_where_its_package_is_installed(self) -> None:
        importlib.import_module("pillow_jxl")
        np.testing.assert_array_equal(decode_image(saved(OPAQUE, "JXL", lossless=True)), SMOOTH)

    def test_what_is_installed_is_known_without_importing_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("pillow_heif", "pillow_avif", "pillow_jxl"):
            monkeypatch.setitem(sys.modules, name, None)
        assert _plugins.decoders() == [PIL.__version__]
        monkeypatch.delitem(sys.modules, "pillow_heif")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "pillow_heif")
        assert _plugins.decoders() == [PIL.__version__, "pillow-heif"]

    def test_a_film_is_no_image(self) -> None:
        with pytest.raises(BadImageError, match=r"^is not an image"):
            decode_image(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100))

    def test_their_names_promise_an_image(self) -> None:
        assert {".heic", ".heif", ".avif", ".jxl", ".jpg", ".tif"} <= image_suffixes()


def test_a_known_format_that_fails_says_why() -> None:
    data = saved(OPAQUE, "JPEG")
    place = data.index(b"\xff\xc0") + 4
    with pytest.raises(BadImageError, match=r"^can't be decoded \(as JPEG: cannot handle 12-bit layers\)$"):
        decode_image(data[:place] + b"\x0c" + data[place + 1 :])

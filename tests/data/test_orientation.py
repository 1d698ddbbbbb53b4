"""An image is turned as its EXIF or XMP says, of whatever type and in whatever format."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.data.test_png import RGB, png
from tests.data.tiff_files import Layout, write_tiff

from frostline.data import decode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {"BYTE": (1, "B"), "SHORT": (3, "H"), "LONG": (4, "I"), "SLONG": (9, "i")}  # TIFF 6.0, section 2
PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" {attribute}>{element}</rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)
XMP = {
    "attribute": PACKET.format(attribute='tiff:Orientation="6"', element=""),
    "attribute in single quotes": PACKET.format(attribute="tiff:Orientation = '6'", element=""),
    "element": PACKET.format(attribute="", element="<tiff:Orientation>6</tiff:Orientation>"),
}
UPRIGHT_XMP = PACKET.format(attribute='tiff:Orientation="1"', element="")
FORMATS = ("JPEG", "CMYK JPEG", "PNG", "WEBP", "TIFF")


def exif_block(orientation: int, kind: str = "SHORT", order: str = "<") -> bytes:
    """Return a TIFF structure whose only entry is the orientation."""
    number, letter = TYPES[kind]
    value = struct.pack(order + letter, orientation).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", 0x0112, number, 1) + value
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def encoded(pixels: NDArray[np.uint8], name: str, exif: bytes = b"", xmp: str = "") -> bytes:
    """Return a file of the format with these blocks in it."""
    if name == "PNG":
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.encode()
        return png(pixels, RGB, 8, *([(b"eXIf", exif)] if exif else []), *([(b"iTXt", text)] if xmp else []))
    if name == "TIFF":
        assert not exif
        return write_tiff(pixels, Layout(8, 2), [(700, "B", list(xmp.encode()))] if xmp else [])
    image = Image.fromarray(pixels)
    options: dict[str, Any] = {"xmp": xmp.encode()} if xmp else {}
    if exif:
        options["exif"] = b"Exif\0\0" + exif
    if name == "WEBP":
        options["lossless"] = True
    stream = io.BytesIO()
    image.convert("CMYK" if name == "CMYK JPEG" else "RGB").save(stream, name.split()[-1], **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["JPEG", "CMYK JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_every_integer_type(name: str, kind: str, order: str, gradient: NDArray[np.uint8]) -> None:
    plain = decode_image(encoded(gradient, name))
    turned = decode_image(encoded(gradient, name, exif_block(6, kind, order)))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize(
    ("name", "kind"),
    # Pillow turns TIFF files itself, and knows the quotes that Adobe writes
    [(name, kind) for name in FORMATS for kind in XMP if (name, kind) != ("TIFF", "attribute in single quotes")],
)
def test_xmp(name: str, kind: str, gradient: NDArray[np.uint8]) -> None:
    plain = decode_image(encoded(gradient, name))
    np.testing.assert_array_equal(decode_image(encoded(gradient, name, xmp=XMP[kind])), np.rot90(plain, -1))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's, of CMYK files
@pytest.mark.parametrize("name", ["JPEG", "CMYK JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("exif", "xmp", "turns"),
    [
        (exif_block(8), XMP["attribute"], 1),  # EXIF is what cameras write and viewers follow
        (exif_block(1), XMP["attribute"], 0),
        (exif_block(6), UPRIGHT_XMP, -1),
        (exif_block(6)[:14], XMP["attribute"], -1),  # a damaged block says nothing
        (b"II*\0\xff\xff\xff\xff", "", 0),
        (exif_block(77), "", 0),
    ],
)
def test_exif_comes_before_xmp(name: str, exif: bytes, xmp: str, turns: int, gradient: NDArray[np.uint8]) -> None:
    plain = decode_image(encoded(gradient, name))
    np.testing.assert_array_equal(decode_image(encoded(gradient, name, exif, xmp)), np.rot90(plain, turns))


def test_xmp_behind_more_than_64_kilobytes_of_other_segments(gradient: NDArray[np.uint8]) -> None:
    plain = encoded(gradient, "JPEG")
    profile = b"\xff\xe2" + struct.pack(">H", 60002) + bytes(60000)
    packet = b"http://ns.adobe.com/xap/1.0/\0" + XMP["element"].encode()
    segment = b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet
    turned = decode_image(plain[:2] + profile + profile + segment + plain[2:])
    np.testing.assert_array_equal(turned, np.rot90(decode_image(plain), -1))


def test_the_profile_that_imagemagick_writes_into_a_png(gradient: NDArray[np.uint8]) -> None:
    block = b"Exif\0\0" + exif_block(6)
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    data = png(gradient, RGB, 8, (b"tEXt", b"Raw profile type exif\0" + text))
    np.testing.assert_array_equal(decode_image(data), np.rot90(gradient, -1))

"""From an image file's bytes to RGB pixels: simplejpeg first, then Pillow for everything it rejects."""

from __future__ import annotations

import simplejpeg

from frostline.data._converting import to_rgb
from frostline.data._opening import open_image
from frostline.data._orientation import image_orientation, jpeg_orientation, turn_upright
from frostline.data._pixels import BadImageError, Pixels, check_size

__all__ = ["BadImageError", "Pixels", "decode_image"]


def decode_image(data: bytes) -> Pixels:
    """Return the pixels of an encoded image as uint8 [H, W, 3] in RGB, turned as its EXIF or XMP orientation says.

    Grey, palette and CMYK images become RGB; transparency is laid over white, as a viewer shows it; 16-bit samples
    are scaled from [0, 65535] to [0, 255]; of several frames the first counts. Colour profiles are not applied.
    The pixels do not depend on which of the two decoders read them.

    Args:
        data: the whole file, in any format that Pillow reads, by itself or with a plug-in that is installed.

    Raises:
        BadImageError: the bytes are empty, truncated, damaged or no image; the samples have no fixed range (float,
            signed, more than 16 bits); there are too many pixels; or the format needs a package that isn't installed.
    """
    if not data:
        raise BadImageError("is empty (0 bytes)")
    if data[:3] == b"\xff\xd8\xff":
        pixels = _decode_jpeg(data)
        if pixels is not None:
            return pixels
    return _decode_with_pillow(data)


def _decode_jpeg(data: bytes) -> Pixels | None:
    """Return a JPEG's pixels, or None when Pillow should try: CMYK, recoverable errors, not a JPEG after all."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray", "RGB"):
            return None
        check_size(width, height)
        pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except BadImageError:
        raise
    except ValueError:
        return None
    return turn_upright(pixels, jpeg_orientation(data))


def _decode_with_pillow(data: bytes) -> Pixels:
    """Return the pixels as Pillow reads them, or raise BadImageError with the reason."""
    try:
        with open_image(data) as image:
            image.load()
            # 24 bytes into a PNG file is the depth of its samples (PNG 1.2, 11.2.2), which Pillow doesn't tell
            pixels = to_rgb(image, data[24] if image.format == "PNG" else None)
            return turn_upright(pixels, image_orientation(image))
    except BadImageError:
        raise
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, zlib.error, IndexError, ...
        raise BadImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "truncated" in text.lower():
        return f"is truncated ({text})"
    return f"can't be decoded ({text})"

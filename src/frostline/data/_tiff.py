"""TIFF files as they are: Pillow reads several layouts as if they were another, without a word."""

from __future__ import annotations

import math
from typing import Any

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from frostline.data._pixels import BadImageError

__all__ = ["TiffImage"]

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
SAMPLE_FORMATS = {SIGNED: "signed", FLOAT: "float", 4: "undefined", 5: "complex", 6: "complex float"}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_ZERO: "grey (white is zero)", BLACK_IS_ZERO: "grey", RGB: "RGB", PALETTE: "palette", 4: "mask"}
COLOURS |= {CMYK: "CMYK", YCBCR: "YCbCr", 8: "Lab", 32803: "colour filter array", 34892: "linear raw"}
N_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
PREVIEW, SUBSAMPLING, INK_SET, NOT_CMYK = 1, 530, 332, 2
UNSPECIFIED, MULTIPLIED_ALPHA, ALPHA = 0, 1, 2
REMEDY = "convert it to 8 or 16 bits a sample"


class TiffImage(TiffImageFile):
    """The first image of a TIFF file, as Pillow's, but right or refused.

    Attributes:
        full_scale: the value of white in a 12- or 16-bit grey image; of black where ``white_is_zero``.
        white_is_zero: whether 16-bit grey samples still have to be inverted.
    """

    full_scale = 65535
    white_is_zero = False
    _kind = ""

    def _open(self) -> None:
        assert self.fp is not None
        if self.fp.read(4) == b"MM\x00+":  # Pillow takes the first tags from the wrong place
            raise BadImageError("is a big-endian BigTIFF file, which can't be read: convert it to an ordinary TIFF")
        self.fp.seek(0)
        super()._open()

    def _setup(self) -> None:
        """Find out how the samples are stored, before Pillow does."""
        tags = self.tag_v2
        bits = _numbers(tags, TiffImagePlugin.BITSPERSAMPLE, 1)
        n_samples = _numbers(tags, TiffImagePlugin.SAMPLESPERPIXEL, len(bits))[0]
        photometric = _numbers(tags, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO)[0]
        planar = _numbers(tags, TiffImagePlugin.PLANAR_CONFIGURATION, 1)[0] == 2
        compressed = _numbers(tags, TiffImagePlugin.COMPRESSION, 1)[0] != 1
        self._kind = f"{'/'.join(map(str, dict.fromkeys(bits)))}-bit {COLOURS.get(photometric, f'kind {photometric}')}"
        _require_fixed_range(tags, bits)
        _require_known_colours(tags, photometric, compressed=compressed)
        _require_all_parts(tags, n_samples if planar else 1)
        if planar:
            if n_samples > 1 and not _planes_can_be_read(tags, photometric, bits[0], compressed=compressed):
                raise BadImageError(
                    f"is a TIFF file of {self._kind} with each channel stored apart: {REMEDY}, with the channels "
                    "interleaved"
                )
            if UNSPECIFIED in _extra_samples(tags):
                n_kept = N_CHANNELS.get(photometric, n_samples)
                _keep_planes(tags, n_samples, min(n_samples, n_kept))
        if photometric == PALETTE:
            _widen_palette(tags)
        self.full_scale = (1 << bits[0]) - 1
        if photometric == WHITE_IS_ZERO and bits[0] == 16:
            self.white_is_zero = True
            tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = BLACK_IS_ZERO  # Pillow doesn't invert these either way
        try:
            super()._setup()
        except SyntaxError as error:
            raise self._unreadable(error) from error
        if planar and len(self.getbands()) > 1 and bits[0] == 16 and not compressed:
            self.tile = _deep_planes(self)

    def load(self) -> Any:
        """Decode the pixels."""
        try:
            return super().load()
        except ValueError as error:  # a layout that Pillow has an entry for, but no code
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> BadImageError:
        return BadImageError(f"is a TIFF file of {self._kind}, which can't be read ({error}): {REMEDY}")


def _numbers(tags: Any, tag: int, default: int) -> tuple[int, ...]:
    """Return a tag's values, at least one; the default where it is missing or holds none."""
    value = tags.get(tag, default)
    values = value if isinstance(value, tuple) else (value,)
    return tuple(int(each) for each in values if isinstance(each, (int, float))) or (default,)


def _extra_samples(tags: Any) -> tuple[int, ...]:
    return _numbers(tags, TiffImagePlugin.EXTRASAMPLES, UNSPECIFIED)


def _require_fixed_range(tags: Any, bits: tuple[int, ...]) -> None:
    """Raise for samples whose black and white are not stated: signed, float, or of more than 16 bits."""
    formats = set(_numbers(tags, TiffImagePlugin.SAMPLEFORMAT, UNSIGNED)) - {UNSIGNED}
    if formats:
        named = " and ".join(SAMPLE_FORMATS.get(each, f"kind {each}") for each in sorted(formats))
        raise BadImageError(f"has {max(bits)}-bit {named} samples without a fixed range: {REMEDY}")
    if max(bits) > 16:
        raise BadImageError(f"has {max(bits)}-bit samples without a fixed range: {REMEDY}")


def _require_known_colours(tags: Any, photometric: int, *, compressed: bool) -> None:
    """Raise for what Pillow would decode as something else."""
    if _numbers(tags, 254, 0)[0] & PREVIEW:
        raise BadImageError("begins with a preview, as a camera's raw files do: convert it to an ordinary image")
    if photometric == CMYK and _numbers(tags, INK_SET, 1)[0] == NOT_CMYK:
        raise BadImageError("has inks other than cyan, magenta, yellow and black: convert it to RGB")
    if photometric == YCBCR and not compressed and _numbers(tags, SUBSAMPLING, 2) != (1, 1):
        raise BadImageError("is an uncompressed TIFF file with subsampled colours: convert it to RGB")


def _require_all_parts(tags: Any, n_planes: int) -> None:
    """Raise where strips or tiles are missing from the directory: Pillow would leave their place black."""
    width = _numbers(tags, TiffImagePlugin.IMAGEWIDTH, 0)[0]
    height = _numbers(tags, TiffImagePlugin.IMAGELENGTH, 0)[0]
    if TiffImagePlugin.TILEOFFSETS in tags:
        place = TiffImagePlugin.TILEOFFSETS
        across, down = (_numbers(tags, tag, 0)[0] for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
    else:
        place = TiffImagePlugin.STRIPOFFSETS
        across, down = width, _numbers(tags, TiffImagePlugin.ROWSPERSTRIP, height)[0]
    if place not in tags or min(width, height, across, down) < 1:
        return  # not to be read, and Pillow says why
    n_needed = n_planes * math.ceil(width / across) * math.ceil(height / down)
    n_found = len(_numbers(tags, place, 0))
    if n_found < n_needed:
        raise BadImageError(f"is damaged (its directory lists {n_found} of the {n_needed} parts of the image)")


def _widen_palette(tags: Any) -> None:
    """Bring a palette of 8-bit colours, which some programs write, to the 16 bits that TIFF 6.0 asks for."""
    colours = _numbers(tags, TiffImagePlugin.COLORMAP, 0)
    if len(colours) > 1 and max(colours) < 256:
        tags[TiffImagePlugin.COLORMAP] = tuple(257 * colour for colour in colours)


def _planes_can_be_read(tags: Any, photometric: int, bits: int, *, compressed: bool) -> bool:
    """Tell whether Pillow puts together right what is stored channel by channel."""
    extra = _extra_samples(tags)
    unspecified = set(extra) == {UNSPECIFIED}
    if N_CHANNELS.get(photometric) == 1:
        return unspecified  # the first plane is the image
    if not compressed and _numbers(tags, TiffImagePlugin.FILLORDER, 1)[0] != 1:
        return False
    if photometric == RGB:
        with_alpha = extra == (ALPHA,) or (extra == (MULTIPLIED_ALPHA,) and bits == 8 and compressed)
        return bits in (8, 16) and (unspecified or with_alpha)
    if photometric == YCBCR:
        return bits == 8 and compressed and TiffImagePlugin.EXTRASAMPLES not in tags
    return photometric == CMYK and unspecified and (bits == 8 or (bits == 16 and compressed))


def _keep_planes(tags: Any, n_planes: int, n_kept: int) -> None:
    """Change the tags to those of the first planes alone: Pillow loses count of the unspecified ones after them."""
    if n_kept == 1:
        tags[TiffImagePlugin.PLANAR_CONFIGURATION] = 1  # with one channel it says nothing, but confuses Pillow
    if n_kept == n_planes:
        return
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = n_kept
    tags[TiffImagePlugin.BITSPERSAMPLE] = _numbers(tags, TiffImagePlugin.BITSPERSAMPLE, 1)[:n_kept]
    tags.pop(TiffImagePlugin.EXTRASAMPLES, None)
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS):
        if tag in tags:
            offsets = _numbers(tags, tag, 0)
            tags[tag] = offsets[: len(offsets) // n_planes * n_kept]


def _deep_planes(image: TiffImageFile) -> list[Any]:
    """Return the tiles of uncompressed 16-bit planes; Pillow would read each as if it had 8 bits."""
    order = ";16L" if image.tag_v2.prefix == TiffImagePlugin.II else ";16B"
    each = len(image.tile) // len(image.getbands())
    channels = [channel for channel in image.getbands() for _ in range(each)]
    tiles = zip(image.tile, channels, strict=True)
    return [tile._replace(args=(channel + order, *(tile.args or ())[1:])) for tile, channel in tiles]

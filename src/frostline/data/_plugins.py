"""Formats that Pillow leaves to other packages: which a file is of, and its image where the package is installed."""

from __future__ import annotations

import importlib.util
import io
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import PIL
from PIL import Image

from frostline.data._pixels import BadImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["PLUGIN_SUFFIXES", "decoders", "open_with_plugin"]

PLUGIN_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif", ".jxl"})

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
JPEG_XL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")


class _PlugIn(NamedTuple):
    """A package that teaches Pillow a format: by being imported, and by calling ``register`` where there is one."""

    format: str  # Pillow's name of it
    module: str
    package: str
    register: str | None = None


PLUGINS = {
    "HEIC": _PlugIn("HEIF", "pillow_heif", "pillow-heif", "register_heif_opener"),
    "AVIF": _PlugIn("AVIF", "pillow_avif", "pillow-avif-plugin"),
    "JPEG XL": _PlugIn("JXL", "pillow_jxl", "pillow-jxl-plugin"),
}


def open_with_plugin(data: bytes) -> ImageFile | None:
    """Return the image of a file in a format that needs a package, not yet decoded; None for any other file.

    Raises:
        BadImageError: the package isn't installed; says which.
    """
    name = _format(data)
    if name is None:
        return None
    plugin = PLUGINS[name]
    try:
        _teach_pillow(plugin)
    except ImportError as error:
        raise BadImageError(
            f"is an image in {name} format, which needs a package that isn't installed: pip install {plugin.package}"
        ) from error
    factory, _ = Image.OPEN[plugin.format]
    return factory(io.BytesIO(data), "")


@cache
def _teach_pillow(plugin: _PlugIn) -> None:
    """Import a package that adds a format to Pillow's; once, as an error isn't remembered."""
    module = importlib.import_module(plugin.module)
    if plugin.register:
        getattr(module, plugin.register)()


def decoders() -> list[str]:
    """Return Pillow's version and the packages above that are installed: what can be decoded depends on them."""
    found = [plugin.package for plugin in PLUGINS.values() if importlib.util.find_spec(plugin.module)]
    return [PIL.__version__, *found]


def _format(data: bytes) -> str | None:
    if data.startswith(JPEG_XL):
        return "JPEG XL"
    if data[4:8] != b"ftyp":
        return None
    # ISO 14496-12, 4.3: the major brand, a version, then the other brands up to the end of the box
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, end - 3, 4))}
    if brands & AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & HEIC_BRANDS else None

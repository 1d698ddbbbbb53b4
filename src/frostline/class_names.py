"""Class names as people write them and as they are kept: equal to the eye means equal."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["tidy_class_name"]

# Spaces without width and marks that only say where a text may break or which way it runs. The joiners U+200C and
# U+200D shape what stands beside them, so they only go at the ends.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_JOINERS = "\u200c\u200d"


def tidy_class_name(name: str) -> str:
    """Return a class's name in Unicode's composed form (NFC), every run of spaces as one, and none at the ends."""
    composed = unicodedata.normalize("NFC", _INVISIBLE.sub("", name))
    return " ".join(composed.split()).strip(_JOINERS).strip()

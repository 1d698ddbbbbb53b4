"""What a set of stored activations is, and the key that names it on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from frostline.data import Preprocessing, View
    from frostline.plan import Layout, Precision

__all__ = ["FORMAT_VERSION", "INPUT_CUT", "FeatureSpec"]

FORMAT_VERSION = 3
"""Part of every key: raise it when the same specification would be stored as other bytes."""

INPUT_CUT = "input"
"""The cut before everything, whose rows are the uint8 images themselves."""


@dataclass(frozen=True)
class FeatureSpec:
    """Everything that decides the numbers of stored rows but the images: below it, a row is named by its image.

    Attributes:
        preprocessing: how an image becomes a network's input.
        view: the augmented view of the images, or None for the images as they are.
        backbone: name of the network.
        weights_digest: hex digest of the network's weights.
        cut: where in the network the rows are taken; at ``input`` they are the uint8 images.
        dtype: how numbers are stored: ``float32``, ``float16`` (read back as float32), ``uint8`` at the cut ``input``.
        engine: the engine preferred, ``openvino`` or ``torch``, which differ in the last bits; at the cut ``input``,
            where no network runs, it isn't part of the key.
        layout: how maps lie in memory on the torch engine; nor is it there.
        precision: how exactly products are computed; nor is it there.
        maker: versions, kind of device and instructions of what runs the network; nor is it there.
    """

    preprocessing: Preprocessing
    view: View | None
    backbone: str
    weights_digest: str
    cut: str
    dtype: Literal["float32", "float16", "uint8"]
    engine: str = "openvino"
    layout: Layout = "contiguous"
    precision: Precision = "ieee"
    maker: str = ""

    def __post_init__(self) -> None:
        if (self.cut == INPUT_CUT) != (self.dtype == "uint8"):
            raise ValueError(f'cut "{self.cut}" can\'t be stored as {self.dtype}: uint8 is for the cut "input" only')

    def describe(self) -> dict[str, Any]:
        """Return the specification as JSON data, without what doesn't change the numbers stored."""
        preprocessing = dataclasses.asdict(self.preprocessing)
        fields = {
            "format": FORMAT_VERSION,
            "preprocessing": preprocessing,
            "view": None if self.view is None else dataclasses.asdict(self.view),
            "backbone": self.backbone,
            "weights_digest": self.weights_digest,
            "cut": self.cut,
            "dtype": self.dtype,
            "engine": self.engine,
            "layout": self.layout,
            "precision": self.precision,
            "maker": self.maker,
        }
        if self.cut == INPUT_CUT:
            # Images are stored before normalisation and before any network, so that backbones share them.
            for name in ("backbone", "weights_digest", "engine", "layout", "precision", "maker"):
                del fields[name]
            del preprocessing["mean"], preprocessing["std"]
        return fields

    @property
    def key(self) -> str:
        """The hex digest that names these rows: equal for equal numbers, different otherwise."""
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:40]

"""Images in: sources, stratified splits, decoding, preprocessing, augmented views. Importing it imports no torch."""

from __future__ import annotations

from frostline.data._dataset import Dataset, Skipped, Split
from frostline.data._decoding import BadImageError, decode_image
from frostline.data._detached import detach, is_detached
from frostline.data._given import ImageLike, read_images
from frostline.data._iterating import iterate_images
from frostline.data._loading import load_dataset
from frostline.data._preprocessing import Preprocessing, load_images, normalise, preprocess_image
from frostline.data._summary import DataSummary, summarise_data
from frostline.data._views import View, augment_image

__all__ = [
    "BadImageError",
    "DataSummary",
    "Dataset",
    "ImageLike",
    "Preprocessing",
    "Skipped",
    "Split",
    "View",
    "augment_image",
    "decode_image",
    "detach",
    "is_detached",
    "iterate_images",
    "load_dataset",
    "load_images",
    "normalise",
    "preprocess_image",
    "read_images",
    "summarise_data",
]

"""What an arm's network makes of the images of a split, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.training import load_tensors, pack_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Predictions", "load_predictions", "pack_predictions"]

ID_BYTES = 16


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of N images, in the order of their split.

    Attributes:
        logits: float32 [N, K].
        labels: int64 [N], the true class of each image.
        ids: the digest of each image's content, hex: the same image has the same id in every run.
        names: each image's path, or where else it lies in the data.
    """

    logits: torch.Tensor
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def probabilities(self) -> torch.Tensor:
        """Softmax of the logits, float32 [N, K]."""
        return self.logits.softmax(dim=1)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class that is predicted for each image, int64 [N]; of equal logits the first."""
        predicted: NDArray[np.int64] = self.logits.argmax(dim=1).numpy()
        return predicted


def pack_predictions(predictions: Predictions) -> bytes:
    """Return predictions as the contents of a safetensors file."""
    ids = np.frombuffer(bytes.fromhex("".join(predictions.ids)), np.uint8).reshape(-1, ID_BYTES)
    tensors = {
        "logits": predictions.logits,
        "labels": torch.from_numpy(predictions.labels),
        "ids": torch.from_numpy(ids.copy()),
    }
    return pack_tensors(tensors, {"names": list(predictions.names)})


def load_predictions(path: Path) -> Predictions:
    """Return what ``pack_predictions`` packed.

    Raises:
        TrainingError: the file is absent or damaged.
    """
    tensors, metadata = load_tensors(path)
    ids = tuple(bytes(row).hex() for row in tensors["ids"].numpy())
    return Predictions(tensors["logits"], tensors["labels"].numpy(), ids, tuple(metadata["names"]))

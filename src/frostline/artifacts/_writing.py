"""An arm's folder as it is written: tensors first, then the description that vouches for them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.artifacts._predictions import Predictions, save_predictions
from frostline.files import save_file
from frostline.training import save_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from frostline.artifacts._description import ArmDescription

__all__ = ["ArmFiles", "digest_of", "save_arm", "save_split"]


@dataclass(frozen=True)
class ArmFiles:
    """The files in an arm's folder."""

    folder: Path

    @property
    def description(self) -> Path:
        """What the arm is, with the digests of the other files."""
        return self.folder / "arm.json"

    @property
    def model(self) -> Path:
        """The tensors that training changed, by the names they have in the network."""
        return self.folder / "model.safetensors"

    def predictions(self, split: str) -> Path:
        """What the network makes of a split, ``val`` or ``test``."""
        return self.folder / f"{split}.safetensors"


def save_arm(
    folder: Path, description: ArmDescription, model: dict[str, torch.Tensor], predictions: Predictions
) -> dict[str, str]:
    """Write an arm that has ended, with its predictions on validation; returns the digest of each file by its name.

    Raises:
        DiskFullError: it can't be written.
    """
    files = ArmFiles(folder)
    save_tensors(files.model, model, {"arm": description.name})
    save_predictions(files.predictions("val"), predictions)
    written = {path.name: digest_of(path) for path in (files.model, files.predictions("val"))}
    return written | _describe(files, dataclasses.replace(description, files=written))


def save_split(folder: Path, description: ArmDescription, split: str, predictions: Predictions) -> dict[str, str]:
    """Write an arm's predictions on another split beside what is there; returns the digests of what was written.

    Raises:
        DiskFullError: it can't be written.
    """
    files = ArmFiles(folder)
    path = files.predictions(split)
    save_predictions(path, predictions)
    written = {path.name: digest_of(path)}
    return written | _describe(files, dataclasses.replace(description, files={**description.files, **written}))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(files: ArmFiles, description: ArmDescription) -> dict[str, str]:
    content = (json.dumps(description.to_json(), indent=1, ensure_ascii=False) + "\n").encode()
    save_file(files.description, content)
    return {files.description.name: hashlib.sha256(content).hexdigest()}

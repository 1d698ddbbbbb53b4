"""An arm's folder as it is written: tensors first, then the description that vouches for them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frostline.artifacts._predictions import Predictions, pack_predictions
from frostline.files import FileBatch, save_file
from frostline.training import pack_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

    from frostline.artifacts._description import ArmDescription

__all__ = ["ArmFiles", "EndedArm", "digest_of", "save_arms", "save_split"]


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


@dataclass(frozen=True, eq=False)
class EndedArm:
    """An arm as it is to be written: the tensors that training changed, and its predictions on validation."""

    folder: Path
    description: ArmDescription
    model: dict[str, torch.Tensor]
    predictions: Predictions


def save_arms(arms: Iterable[EndedArm]) -> dict[str, dict[str, str]]:
    """Write arms that have ended, one at a time in memory; return the digests of their files by arm and file name.

    Raises:
        DiskFullError: they can't be written.
    """
    written: list[tuple[ArmFiles, ArmDescription]] = []
    with FileBatch() as batch:
        for arm in arms:
            files = ArmFiles(arm.folder)
            contents = {
                files.model: pack_tensors(arm.model, {"arm": arm.description.name}),
                files.predictions("val"): pack_predictions(arm.predictions),
            }
            for path, content in contents.items():
                batch.save(path, content)
            digests = {path.name: _digest(content) for path, content in contents.items()}
            written.append((files, dataclasses.replace(arm.description, files=digests)))
    with FileBatch() as batch:
        for files, description in written:
            batch.save(files.description, _pack(description))
    return {
        description.name: {**description.files, files.description.name: _digest(_pack(description))}
        for files, description in written
    }


def save_split(folder: Path, description: ArmDescription, split: str, predictions: Predictions) -> dict[str, str]:
    """Write an arm's predictions on another split beside what is there; returns the digests of what was written.

    Raises:
        DiskFullError: it can't be written.
    """
    files = ArmFiles(folder)
    path, content = files.predictions(split), pack_predictions(predictions)
    save_file(path, content)
    written = {path.name: _digest(content)}
    described = _pack(dataclasses.replace(description, files={**description.files, **written}))
    save_file(files.description, described)
    return {**written, files.description.name: _digest(described)}


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(description: ArmDescription) -> bytes:
    return (json.dumps(description.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

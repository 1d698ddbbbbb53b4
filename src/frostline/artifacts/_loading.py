"""Reads an arm's folder: every digest checked, the pretrained weights found again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from frostline.artifacts._description import ArmDescription
from frostline.artifacts._network import TrainedArm
from frostline.artifacts._predictions import load_predictions
from frostline.artifacts._writing import ArmFiles, digest_of
from frostline.errors import ArtifactError
from frostline.models import build_chain, load_backbone
from frostline.training import load_model_state, load_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["load_arm_folder", "read_description"]


def load_arm_folder(folder: Path, device: torch.device, weights: str | None = None) -> TrainedArm:
    """Return the arm in a folder as a network that predicts.

    Args:
        folder: the arm's own, ``arms/NAME`` in a run's.
        device: where it is to compute.
        weights: the file of pretrained weights, where it has been moved; those that the arm names when left out.

    Raises:
        ArtifactError: a file is absent or damaged, or the pretrained weights aren't those of the arm.
        WeightsError: the pretrained weights can't be found; says what to put where.
    """
    description = read_description(folder)
    files = ArmFiles(folder)
    for name, digest in description.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: copy the whole folder of the run, or train the arm again")
        if digest_of(path) != digest:
            raise ArtifactError(f"{path} is damaged: copy it again, or train the arm again")
    asked = description.weights
    size = description.recipe.image_size
    backbone = load_backbone(asked.backbone, weights or asked.given, size, asked.key)
    if backbone.weights_digest != asked.digest:
        raise ArtifactError(
            f'{folder}: the arm "{description.name}" was trained on other weights of {asked.backbone} than '
            f'"{weights or asked.given}" has now (digest {asked.digest[:12]}, not {backbone.weights_digest[:12]}): '
            "give the file with the former ones as weights="
        )
    chain = build_chain(backbone, len(description.classes), description.recipe.head, description.recipe.seed)
    load_model_state(chain.model, load_tensors(files.model)[0])
    chain.model.to(device).eval()
    test = files.predictions("test")
    return TrainedArm(
        folder,
        description,
        load_predictions(files.predictions("val")),
        load_predictions(test) if test.name in description.files else None,
        device,
        chain,
    )


def read_description(folder: Path) -> ArmDescription:
    """Return what an arm's folder says of itself.

    Raises:
        ArtifactError: there is no description, or it is damaged.
    """
    path = ArmFiles(folder).description
    try:
        return ArmDescription.from_json(json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing: the arm isn't complete") from error
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} can't be read ({error})") from error

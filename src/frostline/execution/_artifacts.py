"""What an arm leaves behind: the part of the network that training changed, and its validation logits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from frostline.training import save_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from frostline.execution._context import Context

__all__ = ["save_arm"]


def save_arm(context: Context, arm: str, model: dict[str, torch.Tensor], logits: torch.Tensor) -> None:
    """Store an arm's model and its validation logits [N, K], each complete or absent, and record both."""
    recipe = next(a.recipe for a in context.prepared.arms if a.name == arm)
    metadata = {
        "arm": arm,
        "backbone": recipe.backbone,
        "weights_digest": context.networks.of(recipe).weights_digest,
        "classes": list(context.dataset.classes),
    }
    for kind, path, tensors in (
        ("model", context.files.model(arm), model),
        ("predictions", context.files.predictions(arm), {"logits": logits}),
    ):
        save_tensors(path, tensors, metadata)
        context.ledger.record_file(context.run, arm, kind, path.relative_to(context.files.root), _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Where a run keeps its files: checkpoints, models and predictions, named so that a person can find them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunFiles"]


@dataclass(frozen=True)
class RunFiles:
    """The folder of one run."""

    root: Path

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of trajectories under way; removed when the run is complete."""
        return self.root / "checkpoints"

    def checkpoint(self, trajectory: str, epoch: int) -> Path:
        """The checkpoint after an epoch (1-based) of a trajectory."""
        return self.checkpoints / f"{trajectory}-{epoch:04d}.safetensors"

    def model(self, arm: str) -> Path:
        """What training changed in an arm's network, at its last epoch."""
        return self.root / "models" / f"{_file_name(arm)}.safetensors"

    def predictions(self, arm: str) -> Path:
        """An arm's logits on the validation split, at its last epoch."""
        return self.root / "predictions" / f"{_file_name(arm)}.safetensors"


def _file_name(arm: str) -> str:
    """Return a readable name that no two arms share."""
    readable = re.sub(r"[^A-Za-z0-9.=+-]+", "_", arm).strip("_")[:80]
    return f"{readable}-{hashlib.sha256(arm.encode()).hexdigest()[:6]}"

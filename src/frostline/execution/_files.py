"""Where a run keeps its files: checkpoints and what arms left behind, named so that a person can find them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunFiles", "folder_name"]


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

    def arm(self, name: str) -> Path:
        """The folder of what an arm left behind."""
        return self.root / "arms" / folder_name(name)


def folder_name(arm: str) -> str:
    """Return a readable name that no two arms share."""
    readable = re.sub(r"[^A-Za-z0-9.=+-]+", "_", arm).strip("_")[:80]
    return f"{readable}-{hashlib.sha256(arm.encode()).hexdigest()[:6]}"

"""What the ledger takes and gives: plain frozen data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ArmEntry", "ArmRecord", "EpochRow", "FileRow", "PassRow", "RunRecord", "RunRow", "Segment", "Took"]


@dataclass(frozen=True)
class Took:
    """The seconds that somebody waited for a run, from the command to its end, over all sessions of a resumed one.

    Of a session that was killed, those up to the last thing that it recorded. Measuring the machine, compiling frozen
    stages and waiting for another run in the same process have their share of them named.
    """

    seconds: float = 0.0
    measuring_seconds: float = 0.0
    compiling_seconds: float = 0.0
    waiting_seconds: float = 0.0


@dataclass(frozen=True)
class Segment:
    """The first ``epochs`` epochs of a trajectory; an arm is a path of segments, each after the one before it."""

    trajectory: str
    epochs: int


@dataclass(frozen=True)
class ArmEntry:
    """An arm as a run begins: its name, its recipe as JSON holds it, and the segments that make it."""

    name: str
    recipe: Mapping[str, Any]
    path: tuple[Segment, ...]


@dataclass(frozen=True)
class EpochRow:
    """One finished epoch: losses are means over images, accuracies lie in [0, 1], NaN where training diverged."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    checkpoint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON: numbers that JSON can't hold (NaN, infinity) become null."""
        return {
            "epoch": self.epoch,
            "train_loss": _finite(self.train_loss),
            "val_loss": _finite(self.val_loss),
            "val_accuracy": _finite(self.val_accuracy),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class PassRow:
    """One feature pass of a run; the rows of all but ``n_passed`` of its images were in the cache."""

    name: str
    n_images: int
    n_passed: int
    n_bytes: int
    seconds: float
    engine: str

    @property
    def reused(self) -> bool:
        """Whether all of it was in the cache."""
        return not self.n_passed

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return {
            "name": self.name,
            "n_images": self.n_images,
            "n_passed": self.n_passed,
            "n_bytes": self.n_bytes,
            "seconds": self.seconds,
            "engine": self.engine,
            "reused": self.reused,
        }


@dataclass(frozen=True)
class FileRow:
    """A file that a run wrote for an arm: its kind (``model``, ``predictions``, ..), path and hex content digest."""

    kind: str
    path: str
    digest: str


@dataclass(frozen=True)
class ArmRecord:
    """An arm with what became of it.

    ``status`` is ``waiting``, ``running``, ``interrupted`` (it has epochs, and the run goes on no more), ``complete``,
    ``diverged`` or ``failed``; ``epochs`` are those of its segments joined and counted from 1.
    """

    name: str
    recipe: Mapping[str, Any]
    status: str
    message: str | None
    path: tuple[Segment, ...]
    epochs: tuple[EpochRow, ...]
    test_loss: float | None = None
    test_accuracy: float | None = None
    files: tuple[FileRow, ...] = ()

    @property
    def trajectory(self) -> str:
        """The trajectory whose checkpoint is this arm's model."""
        return self.path[-1].trajectory

    @property
    def n_epochs(self) -> int:
        """The number of epochs the arm asks for, over all its segments."""
        return sum(segment.epochs for segment in self.path)

    def to_json(self) -> dict[str, Any]:
        """Return the arm as JSON."""
        return {
            "name": self.name,
            "recipe": dict(self.recipe),
            "status": self.status,
            "message": self.message,
            "trajectory": self.trajectory,
            "path": [[segment.trajectory, segment.epochs] for segment in self.path],
            "epochs": [row.to_json() for row in self.epochs],
            "test_loss": _finite(self.test_loss),
            "test_accuracy": _finite(self.test_accuracy),
            "files": [{"kind": file.kind, "path": file.path, "digest": file.digest} for file in self.files],
        }


@dataclass(frozen=True)
class RunRow:
    """One line of the list of runs; ``status`` is ``running`` only while a process really works on it."""

    run: str
    study: str
    study_digest: str
    mode: str
    status: str
    created: str
    finished: str | None
    n_arms: int
    n_complete: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON; seconds are what the run took: see ``Took``."""
        return {
            "run": self.run,
            "study": self.study,
            "mode": self.mode,
            "status": self.status,
            "created": self.created,
            "finished": self.finished,
            "n_arms": self.n_arms,
            "n_complete": self.n_complete,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class RunRecord:
    """A run with everything that the ledger knows of it; times are ISO 8601 in UTC.

    ``chosen`` are the arms of the recipe that was chosen on validation, and is judged on the test images.
    """

    run: str
    study: str
    study_digest: str
    mode: str
    status: str
    created: str
    finished: str | None
    definition: Mapping[str, Any]
    data: Mapping[str, Any]
    plan: Mapping[str, Any]
    cost: Mapping[str, Any]
    provenance: tuple[Mapping[str, Any], ...]
    passes: tuple[PassRow, ...]
    arms: tuple[ArmRecord, ...]
    directory: Path = field(compare=False)
    took: Took = Took()
    chosen: tuple[str, ...] = ()

    def arm(self, name: str) -> ArmRecord:
        """Return the arm of a name.

        Raises:
            KeyError: the run has no such arm.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON (``json.dumps`` takes it with ``allow_nan=False``)."""
        return {
            "run": self.run,
            "study": self.study,
            "mode": self.mode,
            "status": self.status,
            "created": self.created,
            "finished": self.finished,
            "took": asdict(self.took),
            "data": dict(self.data),
            "arms": [arm.to_json() for arm in self.arms],
            "chosen": list(self.chosen),
            "cost": dict(self.cost),
            "passes": [row.to_json() for row in self.passes],
            "plan": dict(self.plan),
            "provenance": [dict(each) for each in self.provenance],
            "directory": str(self.directory),
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

"""What a run tells while it goes on, as plain data; whoever listens decides how to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from frostline.data import DataSummary

__all__ = [
    "ArmProgress",
    "DataRead",
    "EpochFinished",
    "Event",
    "Listener",
    "Notice",
    "PassFinished",
    "PassProgress",
    "PassStarted",
    "Preparing",
    "RunFinished",
    "RunFound",
    "RunStarted",
    "StepProgress",
    "TrajectoryEnded",
]


@dataclass(frozen=True)
class Preparing:
    """What is being done before a run begins, as a person may read it: ``reading the images``."""

    what: str


@dataclass(frozen=True)
class DataRead:
    """The study's images were read and checked: what of them is used."""

    summary: DataSummary


@dataclass(frozen=True)
class RunStarted:
    """A run begins, or goes on where it was interrupted; predicted_seconds covers the work still to do."""

    run: str
    study: str
    resumed: bool
    n_arms: int
    n_trajectories: int
    predicted_seconds: float | None


@dataclass(frozen=True)
class Notice:
    """Something the user should know: a skipped image, a damaged segment made again, an engine that was rejected."""

    text: str


@dataclass(frozen=True)
class RunFound:
    """The study has been run, on the same images with the same versions: nothing is trained; ``finished`` in UTC."""

    run: str
    study: str
    finished: str


@dataclass(frozen=True)
class PassStarted:
    """A feature pass begins over so many images."""

    name: str
    n_images: int


@dataclass(frozen=True)
class PassProgress:
    """A feature pass has stored so many of its images."""

    name: str
    n_done: int
    n_images: int


@dataclass(frozen=True)
class PassFinished:
    """A feature pass is complete; the rows of all but ``n_passed`` of its images were in the cache already."""

    name: str
    n_images: int
    n_passed: int
    n_bytes: int
    seconds: float

    @property
    def reused(self) -> bool:
        """Whether all of it was in the cache."""
        return not self.n_passed


@dataclass(frozen=True)
class StepProgress:
    """A trajectory's current epoch (1-based, of its own) has done so many of its steps."""

    trajectory: str
    epoch: int
    epochs: int
    step: int
    n_steps: int


@dataclass(frozen=True)
class ArmProgress:
    """Where one arm stands: its own epoch (1-based, counted over all its phases) of so many."""

    name: str
    epoch: int
    epochs: int


@dataclass(frozen=True)
class EpochFinished:
    """A trajectory finished an epoch, which counts for every arm listed; ``replayed`` when read from the ledger."""

    trajectory: str
    arms: tuple[ArmProgress, ...]
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    replayed: bool = False


@dataclass(frozen=True)
class TrajectoryEnded:
    """A trajectory ended: status is ``complete``, ``diverged`` or ``failed``."""

    trajectory: str
    status: str
    message: str | None = None


@dataclass(frozen=True)
class RunFinished:
    """The run ended: status is ``complete``, ``interrupted`` or ``failed``."""

    run: str
    status: str
    seconds: float


Event: TypeAlias = (
    Preparing
    | DataRead
    | RunStarted
    | Notice
    | PassStarted
    | PassProgress
    | PassFinished
    | StepProgress
    | EpochFinished
    | TrajectoryEnded
    | RunFinished
    | RunFound
)
Listener: TypeAlias = Callable[[Event], None]

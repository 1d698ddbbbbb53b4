"""The plan as plain data: what is shared, what each piece costs, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from frostline.plan._numerics import Layout

__all__ = [
    "Activations",
    "ArmPlan",
    "CachePolicy",
    "Decided",
    "GroupPlan",
    "Mode",
    "PassPlan",
    "Plan",
    "RowSource",
    "Totals",
    "TrajectoryPlan",
]

Activations = Literal["float32", "float16"]
"""How the numbers of stored activations are kept."""

Mode = Literal["cached", "recomputed", "uncut"]
"""Where a trajectory's inputs come from: activations that are stored or computed anew each epoch, or a whole network's
images where it can't be cut."""

CachePolicy = Literal["auto", "always", "never"]
"""Whether activations are stored: where that is predicted cheaper, wherever it gives the same answer, or nowhere."""


class Decided(NamedTuple):
    """What an earlier plan chose for a trajectory, and a resumed run keeps to.

    ``activations`` is None where that plan was made before there was a choice: they are then as the recipe says.
    ``group`` is what it was trained with; None leaves that open.
    """

    mode: Mode
    activations: Activations | None = None
    group: str | None = None


class RowSource(NamedTuple):
    """What goes through which prefix: passes with equal sources are one."""

    backbone: str
    weights: str
    image_size: int
    activations: Activations
    split: str
    augmentation: Literal["none", "flip", "crop-flip"]
    views: int
    view_seed: int | None
    weights_key: str | None = None


@dataclass(frozen=True)
class PassPlan:
    """One run of a prefix over images, which stores the tensors that cross its cuts.

    ``splits`` maps a split to its number of images, which run in batches of ``batch_size``; ``views`` counts the stored
    views of each training image, whose random stream is ``view_seed``; seconds and bytes are predictions.
    """

    name: str
    backbone: str
    weights: str
    image_size: int
    activations: Activations
    augmentation: Literal["none", "flip", "crop-flip"]
    views: int
    view_seed: int | None
    cuts: tuple[str, ...]
    splits: dict[str, int]
    batch_size: int
    seconds: float
    bytes: int
    arms: int
    weights_key: str | None = None

    @property
    def n_images(self) -> int:
        """Images that go through the prefix, each view counted."""
        return sum(self.splits.values()) * self.views

    @property
    def sources(self) -> tuple[RowSource, ...]:
        """What goes through the prefix, split by split."""
        return tuple(
            RowSource(
                self.backbone,
                self.weights,
                self.image_size,
                self.activations,
                split,
                self.augmentation,
                self.views,
                self.view_seed,
                self.weights_key,
            )
            for split in self.splits
        )


@dataclass(frozen=True)
class TrajectoryPlan:
    """One training run that serves one or more arms.

    ``cut`` is where rows enter (``input``: images), in numbers of ``activations``; modules between it and
    ``train_from`` run frozen.
    ``layout`` is how maps lie in memory, ``threads`` how many compute: they decide last bits, and a rule decides them.
    ``parent`` is the trajectory it goes on from, after ``parent_epochs`` of it; ``first_epoch`` counts the epochs that
    came before over all phases. ``peak_bytes`` is the predicted peak of a process's resident memory that trains it.
    ``keep_epochs`` are the epochs after which an arm ends or a child begins.
    """

    id: str
    arm: int
    phase: int
    backbone: str
    train_from: str
    cut: str
    mode: Mode
    activations: Activations
    layout: Layout
    threads: int
    why: str
    parent: str | None
    parent_epochs: int
    first_epoch: int
    epochs: int
    keep_epochs: tuple[int, ...]
    serves: tuple[str, ...]
    seconds_per_epoch: float
    seconds: float
    trained_parameters: int
    peak_bytes: int


@dataclass(frozen=True)
class GroupPlan:
    """Trajectories that are trained together: stacked heads, or any other trajectory alone."""

    id: str
    trajectories: tuple[str, ...]
    stacked: bool
    seconds: float


@dataclass(frozen=True)
class ArmPlan:
    """An arm as a path through trajectories, with what it costs alone and on top of the study's other arms."""

    name: str
    path: tuple[tuple[str, int], ...]
    alone_seconds: float
    marginal_seconds: float
    plain_seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Totals:
    """Sums over the study: as planned, each arm alone, and every arm by the plain loop.

    Each of them has judging the chosen recipe on the test images in it; as planned these are ``test_seconds``, of which
    ``test_pass_seconds`` are for bringing the images to a cut. ``training_seconds``, as planned, are less than the
    trajectories' own together where several train side by side.
    ``bytes`` counts the test images too, which are stored for the arm that is chosen; which one isn't known yet, so it
    is the most that this may take. ``peak_bytes`` is the predicted peak of resident memory, of passes and training, and
    ``device_peak_bytes`` that of an accelerator's own; 0 without one.
    """

    seconds: float
    alone_seconds: float
    plain_seconds: float
    training_seconds: float
    test_seconds: float
    test_pass_seconds: float
    bytes: int
    peak_bytes: int
    device_peak_bytes: int
    trained_epochs: int
    asked_epochs: int


@dataclass(frozen=True)
class Plan:
    """The feature passes, trajectories, groups and arms of a study, with predicted cost.

    ``workers`` processes, of at most ``threads`` threads each, train the trajectories that aren't stacked; 1 is the
    run's own. How many there are changes no trajectory's threads.
    ``doubts`` are reasons why what is predicted may be wrong, such as that the machine was busy when it was measured.
    """

    study: str
    passes: tuple[PassPlan, ...]
    trajectories: tuple[TrajectoryPlan, ...]
    groups: tuple[GroupPlan, ...]
    arms: tuple[ArmPlan, ...]
    totals: Totals
    workers: int
    threads: int
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()

    def is_stacked(self, trajectory: str) -> bool:
        """Return whether a trajectory is a head that is trained in a stack."""
        return trajectory in self._stacked

    @cached_property
    def _stacked(self) -> frozenset[str]:
        return frozenset(id_ for group in self.groups if group.stacked for id_ in group.trajectories)

    @cached_property
    def arms_through(self) -> dict[str, tuple[ArmPlan, ...]]:
        """The arms that pass through each trajectory, by its id."""
        through: dict[str, list[ArmPlan]] = {t.id: [] for t in self.trajectories}
        for arm in self.arms:
            for trajectory, _ in arm.path:
                through[trajectory].append(arm)
        return {id_: tuple(arms) for id_, arms in through.items()}

    @property
    def decided(self) -> dict[str, Decided]:
        """What is chosen for each trajectory, by its id: a plan that is made with it chooses the same."""
        groups = {id_: group.id for group in self.groups for id_ in group.trajectories}
        return {t.id: Decided(t.mode, t.activations, groups[t.id]) for t in self.trajectories}

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain lists and dictionaries."""
        return {
            "study": self.study,
            "n_arms": len(self.arms),
            "passes": [asdict(p) for p in self.passes],
            "trajectories": [asdict(t) for t in self.trajectories],
            "groups": [asdict(g) for g in self.groups],
            "arms": [asdict(a) for a in self.arms],
            "totals": asdict(self.totals),
            "workers": self.workers,
            "threads": self.threads,
            "notes": list(self.notes),
            "doubts": list(self.doubts),
        }

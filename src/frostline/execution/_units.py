"""A plan as units of work: what must be done before what, whoever does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from frostline.execution._heads import run_heads
from frostline.execution._passes import make_pass
from frostline.execution._trajectories import run_trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frostline.execution._context import Context
    from frostline.plan import Plan

__all__ = [
    "HeadsUnit",
    "PassUnit",
    "TrajectoryUnit",
    "Unit",
    "carry_out",
    "find_rest",
    "needs_images",
    "seconds_ahead",
    "units_of",
]


@dataclass(frozen=True)
class PassUnit:
    """A feature pass over some of its images: part ``part`` of ``parts`` equal ones of each split."""

    index: int
    part: int = 0
    parts: int = 1
    needs: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Its name among the units of a plan."""
        return f"pass {self.index} {self.part + 1}/{self.parts}"


@dataclass(frozen=True)
class HeadsUnit:
    """A group of heads trained in stacks, from first to last epoch."""

    group: str
    needs: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Its name among the units of a plan."""
        return f"heads {self.group}"


@dataclass(frozen=True)
class TrajectoryUnit:
    """A trajectory up to an epoch of its own, or to its end; what is stored of it isn't trained again."""

    trajectory: str
    until: int | None = None
    needs: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """Its name among the units of a plan."""
        return f"trajectory {self.trajectory}" + ("" if self.until is None else f" until {self.until}")


Unit: TypeAlias = PassUnit | HeadsUnit | TrajectoryUnit
U = TypeVar("U", PassUnit, HeadsUnit, TrajectoryUnit)


def units_of(plan: Plan, *, parts: int = 1) -> list[Unit]:
    """Return the units of a plan, each after those that it needs; passes in so many parts."""
    passes = [PassUnit(index, part, parts) for index in range(len(plan.passes)) for part in range(parts)]
    stored = frozenset(unit.id for unit in passes)
    units: list[Unit] = [*passes]
    maker: dict[str, str] = {}
    stacked = [group for group in plan.groups if group.stacked]
    for group in stacked:
        # Heads start from nothing but the pretrained network, so everything else can follow them.
        heads = HeadsUnit(group.id, needs=stored)
        units.append(heads)
        maker |= dict.fromkeys(group.trajectories, heads.id)
    for planned in plan.trajectories:
        if not plan.is_stacked(planned.id):
            maker[planned.id] = TrajectoryUnit(planned.id).id
    for planned in plan.trajectories:
        if not plan.is_stacked(planned.id):
            before = frozenset({maker[planned.parent]}) if planned.parent is not None else frozenset()
            units.append(TrajectoryUnit(planned.id, needs=stored | before))
    return units


def find_rest(units: Sequence[U], given_up: str) -> list[U]:
    """Return the units that need one that was given up, directly or not, in order."""
    lost, rest = {given_up}, []
    for unit in units:
        if unit.needs & lost:
            lost.add(unit.id)
            rest.append(unit)
    return rest


def seconds_ahead(plan: Plan, units: Sequence[Unit]) -> Mapping[str, float]:
    """Return for each unit the predicted seconds of it and of the longest chain of units that need it."""
    own = {unit.id: _seconds(plan, unit) for unit in units}
    ahead: dict[str, float] = {}
    for unit in reversed(units):
        after = max((ahead[other.id] for other in units if unit.id in other.needs and other.id in ahead), default=0.0)
        ahead[unit.id] = own[unit.id] + after
    return ahead


def needs_images(plan: Plan, unit: Unit) -> bool:
    """Return whether a unit reads pixels rather than stored rows alone."""
    match unit:
        case PassUnit():
            return True
        case HeadsUnit():
            group = next(group for group in plan.groups if group.id == unit.group)
            return any(t.mode != "cached" for t in plan.trajectories if t.id in group.trajectories)
        case TrajectoryUnit():
            return next(t.mode for t in plan.trajectories if t.id == unit.trajectory) != "cached"


def carry_out(context: Context, unit: Unit) -> None:
    """Do a unit of work in this process; its results are stored when this returns."""
    plan = context.plan
    match unit:
        case PassUnit():
            make_pass(context, plan.passes[unit.index], unit.part, unit.parts)
        case HeadsUnit():
            run_heads(context, next(group for group in plan.groups if group.id == unit.group))
        case TrajectoryUnit():
            run_trajectory(context, next(t for t in plan.trajectories if t.id == unit.trajectory), unit.until)


def _seconds(plan: Plan, unit: Unit) -> float:
    match unit:
        case PassUnit():
            return plan.passes[unit.index].seconds / unit.parts
        case HeadsUnit():
            return next(group.seconds for group in plan.groups if group.id == unit.group)
        case TrajectoryUnit():
            return next(t.seconds for t in plan.trajectories if t.id == unit.trajectory)

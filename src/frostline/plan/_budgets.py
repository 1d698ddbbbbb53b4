"""What a run may take of the machine, as the user gives it."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.errors import BudgetError
from frostline.quantities import parse_bytes

__all__ = ["NO_BUDGETS", "Budgets", "read_budgets"]


@dataclass(frozen=True)
class Budgets:
    """The most bytes that a study's stored activations may take together, its process in memory, and on a device.

    None is no limit.

    They aren't part of the question, and of a study's digest: what was chosen to keep them is in the plan.
    """

    disk: int | None = None
    memory: int | None = None
    device_memory: int | None = None


NO_BUDGETS = Budgets()


def read_budgets(
    disk: int | str | None = None, memory: int | str | None = None, device_memory: int | str | None = None
) -> Budgets:
    """Return budgets given as bytes or as text such as ``10GB``; BudgetError says which of them is no size."""
    return Budgets(_read("disk", disk), _read("memory", memory), _read("device memory", device_memory))


def _read(name: str, given: int | str | None) -> int | None:
    if given is None:
        return None
    if isinstance(given, str):
        try:
            return parse_bytes(given)
        except ValueError as error:
            raise BudgetError(f"{name} budget: {error}") from error
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise BudgetError(f"{name} budget: {given!r} is not a size: give whole bytes, or text such as 5GB")
    return given

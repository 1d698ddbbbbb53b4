"""What messages say of what can't be used: a line for each, or one for all that are of one cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.quantities import format_number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data._dataset import Skipped

__all__ = ["count_faults", "list_faults", "warn_of_faults"]

LISTED = 20  # lines of a message; the rest is counted
LISTED_IN_A_LINE = 5


def count_faults(faults: Sequence[Skipped]) -> str:
    """Return how many there are, in words."""
    return format_number_of(len(faults), "item")


def list_faults(faults: Sequence[Skipped]) -> str:
    """Return the end of an error's message: the lines of the first faults, each after a line break."""
    lines = _lines(faults, ": ")
    more = f"\n  ... and {len(lines) - LISTED:,} more" if len(lines) > LISTED else ""
    return "".join(f"\n  {line}" for line in lines[:LISTED]) + more


def warn_of_faults(faults: Sequence[Skipped]) -> tuple[str, ...]:
    """Return a warning that counts what was skipped and names the first of it."""
    if not faults:
        return ()
    lines = _lines(faults, " ")
    more = f"; and {len(lines) - LISTED_IN_A_LINE:,} more" if len(lines) > LISTED_IN_A_LINE else ""
    return (f"{count_faults(faults)} left out: {'; '.join(lines[:LISTED_IN_A_LINE])}{more}",)


def _lines(faults: Sequence[Skipped], between: str) -> list[str]:
    """Return the line of each fault, and of those that share one only the first."""
    return list(dict.fromkeys(fault.shared or f"{fault.item}{between}{fault.reason}" for fault in faults))

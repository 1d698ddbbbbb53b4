"""The backbones there are to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.quantities import format_count, format_number_of
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.models import BackboneLine

__all__ = ["backbones_table"]

MOST_REASONS = 12
_UNKNOWN = "-"


def backbones_table(lines: Sequence[BackboneLine]) -> Table:
    """Return backbones as text; what isn't known of one is a dash, and why it can't be cut stands below."""
    rows = []
    for line in lines:
        cuts = _UNKNOWN if line.cuttable is None else "yes" if line.cuttable else "no"
        rows.append(
            (
                line.name,
                _UNKNOWN if line.parameters is None else f"{line.parameters:,}",
                _UNKNOWN if line.flops is None else format_count(line.flops),
                str(line.image_size),
                "unusable" if line.cuttable is None and line.why_not else cuts,
                line.weights,
            )
        )
    return Table(
        title=format_number_of(len(lines), "backbone"),
        columns=("backbone", "parameters", "operations", "pixels", "cuts", "weights"),
        rows=tuple(rows),
        left=frozenset({"backbone", "cuts", "weights"}),
        notes=tuple(_notes(lines)),
    )


def _notes(lines: Sequence[BackboneLine]) -> list[str]:
    reasons = [line for line in lines if line.why_not]
    notes = []
    for line in reasons[:MOST_REASONS]:
        if line.cuttable is None:
            notes.append(f"{line.name} can't be used: {line.why_not}")
        else:
            notes.append(f"{line.name} can't be cut, so it is trained uncut: {line.why_not}")
    if len(reasons) > MOST_REASONS:
        notes.append(f"{len(reasons) - MOST_REASONS} more can't be cut; --json has the reasons")
    n_unknown = sum(line.parameters is None and line.why_not is None for line in lines)
    if n_unknown:
        notes.append(
            f"{format_number_of(n_unknown, 'backbone')} not measured yet ({_UNKNOWN}): a narrower PATTERN or --measure "
            "does it, about a second for each, without downloading anything"
        )
    return notes

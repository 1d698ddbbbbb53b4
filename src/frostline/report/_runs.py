"""The list of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.quantities import format_seconds
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.ledger import RunRow

__all__ = ["runs_table"]


def runs_table(rows: Sequence[RunRow], title: str = "runs") -> Table:
    """Return the runs as text, in the order given; times are UTC."""
    return Table(
        title=title,
        columns=("run", "study", "mode", "status", "arms", "complete", "time", "started (UTC)"),
        rows=tuple(
            (
                row.run,
                row.study,
                row.mode,
                row.status,
                str(row.n_arms),
                str(row.n_complete),
                format_seconds(row.seconds),
                row.created[:16].replace("T", " "),
            )
            for row in rows
        ),
        left=frozenset({"run", "study"}),
    )

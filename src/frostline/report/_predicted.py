"""What a run predicted beside what it measured: seconds and bytes of every pass, seconds of what trained together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.quantities import format_bytes, format_number_of, format_predicted, format_ratio, format_seconds
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from frostline.ledger import RunRecord

__all__ = ["predicted_table"]


def predicted_table(record: RunRecord) -> Table | None:
    """Return predicted beside measured; None before the run has ended, and where nothing of it was planned."""
    passes, trajectories = record.cost.get("passes", []), record.cost.get("trajectories", [])
    if not passes and not trajectories:
        return None
    doubts = record.plan.get("doubts", ())
    rows = [
        (
            f"pass {each['name']}",
            format_predicted(each["predicted_seconds"], doubts),
            "read from the cache" if each["reused"] else format_seconds(each["seconds"]),
            "" if each["reused"] else _ratio(each),
            format_bytes(each["predicted_bytes"]),
            format_bytes(each["bytes"]),
        )
        for each in passes
    ]
    by_id = {each["id"]: each for each in trajectories}
    for group in record.plan.get("groups", []):
        members = [by_id[id_] for id_ in group["trajectories"] if id_ in by_id]
        if members:
            total = {key: sum(each[key] for each in members) for key in ("seconds", "predicted_seconds", "epochs")}
            seconds = format_predicted(total["predicted_seconds"], doubts), format_seconds(total["seconds"])
            rows.append((_what(members, total["epochs"]), *seconds, _ratio(total), "", ""))
    return Table(
        title="predicted and measured",
        columns=("what", "predicted", "measured", "ratio", "disk predicted", "disk used"),
        rows=tuple(rows),
        left=frozenset({"what"}),
        notes=tuple(f"times with ~ are not certain: {doubt}" for doubt in doubts),
    )


def _what(members: Iterable[Mapping[str, Any]], epochs: int) -> str:
    names = [each["id"] for each in members]
    what = names[0] if len(names) == 1 else f"{format_number_of(len(names), 'head')} together ({names[0]}, ..)"
    return f"training {what}, {format_number_of(epochs, 'epoch')}"


def _ratio(cost: Mapping[str, Any]) -> str:
    """Return measured over predicted."""
    return format_ratio(cost["seconds"] / cost["predicted_seconds"]) if cost["predicted_seconds"] else ""

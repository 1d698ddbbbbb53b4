"""A plan as tables: what is shared and why, and what each arm costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.quantities import format_bytes, format_count, format_number_of, format_predicted
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["added_notes", "plan_tables"]


def plan_tables(plan: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return the tables of a plan's JSON: feature passes (where there are any), trajectories, arms with totals."""
    tables = [_passes(plan)] if plan["passes"] else []
    return (*tables, _trajectories(plan), _arms(plan))


def _passes(plan: Mapping[str, Any]) -> Table:
    doubts = plan.get("doubts", ())
    return Table(
        title="feature passes: frozen stages run once, and their output is stored",
        columns=("pass", "backbone", "pixels", "stored at", "images", "views", "on disk", "time", "arms"),
        rows=tuple(
            (
                each["name"],
                each["backbone"],
                str(each["image_size"]),
                ", ".join(each["cuts"]),
                f"{sum(each['splits'].values()):,}",
                str(each["views"]),
                format_bytes(each["bytes"]),
                format_predicted(each["seconds"], doubts),
                str(each["arms"]),
            )
            for each in plan["passes"]
        ),
        left=frozenset({"pass", "backbone", "stored at"}),
    )


def _trajectories(plan: Mapping[str, Any]) -> Table:
    doubts = plan.get("doubts", ())
    return Table(
        title="trajectories: each is trained once, for all arms on it",
        columns=("id", "train_from", "starts at", "mode", "epochs", "arms", "parameters", "time", "why"),
        rows=tuple(
            (
                each["id"],
                each["train_from"],
                f"{each['parent']}" if each["parent"] else each["cut"],
                each["mode"],
                str(each["epochs"]),
                str(len(each["serves"])),
                format_count(each["trained_parameters"]),
                format_predicted(each["seconds"], doubts),
                each["why"],
            )
            for each in plan["trajectories"]
        ),
        left=frozenset({"id", "train_from", "starts at", "why"}),
    )


def _arms(plan: Mapping[str, Any]) -> Table:
    totals, doubts = plan["totals"], plan.get("doubts", ())
    whole, alone, plain = (
        format_predicted(totals[key], doubts) for key in ("seconds", "alone_seconds", "plain_seconds")
    )
    # What the table of trajectories has said is not said again for each arm.
    said = tuple(each["why"] for each in plan["trajectories"] if each["why"])
    notes = ["; ".join(note for note in each["notes"] if not note.endswith(said)) for each in plan["arms"]]
    has_notes = any(notes)
    rows = []
    for each, note in zip(plan["arms"], notes, strict=True):
        path = " > ".join(f"{trajectory}:{epochs}" for trajectory, epochs in each["path"])
        row = (each["name"], path, *(format_predicted(each[f"{key}_seconds"], doubts) for key in ("alone", "marginal")))
        rows.append((*row, note) if has_notes else row)
    columns = ("arm", "path", "time alone", "time added")
    return Table(
        title="arms: what each takes alone, and what it adds to the others",
        columns=(*columns, "notes") if has_notes else columns,
        rows=tuple(rows),
        left=frozenset({"arm", "path", "notes"}),
        notes=(
            f"{format_number_of(plan['n_arms'], 'arm')}, {format_number_of(totals['asked_epochs'], 'epoch')} in all"
            f"{_left_to_train(totals)}; {format_bytes(totals['bytes'])} to store on disk.",
            f"Predicted: {whole} in all; {alone} with arms trained alone; {plain} in an ordinary loop (--plain).",
            *(f"Times with ~ are not certain: {doubt}." for doubt in doubts),
            *_side_by_side(plan),
            f"Peak memory: about {format_bytes(totals['peak_bytes'])}{_on_device(totals)}.",
            *(note for note in plan["notes"] if not note.endswith(said)),
        ),
    )


def _left_to_train(totals: Mapping[str, Any]) -> str:
    if totals["trained_epochs"] == totals["asked_epochs"]:
        return ", none shared"
    return f", {totals['trained_epochs']:,} of them to train after sharing"


def _on_device(totals: Mapping[str, Any]) -> str:
    peak = totals.get("device_peak_bytes", 0)  # which plans of earlier versions don't have
    return f", and {format_bytes(peak)} of the device's own" if peak else ""


def _side_by_side(plan: Mapping[str, Any]) -> tuple[str, ...]:
    if plan.get("workers", 1) == 1:
        return ()
    threads = format_number_of(plan["threads"], "thread")
    return (
        f"{plan['workers']} trajectories are trained side by side, in processes of {threads} each.",
        *(f"{note.capitalize()}." for note in added_notes(plan)),
    )


def added_notes(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a table's legend says of time added, where trajectories are trained side by side."""
    workers = plan.get("workers", 1)
    if workers == 1:
        return ()
    return (f"time added: a trajectory trained beside others counts for 1/{workers} of its own time",)

"""The arms of a run: what each learned, epoch by epoch, and what it cost."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from frostline.quantities import (
    format_fraction,
    format_fractions,
    format_loss,
    format_number_of,
    format_predicted,
    format_seconds,
)
from frostline.report._plan import added_notes
from frostline.report._table import Table

if TYPE_CHECKING:
    from frostline.ledger import RunRecord, Took

__all__ = ["ArmLine", "arm_lines", "arms_table", "data_notes"]


NAMED_SECONDS = 1.0
"""What takes less of a run's time isn't named."""


class ArmLine(NamedTuple):
    """One arm as measured: E losses and accuracies by epoch (accuracies in [0, 1]), and seconds.

    ``alone_seconds`` are those of the feature passes and epochs it needs, ``marginal_seconds`` of those that no other
    arm of the run needs; None until the run has worked them out, when it ends, and for a plain run.
    """

    name: str
    status: str
    message: str | None
    n_epochs: int
    train_losses: tuple[float, ...]
    val_losses: tuple[float | None, ...]
    val_accuracies: tuple[float | None, ...]
    test_accuracy: float | None
    alone_seconds: float | None
    marginal_seconds: float | None


def arm_lines(record: RunRecord) -> tuple[ArmLine, ...]:
    """Return the arms of a run in the study's order, with what each cost."""
    costs = record.cost.get("arms", {})
    return tuple(
        ArmLine(
            name=arm.name,
            status=arm.status,
            message=arm.message,
            n_epochs=arm.n_epochs,
            train_losses=tuple(row.train_loss for row in arm.epochs),
            val_losses=tuple(row.val_loss for row in arm.epochs),
            val_accuracies=tuple(row.val_accuracy for row in arm.epochs),
            test_accuracy=arm.test_accuracy,
            alone_seconds=costs.get(arm.name, {}).get("alone_seconds"),
            marginal_seconds=costs.get(arm.name, {}).get("marginal_seconds"),
        )
        for arm in record.arms
    )


def arms_table(record: RunRecord) -> Table:
    """Return the arms as text: losses and accuracy of every epoch, and where known the time alone and time added."""
    lines = arm_lines(record)
    has_test = any(line.test_accuracy is not None for line in lines)
    has_cost = any(line.alone_seconds is not None for line in lines)
    has_status = any(line.status != "complete" for line in lines)
    columns = ["arm", "training loss by epoch", "val loss by epoch", "val acc by epoch"]
    columns += ["test acc"] if has_test else []
    columns += ["time alone", "time added"] if has_cost else []
    columns += ["status"] if has_status else []
    rows = []
    for line in lines:
        row = [
            line.name,
            ", ".join(format_loss(loss) for loss in line.train_losses),
            ", ".join(format_loss(loss) or "-" for loss in line.val_losses),
            ", ".join(format_fraction(accuracy) or "-" for accuracy in line.val_accuracies),
        ]
        row += [format_fraction(line.test_accuracy)] if has_test else []
        row += [format_seconds(line.alone_seconds), format_seconds(line.marginal_seconds)] if has_cost else []
        row += [_status(line)] if has_status else []
        rows.append(tuple(row))
    messages = {f"{line.name}: {line.status}: {line.message}" for line in lines if line.message}
    n_complete = sum(line.status == "complete" for line in lines)
    complete = f"{n_complete} of {format_number_of(len(lines), 'arm')} complete"
    return Table(
        title=f"{record.run}: {record.mode}, {record.status}, {complete}",
        columns=tuple(columns),
        rows=tuple(rows),
        left=frozenset({*columns[:4], "status"}),
        notes=(
            *sorted(messages),
            *data_notes(record),
            *_chosen(record),
            *_cost(record),
            *(added_notes(record.plan) if has_cost else ()),
        ),
    )


def data_notes(record: RunRecord) -> tuple[str, ...]:
    """Return what every report of a run says about its images: how much of the data was left out, if any was."""
    n = record.data.get("n_skipped", 0)
    if not n:
        return ()
    was, them = ("was", "it") if n == 1 else ("were", "them")
    what = format_number_of(n, "item")
    return (f"{what} of the data {was} left out as unusable; `frostline show {record.run} --json` names {them}",)


def _chosen(record: RunRecord) -> list[str]:
    """Say which recipe validation chose and how its seeds did on test; nothing before that is known."""
    chosen = [arm for arm in record.arms if arm.name in record.chosen and arm.test_accuracy is not None]
    if not chosen:
        return []
    test = [arm.test_accuracy or 0.0 for arm in chosen]
    val = [arm.epochs[-1].val_accuracy or 0.0 for arm in chosen]
    seeds = f" ({format_number_of(len(chosen), 'seed')}: {format_fractions(min(test), max(test))})"
    return [
        f"chosen on validation: {_name_of_all([arm.name for arm in chosen])}, val acc {format_fraction(fmean(val))}; "
        f"test accuracy {format_fraction(fmean(test))}{seeds if len(chosen) > 1 else ''}"
    ]


def _name_of_all(names: list[str]) -> str:
    """Return what the names of a recipe's arms have in common: all but the seed."""
    others = [set(name.split(" ")) for name in names[1:]]
    return " ".join(word for word in names[0].split(" ") if all(word in words for words in others)) or names[0]


def _cost(record: RunRecord) -> list[str]:
    """Set the run's measured seconds beside what was predicted, and beside what its arms take without sharing."""
    cost, took = record.cost, _took(record.took)
    if "predicted_seconds" not in cost:
        return [took] if record.took.seconds else []
    doubts = record.plan.get("doubts", ())
    predicted = format_predicted(cost["predicted_seconds"], doubts)
    line = f"{took}{';' if ' of which ' in took else ','} predicted {predicted}"
    if record.mode == "shared" and "alone_seconds" in cost:
        line += (
            f"; one arm after the other: {format_predicted(cost['alone_seconds'], doubts)}, "
            f"by the plain loop: {format_predicted(cost['plain_seconds'], doubts)} (estimates)"
        )
    return [line, *(f"times with ~ are not certain: {doubt}" for doubt in doubts)]


def _took(took: Took) -> str:
    """Say what a run took, and what of it went into getting ready, where that is a second or more."""
    parts = [
        f"{format_seconds(seconds)} {what}"
        for what, seconds in (
            ("measuring this machine", took.measuring_seconds),
            ("compiling", took.compiling_seconds),
            ("waiting for another run", took.waiting_seconds),
        )
        if seconds >= NAMED_SECONDS
    ]
    *first, last = parts or [""]
    of_which = f"{', '.join(first)} and {last}" if first else last
    return f"took {format_seconds(took.seconds)}" + (f", of which {of_which}" if parts else "")


def _status(line: ArmLine) -> str:
    if line.status == "complete":
        return line.status
    return f"{line.status} ({len(line.train_losses)}/{line.n_epochs})"

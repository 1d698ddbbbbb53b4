"""Pivots: two settings of the recipes against each other, with the losses of every epoch in each cell."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from frostline.errors import LedgerError, closest
from frostline.quantities import format_fraction, format_loss
from frostline.report._settings import describe_setting, flat_settings, setting_value
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frostline.ledger import ArmRecord, RunRecord

__all__ = ["Measure", "Pivot", "PivotCell", "pivot", "pivot_table", "varies"]

Measure: TypeAlias = Literal["train_loss", "val_loss", "val_accuracy"]

_TITLES: Final = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


class PivotCell(NamedTuple):
    """The arms of one cell: E means over its ``n`` complete arms (one a seed), and the states of the others."""

    values: tuple[float | None, ...]
    n: int
    others: tuple[str, ...] = ()


class Pivot(NamedTuple):
    """One table: arms that differ in nothing but the two settings and the seed.

    ``settings`` are those in which this table differs from the run's other tables; a cell is None where the study has
    no such arm.
    """

    measure: Measure
    row_key: str
    column_key: str
    settings: tuple[tuple[str, str], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[PivotCell | None, ...], ...]
    n_seeds: int

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON; values that JSON can't hold (NaN, infinity) become null."""
        return {
            "rows": {"key": self.row_key, "values": list(self.rows)},
            "columns": {"key": self.column_key, "values": list(self.columns)},
            "settings": dict(self.settings),
            "n_seeds": self.n_seeds,
            "cells": [[None if cell is None else _cell_json(cell) for cell in row] for row in self.cells],
        }


def varies(record: RunRecord, key: str) -> bool:
    """Return whether a run's arms have more than one value of a setting."""
    return len({_label(arm, key) for arm in record.arms}) > 1


def pivot(
    record: RunRecord, row_key: str = "epochs", column_key: str = "train_from", measure: Measure = "train_loss"
) -> tuple[Pivot, ...]:
    """Return the pivots of a run: one for each combination of the settings that are neither row nor column.

    Arms that differ only in their seed are averaged epoch by epoch, those that diverged or are not complete left out
    of the mean and named in the cell; with ``seed`` as row or column nothing is averaged.

    Args:
        record: the run.
        row_key: a key of the recipes, ``epochs`` or dotted, ``optimizer.lr``.
        column_key: another one.
        measure: what the cells hold.

    Raises:
        LedgerError: a key that no recipe has, or the same one twice.
    """
    if row_key == column_key:
        raise LedgerError(f'a pivot needs two different keys, not "{row_key}" twice')
    for key in (row_key, column_key):
        _check_key(key, record)
    groups: dict[str, list[ArmRecord]] = {}
    for arm in record.arms:
        groups.setdefault(_rest(arm, row_key, column_key), []).append(arm)
    differing = _differing_keys(list(groups), (row_key, column_key))
    return tuple(
        _pivot_group(arms, row_key, column_key, measure, _describe_group(arms[0], differing, (row_key, column_key)))
        for arms in groups.values()
    )


def pivot_table(pivoted: Pivot) -> Table:
    """Return a pivot as text: ``0.8285, 0.6178`` in a cell, with the number of seeds where they differ."""
    where = ", ".join(f"{key} {value}" for key, value in pivoted.settings)
    mean = f", mean of {pivoted.n_seeds} seeds" if pivoted.n_seeds > 1 else ""
    headers = tuple(f"{pivoted.column_key} {column}" for column in pivoted.columns)
    return Table(
        title=f"{_TITLES[pivoted.measure]} by epoch{mean}" + (f": {where}" if where else ""),
        columns=(pivoted.row_key, *headers),
        rows=tuple(
            (row, *(_cell_text(cell, pivoted) for cell in cells))
            for row, cells in zip(pivoted.rows, pivoted.cells, strict=True)
        ),
        left=frozenset(headers),
    )


def _pivot_group(
    arms: Sequence[ArmRecord], row_key: str, column_key: str, measure: Measure, settings: tuple[tuple[str, str], ...]
) -> Pivot:
    rows = _ordered(setting_value(arm.recipe, row_key) for arm in arms if _has(arm, row_key))
    columns = _ordered(setting_value(arm.recipe, column_key) for arm in arms if _has(arm, column_key))
    members: dict[tuple[str, str], list[ArmRecord]] = {}
    for arm in arms:
        members.setdefault((_label(arm, row_key), _label(arm, column_key)), []).append(arm)
    cells = tuple(
        tuple(_cell(members[row, column], measure) if (row, column) in members else None for column in columns)
        for row in rows
    )
    n_seeds = max(len(each) for each in members.values())
    return Pivot(measure, row_key, column_key, settings, rows, columns, cells, n_seeds)


def _cell(arms: Sequence[ArmRecord], measure: Measure) -> PivotCell:
    complete = [arm for arm in arms if arm.status == "complete"]
    others = tuple(arm.status for arm in arms if arm.status != "complete")
    if not complete and len(arms) == 1:
        # The only arm of its cell shows how far it came.
        return PivotCell(tuple(getattr(row, measure) for row in arms[0].epochs), 0, others)
    columns = zip(*([getattr(row, measure) for row in arm.epochs] for arm in complete), strict=False)
    return PivotCell(tuple(_mean(column) for column in columns), len(complete), others)


def _cell_json(cell: PivotCell) -> dict[str, Any]:
    values = [value if value is not None and math.isfinite(value) else None for value in cell.values]
    return {"values": values, "n": cell.n, "others": list(cell.others)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _cell_text(cell: PivotCell | None, pivoted: Pivot) -> str:
    if cell is None:
        return ""
    form = format_fraction if pivoted.measure == "val_accuracy" else format_loss
    text = ", ".join(form(value) for value in cell.values)
    remarks = []
    if cell.n != pivoted.n_seeds and cell.n > 0:
        remarks.append(f"n={cell.n}")
    remarks += [
        f"{count} {status}" if pivoted.n_seeds > 1 else status for status, count in Counter(cell.others).items()
    ]
    if not remarks:
        return text
    return f"{text} ({', '.join(remarks)})" if text else ", ".join(remarks)


def _rest(arm: ArmRecord, *keys: str) -> str:
    rest = {
        key: value
        for key, value in flat_settings(arm.recipe).items()
        if key != "seed" and not any(key == given or key.startswith(f"{given}.") for given in keys)
    }
    return json.dumps(rest, sort_keys=True)


def _differing_keys(groups: Sequence[str], pivot_keys: tuple[str, str]) -> list[str]:
    """Return the top-level keys in which groups differ, in the order in which recipes have them."""
    settings = [json.loads(group) for group in groups]
    keys = sorted({key for each in settings for key in each})
    differing = [key for key in keys if len({json.dumps(each.get(key)) for each in settings}) > 1]
    tops = []
    for key in differing:
        top = key.split(".")[0]
        # "optimizer" says it all, unless part of it is a row or column already.
        name = key if any(given.startswith(f"{top}.") for given in pivot_keys) else top
        if name not in tops:
            tops.append(name)
    return tops


def _describe_group(arm: ArmRecord, keys: Sequence[str], pivot_keys: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    described = []
    for key in keys:
        if key == "phases":
            before = flat_settings(arm.recipe).get("phases")
            described.append((key, f"after {describe_setting(before)}" if before else "one"))
        elif _has(arm, key):
            described.append((key, describe_setting(setting_value(arm.recipe, key))))
    return tuple(described)


def _check_key(key: str, record: RunRecord) -> None:
    if any(_has(arm, key) for arm in record.arms) and key != "phases":
        return
    known = {name for arm in record.arms for name in (*flat_settings(arm.recipe), *arm.recipe)} - {"phases"}
    inner = [name for name in sorted(known) if name.endswith(f".{key}")]
    near = f'; did you mean "{inner[0]}"?' if inner else closest(key, known) or ";"
    raise LedgerError(
        f'"{key}" is not a setting of the arms of {record.run}{near} the settings are {", ".join(sorted(known))}'
    )


def _has(arm: ArmRecord, key: str) -> bool:
    try:
        setting_value(arm.recipe, key)
    except KeyError:
        return False
    return True


def _label(arm: ArmRecord, key: str) -> str:
    return describe_setting(setting_value(arm.recipe, key)) if _has(arm, key) else "-"


def _ordered(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the labels of values: numbers ascending, anything else in the order of the study."""
    seen = list(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen):
        seen.sort()
    return tuple(dict.fromkeys(describe_setting(value) for value in seen))

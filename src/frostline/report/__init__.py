"""Results as tables: data first, drawing second."""

from __future__ import annotations

from frostline.quantities import format_fraction, format_loss, format_seconds
from frostline.report._arms import ArmLine, arm_lines, arms_table, data_notes
from frostline.report._backbones import backbones_table
from frostline.report._data import data_table
from frostline.report._draw import draw, make_console
from frostline.report._export import to_arrow, to_pandas, write_csv, write_parquet
from frostline.report._pivot import Pivot, PivotCell, pivot, pivot_table, varies
from frostline.report._plan import plan_tables
from frostline.report._predicted import predicted_table
from frostline.report._rates import rates_table
from frostline.report._runs import runs_table
from frostline.report._stages import StageLine, stage_lines, stages_table
from frostline.report._table import Table

__all__ = [
    "ArmLine",
    "Pivot",
    "PivotCell",
    "StageLine",
    "Table",
    "arm_lines",
    "arms_table",
    "backbones_table",
    "data_notes",
    "data_table",
    "draw",
    "format_fraction",
    "format_loss",
    "format_seconds",
    "make_console",
    "pivot",
    "pivot_table",
    "plan_tables",
    "predicted_table",
    "rates_table",
    "runs_table",
    "stage_lines",
    "stages_table",
    "to_arrow",
    "to_pandas",
    "varies",
    "write_csv",
    "write_parquet",
]

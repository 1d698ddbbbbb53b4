"""The table of backbones."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from frostline.models import BackboneLine
from frostline.report import Table, backbones_table, draw, make_console

if TYPE_CHECKING:
    import pytest

LINES = (
    BackboneLine("resnet18", 224, "here", 11_689_512, 3_628_146_688, True),
    BackboneLine("timm:sealed", 96, "download", 1_000, 2_000, False, "its graph can't be run"),
    BackboneLine("timm:odd", 96, "none", why_not="it ends in Conv2d"),
    BackboneLine("timm:new", 384, "download"),
)


def test_dashes_and_reasons() -> None:
    table = backbones_table(LINES)
    assert table.rows == (
        ("resnet18", "11,689,512", "3.6 G", "224", "yes", "here"),
        ("timm:sealed", "1,000", "2.0 k", "96", "no", "download"),
        ("timm:odd", "-", "-", "96", "unusable", "none"),
        ("timm:new", "-", "-", "384", "-", "download"),
    )
    assert table.notes[0] == "timm:sealed can't be cut, so it is trained uncut: its graph can't be run"
    assert table.notes[1] == "timm:odd can't be used: it ends in Conv2d"
    assert table.notes[2].startswith("1 backbone not measured yet (-): ")


def test_many_reasons_are_counted() -> None:
    table = backbones_table(LINES[1:2] * 15)
    assert len(table.notes) == 13
    assert table.notes[-1] == "3 more can't be cut; --json has the reasons"


def drawn(table: Table) -> str:
    file = io.StringIO()
    draw(table, make_console(file=file))
    return file.getvalue()


def test_a_long_table_is_drawn_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    table = backbones_table(LINES * 60)
    quickly = drawn(table)
    monkeypatch.setattr("frostline.report._draw._MANY", 10**6)
    assert quickly == drawn(table)

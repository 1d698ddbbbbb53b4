"""How fast this machine is, as it was measured for a backbone at an image size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.quantities import format_bytes
from frostline.report._table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["rates_table"]


def rates_table(measured: Mapping[str, Any]) -> Table:
    """Return what was measured of a backbone, given as JSON: see ``execution.Measured``."""
    rates = measured["rates"]
    rows = [
        ("images" if cut == "input" else cut, _per_second(forward), _per_second(train))
        for cut, forward, train in zip(measured["cuts"], rates["forward"], rates["train"], strict=True)
    ]
    setup = f", after {rates['setup']:.1f} s of compiling" if rates["setup"] else ""
    notes = [
        f"Frozen stages, images to head: {_per_second(rates['prefix'])} images a second by {rates['engine']}{setup}.",
        f"{rates['threads']} threads; the disk takes {format_bytes(rates['store'])} a second.",
    ]
    if rates["doubt"]:
        notes.append(f"Not certain: {rates['doubt']}. It is measured anew next time.")
    return Table(
        title=f"{measured['backbone']} at {measured['image_size']} pixels on this machine",
        columns=("from", "evaluated, images/s", "trained, images/s"),
        rows=tuple(rows),
        left=frozenset({"from"}),
        notes=tuple(notes),
    )


def _per_second(seconds: float) -> str:
    rate = 1 / max(seconds, 1e-12)
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"

"""What is measured of Frostline alone, beside a loop that does the same work and no more: a module for each part."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measuring import Session
    from benchmarks.rows import Row

__all__ = ["PARTS", "measure"]

PARTS = {
    "startup": "start-up",
    "profile": "where the starter's time goes on a machine that hasn't been measured yet",
    "pass-rate": "feature passes, beside OpenVINO's own loop on the same prefix and batch",
    "train-rate": "training on stored activations, beside a bare loop over a tensor in memory",
    "stacks": "64 and 512 heads trained together, beside one",
    "choices": "cached or recomputed: what the plan chose, and what both took",
    "predictions": "seconds predicted on a machine calibrated once, beside those measured",
    "scale": "time and memory as images grow",
    "opening": "a store of many rows: how long until its rows are found",
    "layouts": "training in the memory layout that the rule chooses on x86, against torch's own",
    "limit": "operations a second beside a large matrix product on the same threads",
}
"""The parts by name, with what they show."""


def measure(part: str, session: Session) -> list[Row]:
    """Return a part's rows."""
    rows: list[Row] = import_module(f"benchmarks.parts.{part.replace('-', '_')}").measure(session)
    return rows

"""Carries out a plan: feature passes, trajectories, the choice and its test, stored as it goes.

Importing this, or its events, imports no torch; running does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frostline.execution._checks import check_networks
    from frostline.execution._loading import load_arm
    from frostline.execution._planning import plan_study
    from frostline.execution._remeasuring import Measured, measure_anew
    from frostline.execution._run import run

__all__ = ["Measured", "check_networks", "load_arm", "measure_anew", "plan_study", "run"]

_WHERE = {
    "Measured": "_remeasuring",
    "check_networks": "_checks",
    "load_arm": "_loading",
    "measure_anew": "_remeasuring",
    "plan_study": "_planning",
    "run": "_run",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

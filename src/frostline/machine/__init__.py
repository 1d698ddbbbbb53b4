"""This machine measured: how fast its devices run and train parts of a network, and its disk; remembered by hardware.

Importing this imports no torch; measuring does, in a process of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frostline.machine._bench import Bench, how_it_ended
    from frostline.machine._calibration import Asked, known_rates, measure_rates, measured_cuts, rates_path, read_known
    from frostline.machine._engine_timing import Situation, prefix_cuts
    from frostline.machine._pipes import read_messages, take_output, write_message
    from frostline.machine._place import CPU, Place, may_have_accelerator

__all__ = [
    "CPU",
    "Asked",
    "Bench",
    "Place",
    "Situation",
    "how_it_ended",
    "known_rates",
    "may_have_accelerator",
    "measure_rates",
    "measured_cuts",
    "prefix_cuts",
    "rates_path",
    "read_known",
    "read_messages",
    "take_output",
    "write_message",
]

_WHERE = {
    "Asked": "_calibration",
    "Bench": "_bench",
    "CPU": "_place",
    "Place": "_place",
    "Situation": "_engine_timing",
    "how_it_ended": "_bench",
    "known_rates": "_calibration",
    "may_have_accelerator": "_place",
    "measure_rates": "_calibration",
    "measured_cuts": "_calibration",
    "prefix_cuts": "_engine_timing",
    "rates_path": "_calibration",
    "read_known": "_calibration",
    "read_messages": "_pipes",
    "take_output": "_pipes",
    "write_message": "_pipes",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

"""Frozen activations: run a prefix on an inference engine, store, verify, read in random batches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frostline.features._engines import EngineKey, Engines
from frostline.features._features import Features
from frostline.features._pass import BATCH_SIZE, PassReport, run_pass
from frostline.features._pruning import Entry
from frostline.features._quiet import import_openvino
from frostline.features._spec import FeatureSpec
from frostline.features._store import FeatureStore
from frostline.features._writing import halve_rows

if TYPE_CHECKING:
    from frostline.features._anew import EngineRequest, ready_engine, run_batches
    from frostline.features._device_errors import explaining
    from frostline.features._engine import ReadyEngine
    from frostline.features._precision import autocast, computing
    from frostline.features._rate import EngineRate, measure_engine
    from frostline.features._torch import run_frozen

__all__ = [
    "BATCH_SIZE",
    "EngineKey",
    "EngineRate",
    "EngineRequest",
    "Engines",
    "Entry",
    "FeatureSpec",
    "FeatureStore",
    "Features",
    "PassReport",
    "ReadyEngine",
    "autocast",
    "computing",
    "explaining",
    "halve_rows",
    "import_openvino",
    "measure_engine",
    "ready_engine",
    "run_batches",
    "run_frozen",
    "run_pass",
]


# What computes needs torch, which the store alone does not.
_WHERE = {
    "EngineRate": "_rate",
    "EngineRequest": "_anew",
    "ReadyEngine": "_engine",
    "autocast": "_precision",
    "computing": "_precision",
    "explaining": "_device_errors",
    "measure_engine": "_rate",
    "ready_engine": "_anew",
    "run_batches": "_anew",
    "run_frozen": "_torch",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

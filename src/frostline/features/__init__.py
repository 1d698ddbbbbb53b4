"""Frozen activations: run a prefix on an inference engine, store, verify, read in random batches."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frostline.features._engines import EngineKey, Engines
from frostline.features._features import Features
from frostline.features._pass import BATCH_SIZE, PassReport, run_pass
from frostline.features._quiet import import_openvino
from frostline.features._spec import FeatureSpec
from frostline.features._store import Entry, FeatureStore

if TYPE_CHECKING:
    from frostline.features._rate import EngineRate, measure_engine, measure_engines

__all__ = [
    "BATCH_SIZE",
    "EngineKey",
    "EngineRate",
    "Engines",
    "Entry",
    "FeatureSpec",
    "FeatureStore",
    "Features",
    "PassReport",
    "import_openvino",
    "measure_engine",
    "measure_engines",
    "run_pass",
]


def __getattr__(name: str) -> Any:
    # What measures needs torch, which the store alone does not.
    if name not in ("EngineRate", "measure_engine", "measure_engines"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("frostline.features._rate"), name)

"""Frozen activations: run a prefix on an inference engine, store, verify, read in random batches."""

from frostline.features._features import Features
from frostline.features._pass import PassReport, run_pass
from frostline.features._rate import engine_seconds
from frostline.features._spec import FeatureSpec
from frostline.features._store import Entry, FeatureStore

__all__ = ["Entry", "FeatureSpec", "FeatureStore", "Features", "PassReport", "engine_seconds", "run_pass"]

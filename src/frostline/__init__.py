"""Frostline: how much of a pretrained image network to retrain, with which optimizer, for how long, and at what cost.

The public library. Importing it loads neither torch nor any of the rooms; a name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from frostline._version import __version__

if TYPE_CHECKING:
    from frostline._run import run
    from frostline.artifacts import Predictions, TrainedArm
    from frostline.data import load_dataset
    from frostline.errors import FrostlineError
    from frostline.execution import check_networks, load_arm, plan_study
    from frostline.features import FeatureStore
    from frostline.ledger import Ledger, RunRecord, load_run
    from frostline.models import list_backbones
    from frostline.models.facts import backbone_facts
    from frostline.plan import Plan
    from frostline.report import to_arrow, to_pandas
    from frostline.study import Arm, Recipe, Study, builtin_studies, check_study, load_study

__all__ = [
    "Arm",
    "FeatureStore",
    "FrostlineError",
    "Ledger",
    "Plan",
    "Predictions",
    "Recipe",
    "RunRecord",
    "Study",
    "TrainedArm",
    "__version__",
    "backbone_facts",
    "builtin_studies",
    "check_networks",
    "check_study",
    "list_backbones",
    "load_arm",
    "load_dataset",
    "load_run",
    "load_study",
    "plan_study",
    "run",
    "to_arrow",
    "to_pandas",
]

_ROOMS = {
    "Arm": "study",
    "FeatureStore": "features",
    "FrostlineError": "errors",
    "Ledger": "ledger",
    "Plan": "plan",
    "Predictions": "artifacts",
    "Recipe": "study",
    "RunRecord": "ledger",
    "Study": "study",
    "TrainedArm": "artifacts",
    "backbone_facts": "models.facts",
    "builtin_studies": "study",
    "check_networks": "execution",
    "check_study": "study",
    "list_backbones": "models",
    "load_arm": "execution",
    "load_dataset": "data",
    "load_run": "ledger",
    "load_study": "study",
    "plan_study": "execution",
    "run": "_run",
    "to_arrow": "report",
    "to_pandas": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'frostline' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"frostline.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

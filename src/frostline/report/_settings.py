"""A recipe as flat settings, so that any of them can be a row, a column or a title."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from frostline.quantities import format_number_of, format_setting

__all__ = ["describe_setting", "flat_settings", "setting_value"]

# What a setting is when nothing is said about it; left out of descriptions.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "momentum": (0, None),
    "nesterov": (False, None),
    "weight_decay": (0, None),
    "stage_decay": (1, None),
    "dropout": (0, None),
    "hidden": ((), [], None),
}


def flat_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's settings under dotted keys (``optimizer.lr``); lists stay values.

    The last phase's settings stand at the top of a recipe; of ``phases`` only those before it are kept, and only
    where there are any, since an arm's epochs would otherwise count as a second difference.
    """
    settings: dict[str, Any] = {}
    for key, value in recipe.items():
        if key == "phases":
            if len(value) > 1:
                settings["phases"] = [_plain(phase) for phase in value[:-1]]
        else:
            _flatten(key, value, settings)
    return settings


def setting_value(recipe: Mapping[str, Any], key: str) -> Any:
    """Return what a recipe has under a dotted key, a table when it names one.

    Raises:
        KeyError: the recipe has no such key.
    """
    value: Any = recipe
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(key)
        value = value[part]
    return value


def describe_setting(value: Any) -> str:
    """Return a setting as one reads it: ``sgd 0.001 momentum 0.9``, ``4096-4096 dropout 0.5``, ``layer4``."""
    if isinstance(value, Mapping):
        return _describe_table(value)
    if isinstance(value, list | tuple):
        if value and all(isinstance(each, Mapping) for each in value):
            return ", then ".join(_describe_phase(each) for each in value)
        return "-".join(describe_setting(each) for each in value) or "none"
    if isinstance(value, float):
        return format_setting(value)
    return str(value)


def _describe_table(table: Mapping[str, Any]) -> str:
    words = []
    for key, value in table.items():
        neutral = _NEUTRAL.get(key, ())
        if key == "weight_decay" and table.get("name") == "adamw":
            neutral = (0.01, None)
        unused = key in {"step_epochs", "gamma"} and table.get("name") != "step"
        if unused or value in neutral:
            continue
        words.append(describe_setting(value) if key in {"name", "lr", "hidden"} else f"{key} {describe_setting(value)}")
    return " ".join(words) or "linear"


def _describe_phase(phase: Mapping[str, Any]) -> str:
    known = ("train_from", "epochs", "optimizer")
    words = [describe_setting(phase["train_from"])] if "epochs" in phase else []
    words += [format_number_of(phase["epochs"], "epoch")] if "epochs" in phase else []
    words += [describe_setting(phase["optimizer"])] if "optimizer" in phase else []
    words += [f"{key} {describe_setting(value)}" for key, value in phase.items() if key not in known]
    return " ".join(words)


def _flatten(key: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for inner, each in value.items():
            _flatten(f"{key}.{inner}", each, into)
    else:
        into[key] = _plain(value)


def _plain(value: Any) -> Any:
    # Recipes come from JSON or from Python: tuples and lists must compare equal.
    return json.loads(json.dumps(value))

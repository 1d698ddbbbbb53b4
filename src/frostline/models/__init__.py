"""Backbones as chains of stages: weights, naming, cutting at any frost line, heads, freezing.

Importing this imports no torch; the first use of what needs it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frostline.models._backbone import Backbone, load_backbone
    from frostline.models._chain import Chain, build_chain
    from frostline.models._freezing import freeze, frozen_digest
    from frostline.models._head import build_head
    from frostline.models._listing import BackboneLine, list_backbones
    from frostline.models._names import check_backbone, known_backbones
    from frostline.models._own import PY, OwnNetwork, find_own, use_networks
    from frostline.models._weights_at_hand import WEIGHTS_SUFFIXES, describe_weights
    from frostline.models.facts import BackboneFacts, CutFacts, StageFacts, backbone_facts

_WHERE = {
    "BackboneLine": "_listing",
    "list_backbones": "_listing",
    "PY": "_own",
    "OwnNetwork": "_own",
    "find_own": "_own",
    "use_networks": "_own",
    "WEIGHTS_SUFFIXES": "_weights_at_hand",
    "describe_weights": "_weights_at_hand",
    "Backbone": "_backbone",
    "Chain": "_chain",
    "build_chain": "_chain",
    "build_head": "_head",
    "freeze": "_freezing",
    "frozen_digest": "_freezing",
    "load_backbone": "_backbone",
    "BackboneFacts": "facts",
    "CutFacts": "facts",
    "StageFacts": "facts",
    "backbone_facts": "facts",
    "check_backbone": "_names",
    "known_backbones": "_names",
}

__all__ = [
    "PY",
    "WEIGHTS_SUFFIXES",
    "Backbone",
    "BackboneFacts",
    "BackboneLine",
    "Chain",
    "CutFacts",
    "OwnNetwork",
    "StageFacts",
    "backbone_facts",
    "build_chain",
    "build_head",
    "check_backbone",
    "describe_weights",
    "find_own",
    "freeze",
    "frozen_digest",
    "known_backbones",
    "list_backbones",
    "load_backbone",
    "use_networks",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

"""Where a network's own classifier is: what a new head replaces."""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import nn

from frostline.errors import ModelError

__all__ = ["first_linear", "isolate_classifier"]


def isolate_classifier(module: nn.Module, backbone: str) -> str:
    """Return the path of a network's own classifier, made into one module if it was the end of a longer sequence.

    It is the last linear layer, with the linear, activation and dropout layers right before it in the same sequence:
    ``fc`` of a ResNet, all of ``classifier`` of VGG-16, and of ConvNeXt's only what follows its normalisation.

    Raises:
        ModelError: the network has no linear classifier at its end, or several.
    """
    path = _last_linear(module, backbone)
    parent_path, _, name = path.rpartition(".")
    parent = module.get_submodule(parent_path)
    if not parent_path or type(parent) is not nn.Sequential:
        return path
    children = list(parent.named_children())
    if children[-1][0] != name:
        return path
    run = list(takewhile(lambda child: _belongs(child[1]), reversed(children)))[::-1]
    if len(run) == len(children):
        return parent_path
    if len(run) > 1:
        layers = nn.Sequential(*(layer for _, layer in run))
        for child, _ in run[1:]:
            delattr(parent, child)
        setattr(parent, run[0][0], layers)
    return f"{parent_path}.{run[0][0]}"


def first_linear(classifier: nn.Module) -> nn.Linear:
    """Return the first linear layer of a classifier, which takes the backbone's features [B,D]."""
    return next(layer for layer in classifier.modules() if isinstance(layer, nn.Linear))


def _last_linear(module: nn.Module, backbone: str) -> str:
    getter = getattr(module, "get_classifier", None)
    path = ""
    classifier = getter() if callable(getter) and not isinstance(getter, torch.Tensor) else None
    if classifier is None:  # torchvision: whatever is registered last
        weighted = [(n, m) for n, m in module.named_modules() if next(m.parameters(recurse=False), None) is not None]
        path, classifier = weighted[-1]
    elif isinstance(classifier, nn.Module):
        path = next((name for name, layer in module.named_modules() if layer is classifier), "")
    else:
        raise ModelError(
            f"backbone {backbone} has {len(classifier)} classifiers at once; Frostline replaces exactly one"
        )
    if not path or not isinstance(classifier, nn.Linear):
        kind = type(classifier).__name__
        raise ModelError(
            f"backbone {backbone} ends in {kind} {path or '(none)'}, not in a linear classifier, "
            "which is what a new head replaces"
        )
    return path


def _belongs(layer: nn.Module) -> bool:
    """Return whether a layer right before the last one is part of the classifier."""
    if isinstance(layer, (nn.Linear, nn.Dropout, nn.Identity)):
        return True
    return type(layer).__module__ == "torch.nn.modules.activation"

"""Where a network's own classifier is: what a new head replaces."""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import nn

from frostline.errors import ModelError

__all__ = ["find_classifier", "first_linear", "isolate_classifier"]


def find_classifier(module: nn.Module, backbone: str) -> tuple[str, ...]:
    """Return the paths of the layers that a new head replaces, in order.

    They are the last linear layer, with the linear, activation and dropout layers right before it in the same sequence:
    ``fc`` of a ResNet, all of ``classifier`` of VGG-16, and of ConvNeXt's only what follows its normalisation. A whole
    sequence is given by its own path.

    Raises:
        ModelError: the network has no linear classifier at its end, or several.
    """
    path = _last_linear(module, backbone)
    parent_path, _, name = path.rpartition(".")
    parent = module.get_submodule(parent_path)
    if not parent_path or type(parent) is not nn.Sequential:
        return (path,)
    children = list(parent.named_children())
    if children[-1][0] != name:
        return (path,)
    run = list(takewhile(lambda child: _belongs(child[1]), reversed(children)))[::-1]
    return (parent_path,) if len(run) == len(children) else tuple(f"{parent_path}.{child}" for child, _ in run)


def isolate_classifier(module: nn.Module, backbone: str) -> str:
    """Return the path of a network's own classifier, made into one module if it was the end of a longer sequence.

    Raises:
        ModelError: the network has no linear classifier at its end, or several.
    """
    paths = find_classifier(module, backbone)
    if len(paths) > 1:
        layers = nn.Sequential(*(module.get_submodule(path) for path in paths))
        for path in paths:
            owner, _, name = path.rpartition(".")
            delattr(module.get_submodule(owner), name)
        owner, _, name = paths[0].rpartition(".")
        module.get_submodule(owner).add_module(name, layers)
    return paths[0]


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
    layer = _only_linear(classifier)
    if not path or layer is None:
        kind = type(classifier).__name__
        raise ModelError(
            f"backbone {backbone} ends in {kind} {path or '(none)'}, not in a linear classifier, "
            "which is what a new head replaces"
        )
    return path + "".join(f".{name}" for name, inner in classifier.named_modules() if inner is layer and name)


def _only_linear(classifier: nn.Module) -> nn.Linear | None:
    """Return the last layer of a classifier where that is linear and no other one gives as many classes."""
    weighted = [m for m in classifier.modules() if next(m.parameters(recurse=False), None) is not None]
    last = weighted[-1] if weighted else None
    if not isinstance(last, nn.Linear):
        return None
    classes = [m for m in weighted if isinstance(m, nn.Linear) and m.out_features == last.out_features]
    return last if len(classes) == 1 else None


def _belongs(layer: nn.Module) -> bool:
    """Return whether a layer right before the last one is part of the classifier."""
    if isinstance(layer, (nn.Linear, nn.Dropout, nn.Identity)):
        return True
    return type(layer).__module__ == "torch.nn.modules.activation"

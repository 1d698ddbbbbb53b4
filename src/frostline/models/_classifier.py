"""Where a network's own classifier is: what a new head replaces."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from torch import nn

from frostline.errors import ModelError
from frostline.models._appending import append_head

__all__ = ["find_classifier", "isolate_classifier"]


@dataclass(frozen=True)
class _Classifier:
    """The layers of a classifier in order, and their kind.

    ``linear`` ends in a linear layer, ``convolution`` in a convolution of single pixels that is pooled afterwards,
    ``none`` is an identity in its place, and ``other`` is whatever timm's own interface removes: several classifiers,
    a convolution of what was pooled, or nothing.
    """

    kind: Literal["linear", "convolution", "none", "other"]
    paths: tuple[str, ...]


def find_classifier(module: nn.Module, backbone: str) -> tuple[str, ...]:
    """Return the paths of the layers that a new head replaces, in order.

    They are the last linear layer, with the linear, activation and dropout layers right before it in the same sequence:
    ``fc`` of a ResNet, all of ``classifier`` of VGG-16, and of ConvNeXt's only what follows its normalisation. A whole
    sequence is given by its own path.

    Raises:
        ModelError: the network has no classifier at its end that a new head could replace.
    """
    return _find(module, backbone).paths


def isolate_classifier(module: nn.Module, backbone: str) -> str:
    """Return the path of the one module that a new head replaces, which takes features [B,D] and returns [B,K].

    Where a network has no such module it is given one: a classifier that was the end of a longer sequence becomes one
    module, and one that can't be replaced in its place is removed, and an identity appended to the features.

    Raises:
        ModelError: the network has no classifier at its end that a new head could replace.
    """
    found = _find(module, backbone)
    if found.kind == "other":
        try:
            module.reset_classifier(0)  # type: ignore[operator]
        except Exception as error:  # the network's own code
            raise ModelError(f"backbone {backbone}: its classifiers can't be removed: {error!r}") from error
        return append_head(module)
    layers = [module.get_submodule(path) for path in found.paths]
    if found.kind == "convolution":
        pooled = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Identity())
        return f"{_replace(module, found.paths, nn.Sequential(pooled))}.fc"
    return found.paths[0] if len(layers) == 1 else _replace(module, found.paths, nn.Sequential(*layers))


def _find(module: nn.Module, backbone: str) -> _Classifier:
    if all(callable(getattr(module, name, None)) for name in ("get_classifier", "reset_classifier")):
        return _find_in_timm(module)
    # torchvision's, and anyone's own: whatever is registered last
    weighted = [(name, layer) for name, layer in module.named_modules() if _has_weights(layer)]
    path, layer = weighted[-1] if weighted else ("", module)
    if path and isinstance(layer, nn.Linear):
        return _Classifier("linear", _widened(module, path))
    if path and isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
        rest = _rest_of_sequence(module, path)
        if rest:
            return _Classifier("convolution", rest)
    kind = type(layer).__name__
    raise ModelError(
        f"backbone {backbone} ends in {kind} {path or '(none)'}, not in a linear classifier, "
        "which is what a new head replaces"
    )


def _find_in_timm(module: nn.Module) -> _Classifier:
    classifier: Any = module.get_classifier()  # type: ignore[operator]
    names = (getattr(module, "pretrained_cfg", None) or {}).get("classifier")
    several = names if isinstance(names, (tuple, list)) else ()
    modules = dict(module.named_modules())
    if not several and isinstance(classifier, nn.Module):
        path = next((name for name, layer in modules.items() if layer is classifier), "")
        if type(classifier) is nn.Identity:
            return _Classifier("none", (path,))
        last = [layer for layer in classifier.modules() if _has_weights(layer)]
        widest = [
            m for m in last if isinstance(m, nn.Linear) and m.out_features == getattr(last[-1], "out_features", None)
        ]
        if len(widest) == 1 and widest[0] is last[-1]:
            inner = next(name for name, layer in classifier.named_modules() if layer is last[-1])
            full = ".".join(filter(None, (path, inner)))
            # The projection of an attention pool is applied to every position, before one of them is taken.
            if not isinstance(module.get_submodule(full.rpartition(".")[0]), _attention_pools()):
                return _Classifier("linear", _widened(module, full))
    own = classifier if isinstance(classifier, (tuple, list)) else (classifier,)
    paths = [name for name, layer in modules.items() if any(layer is one for one in own)]
    return _Classifier("other", tuple(dict.fromkeys((*several, *paths))))


def _attention_pools() -> tuple[type[nn.Module], ...]:
    from timm.layers import AttentionPool2d, RotAttentionPool2d

    return AttentionPool2d, RotAttentionPool2d


def _widened(module: nn.Module, path: str) -> tuple[str, ...]:
    """Return the path of a linear layer with those of the layers before it that belong to the same classifier."""
    parent_path, _, name = path.rpartition(".")
    parent = module.get_submodule(parent_path)
    if not parent_path or type(parent) is not nn.Sequential:
        return (path,)
    children = list(parent.named_children())
    if children[-1][0] != name:
        return (path,)
    run = list(takewhile(lambda child: _belongs(child[1]), reversed(children)))[::-1]
    return (parent_path,) if len(run) == len(children) else tuple(f"{parent_path}.{child}" for child, _ in run)


def _rest_of_sequence(module: nn.Module, path: str) -> tuple[str, ...]:
    """Return the path of a layer with those after it in the same sequence, which have no weights; else nothing."""
    parent_path, _, name = path.rpartition(".")
    parent = module.get_submodule(parent_path)
    if type(parent) is not nn.Sequential:
        return ()
    names = list(parent._modules)
    return tuple(f"{parent_path}.{later}" if parent_path else later for later in names[names.index(name) :])


def _replace(module: nn.Module, paths: tuple[str, ...], layer: nn.Module) -> str:
    """Put one layer in place of several that follow one another, the others becoming identities; return its path.

    It takes the last one's place, as timm's PoolFormer calls the layers of its head by name.
    """
    for path in paths:
        owner, _, name = path.rpartition(".")
        setattr(module.get_submodule(owner), name, layer if path == paths[-1] else nn.Identity())
    return paths[-1]


def _has_weights(layer: nn.Module) -> bool:
    return next(layer.parameters(recurse=False), None) is not None


def _belongs(layer: nn.Module) -> bool:
    """Return whether a layer right before the last one is part of the classifier."""
    if isinstance(layer, (nn.Linear, nn.Dropout, nn.Identity)):
        return True
    return type(layer).__module__ == "torch.nn.modules.activation"

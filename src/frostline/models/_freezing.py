"""Freezing that freezes: no gradients, and layers that stay in eval mode whoever calls ``train()``."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Literal, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from frostline.models._weights import digest_tensors

if TYPE_CHECKING:
    import torch

    from frostline.models._chain import Chain

__all__ = ["freeze", "frozen_digest"]

Norm = Literal["stored", "batch"]
M = TypeVar("M", bound=nn.Module)


def freeze(module: M, chain: Chain, train_from: str, frozen_norm: Norm = "stored", tail_norm: Norm = "batch") -> M:
    """Freeze what runs before a place, free the rest, and return the module.

    Args:
        module: ``chain.model`` or one of the chain's tails; the model is frozen in the same way in either case. An
            earlier freeze is forgotten.
        chain: the network it belongs to.
        train_from: where training starts.
        frozen_norm: ``stored`` keeps frozen BatchNorm on its stored statistics; ``batch`` lets it normalise by each
            batch and move its statistics, the way a notebook does that only sets ``requires_grad``.
        tail_norm: ``batch`` trains as usual; ``stored`` keeps BatchNorm after the place on its stored statistics too.

    A frozen layer's ``train()`` leaves it in eval mode, so that a loop may call ``train()`` and ``eval()`` freely.

    Raises:
        ModelError: there is no such place.
    """
    trained = set(chain.trained(train_from))
    frozen = set(chain.frozen_modules(train_from))
    for name, parameter in chain.model.named_parameters():
        parameter.requires_grad_(name in trained)
        if name not in trained:
            parameter.grad = None
    mode = module.training
    for root in (chain.model, module):
        for path, layer in root.named_modules():
            layer.__dict__.pop("train", None)
            norm = isinstance(layer, _NormBase)
            policy = frozen_norm if path in frozen else tail_norm
            if (norm and policy == "stored") or (path in frozen and not norm):
                layer.__dict__["train"] = MethodType(_stay_frozen, layer)
    chain.model.train(mode)
    module.train(mode)
    return module


def frozen_digest(module: nn.Module, chain: Chain, train_from: str, frozen_norm: Norm = "stored") -> str:
    """Return the SHA-256, in hex, of every frozen parameter and buffer of the whole network.

    With ``frozen_norm="batch"`` the buffers of BatchNorm are left out, as they are meant to move.
    """
    trained = set(chain.trained(train_from))
    frozen = set(chain.frozen_modules(train_from))
    tensors: dict[str, torch.Tensor] = {}
    for root in (chain.model, module):
        tensors.update((name, p) for name, p in root.named_parameters() if name not in trained)
        for path, layer in root.named_modules():
            if path in frozen and not (frozen_norm == "batch" and isinstance(layer, _NormBase)):
                prefix = f"{path}." if path else ""
                tensors.update((prefix + name, buffer) for name, buffer in layer.named_buffers(recurse=False))
    return digest_tensors(tensors)


def _stay_frozen(self: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for a frozen module's ``train``: eval mode for itself, the mode asked for its children to decide on."""
    self.training = False
    for child in self.children():
        child.train(mode)
    return self

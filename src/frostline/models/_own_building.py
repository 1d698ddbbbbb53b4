"""Networks as the user's own functions build them."""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
import warnings
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from frostline.errors import ModelError
from frostline.models._own import import_function
from frostline.streams import torch_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.models._own import OwnNetwork

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Expected", "build_own", "digest_built", "expected_images"]

Interpolation = Literal["bilinear", "bicubic", "nearest"]

USUAL_PIXELS = 224
_VERSIONED = {"builtins", "torch", "torchvision", "timm"}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of ImageNet's training images, in [0, 1]: what nearly every published network is trained with."""


class Expected(NamedTuple):
    """What a network expects of images."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation


@torch_stream()
def build_own(own: OwnNetwork, image_size: int, build: Callable[[], object] | None = None) -> nn.Module:
    """Return what the user's function builds: a copy, in float32 and on the CPU. No generator is moved.

    Args:
        own: which function that is.
        image_size: in pixels, for a function that takes it.
        build: calls it in another way, as timm does with what is registered with it.

    Raises:
        ModelError: the function fails, needs other arguments, or returns something else than a network.
    """
    if build is None:
        function = own.function or import_function(str(own.reference))
        if isinstance(function, nn.Module):
            raise _error(own, "is a network, not a function that builds one: give a function without arguments")
        build = partial(function, **_arguments(own, function, image_size))
    with warnings.catch_warnings(), torch.device("cpu"):
        warnings.simplefilter("ignore")  # about the user's code, not about this run
        try:
            built = build()
        except ModelError:
            raise
        except Exception as error:  # the user's code
            text = str(error).strip().splitlines()
            reason = f"{type(error).__name__}{f': {text[0]}' if text else ''}"
            raise _error(own, f"its function raised {reason}") from error
    if not isinstance(built, nn.Module):
        raise _error(own, f"its function returned {type(built).__name__}, where a torch.nn.Module is needed")
    if any(is_lazy(p) for p in (*built.parameters(), *built.buffers())):
        raise _error(own, "has layers whose shape isn't known yet (torch.nn.Lazy..): have its function run it once")
    if next(built.parameters(), None) is None:
        raise _error(own, "has no parameters")
    try:
        return copy.deepcopy(built).cpu().float()
    except Exception as error:  # e.g. the result of a computation that is kept as an attribute
        raise _error(own, f"can't be copied: {str(error).splitlines()[0]}") from error


def digest_built(own: OwnNetwork) -> str:
    """Return the hex digest of a function's code, of the layers that it builds, and of the code of their classes.

    Not of the numbers in them, nor of the code of torch, torchvision and timm, which have versions.
    """
    digest = hashlib.sha256()
    function: Any = own.function
    while isinstance(function, partial):
        digest.update(repr((function.args, sorted(function.keywords.items()))).encode())
        function = function.func
    _digest_code(getattr(inspect.unwrap(function), "__code__", None), digest)
    try:
        network = build_own(own, USUAL_PIXELS) if not own.registered else _call_registered(own)
    except ModelError:  # told where it is built for the study's images; it may not be for these
        return digest.hexdigest()
    # Without the addresses in memory that some layers print.
    digest.update(re.sub(r" at 0x[0-9a-f]+", "", repr(network)).encode())
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
    for kind in dict.fromkeys(parent for layer in network.modules() for parent in type(layer).__mro__):
        if kind.__module__.split(".")[0] not in _VERSIONED:
            for name, member in sorted(vars(kind).items()):
                digest.update(name.encode())
                _digest_code(getattr(member, "__code__", None), digest)
    return digest.hexdigest()


def expected_images(network: nn.Module) -> Expected:
    """Return what a network says of its images, as timm's do in ``pretrained_cfg`` or ``default_cfg``.

    Else ImageNet's usual mean and standard deviation, and bilinear interpolation.
    """
    for name in ("pretrained_cfg", "default_cfg"):
        cfg = getattr(network, name, None)
        mean, std = _three(_setting(cfg, "mean")), _three(_setting(cfg, "std"))
        if mean and std:
            interpolation = _setting(cfg, "interpolation")
            usual: Interpolation = "bicubic" if interpolation == "bicubic" else "bilinear"
            return Expected(mean, std, "nearest" if interpolation == "nearest" else usual)
    return Expected(IMAGENET_MEAN, IMAGENET_STD, "bilinear")


def _call_registered(own: OwnNetwork) -> nn.Module:
    import timm

    return build_own(own, USUAL_PIXELS, lambda: timm.create_model(own.name.partition(":")[2]))


def _digest_code(code: CodeType | None, digest: hashlib._Hash) -> None:
    """Add what a function does to a digest: its instructions, not their lines."""
    if code is None:
        return
    digest.update(code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _digest_code(constant, digest)
        else:
            digest.update(repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant).encode())


def _arguments(own: OwnNetwork, function: Any, image_size: int) -> dict[str, int]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # one of C
        return {}
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "image_size"
    ]
    if needed:
        raise _error(
            own, f"its function needs {', '.join(needed)}: it is called without arguments, or with image_size alone"
        )
    return {"image_size": image_size} if any(p.name == "image_size" for p in parameters) else {}


def _setting(cfg: object, key: str) -> Any:
    return cfg.get(key) if isinstance(cfg, dict) else getattr(cfg, key, None)


def _three(values: Any) -> tuple[float, float, float] | None:
    try:
        first, second, third = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return (first, second, third)


def _error(own: OwnNetwork, message: str) -> ModelError:
    where = f" ({own.reference})" if own.reference and own.reference != own.name else ""
    return ModelError(f"backbone {own.name}{where}: {message}")

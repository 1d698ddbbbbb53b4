"""Weights: a library's own, a local file, the data-only package of EfficientNet-Lite0, or random ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from frostline.errors import WeightsError, closest
from frostline.models._classifier import find_classifier
from frostline.models._downloads import build_pretrained
from frostline.models._names import TIMM
from frostline.models._weights_at_hand import LITE0, WEIGHTS_SUFFIXES, lite0_file

if TYPE_CHECKING:
    from torch import nn

    from frostline.models._sources import Source

__all__ = ["digest_tensors", "load_network", "read_tensors"]


def load_network(source: Source, weights: str) -> tuple[nn.Module, str]:
    """Return a network with its weights, in eval mode, and where they came from.

    Args:
        source: the backbone.
        weights: ``default``, ``none``, or the path of a ``.safetensors`` or ``.pth`` file with the network's own names.

    Raises:
        WeightsError: weights that can't be had, are damaged, or are of another network.
    """
    if weights == "none":
        return source.build_random().eval(), "random"
    if weights == "default":
        packaged = lite0_file() if source.backbone == LITE0 else None
        if packaged is None:
            return build_pretrained(source).eval(), str(source.hub or source.url)
        module = source.build_random()
        _load_in_order(module, read_tensors(packaged), packaged)
        return module.eval(), str(packaged)
    path = Path(weights).expanduser()
    tensors = read_tensors(path)
    module = source.build_random()
    try:
        _load_by_name(module, tensors, path, source.backbone)
    except WeightsError:
        # timm's own files may need timm's own reader: other names, or positions for another image size.
        converted = source.build_from_file(path) if source.backbone.startswith(TIMM) else None
        if converted is None:
            raise
        module = converted
    return module.eval(), str(path)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors`` or ``.pth`` file by name; code in a ``.pth`` is never run.

    Raises:
        WeightsError: the file is absent, of another kind, damaged, or holds other things than named tensors.
    """
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise WeightsError(
            f'weights "{path}": must be "default", "none", or a file ending in {" or ".join(WEIGHTS_SUFFIXES)}'
        )
    if not path.is_file():
        raise WeightsError(f'weights "{path}": there is no such file')
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own errors for a damaged file, and torch's are many
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise WeightsError(f'weights "{path}": can\'t be read as named tensors: {reason}') from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f'weights "{path}": holds other things than tensors by name, so it is no state_dict')
    return {str(name): value for name, value in state.items()}


def digest_tensors(tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256, in hex, of tensors with their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}:".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_by_name(module: nn.Module, given: dict[str, torch.Tensor], path: Path, backbone: str) -> None:
    """Load tensors with the network's own names; its classifier may be absent or of other classes: it is replaced."""
    heads = tuple(f"{head}." for head in find_classifier(module, backbone))
    own = module.state_dict()
    fits = {name for name in own if name in given and given[name].shape == own[name].shape}
    wanted = [name for name in own if not name.startswith(heads)]
    given = {name: tensor for name, tensor in given.items() if name in fits or not name.startswith(heads)}
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in own]
    if missing or unknown:
        what = f"lacks {_few(missing)}" if missing else f"has {_few(unknown)}, which the network lacks"
        hint = closest(missing[0], unknown) if missing and unknown else ""
        raise WeightsError(f'weights "{path}" are not of {backbone}: the file {what}{hint}')
    _copy(module, given, f'weights "{path}" are not of {backbone}')


def _load_in_order(module: nn.Module, given: dict[str, torch.Tensor], path: Path) -> None:
    """Load tensors whose names are another implementation's, but whose order is the network's."""
    names = list(module.state_dict())
    if len(names) != len(given):
        raise WeightsError(f'weights "{path}": {len(given)} tensors, where {LITE0} has {len(names)}')
    _copy(module, dict(zip(names, given.values(), strict=True)), f'weights "{path}"')


def _copy(module: nn.Module, given: dict[str, torch.Tensor], what: str) -> None:
    own = module.state_dict()
    for name, tensor in given.items():
        if own[name].shape != tensor.shape:
            raise WeightsError(f"{what}: {name} has shape {list(tensor.shape)}, not {list(own[name].shape)}")
    module.load_state_dict(given, strict=False)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

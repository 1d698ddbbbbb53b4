"""Weights: a library's own, a local file, the data-only package of EfficientNet-Lite0, or random ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from frostline.errors import WeightsError
from frostline.models._classifier import find_classifier
from frostline.models._downloads import build_pretrained
from frostline.models._matching import check_values, few, find_prefix, match_tensors
from frostline.models._names import TIMM
from frostline.models._weights_at_hand import LITE0, lite0_file
from frostline.models._weights_file import read_weights_file

if TYPE_CHECKING:
    from torch import nn

    from frostline.models._sources import NetworkSource
    from frostline.models._weights_file import WeightsFile

__all__ = ["LoadedNetwork", "digest_tensors", "load_network"]


class LoadedNetwork(NamedTuple):
    """A network with its weights, in eval mode, where they came from, and what there is to say about them."""

    module: nn.Module
    weights_from: str
    notes: tuple[str, ...] = ()


def load_network(source: NetworkSource, weights: str, weights_key: str | None = None) -> LoadedNetwork:
    """Return a network with its weights.

    Args:
        source: the backbone.
        weights: ``default``, ``none``, or the path of a file of tensors by name.
        weights_key: which tensors of the file, where it holds several sets.

    Raises:
        WeightsError: weights that can't be had, are damaged, or are of another network.
    """
    as_built = source.own is not None and source.url is None and source.hub is None
    if weights == "none" or (weights == "default" and as_built):
        return LoadedNetwork(source.build_random().eval(), "its function" if as_built else "random")
    if weights == "default":
        packaged = lite0_file() if source.backbone == LITE0 else None
        if packaged is None:
            return LoadedNetwork(build_pretrained(source).eval(), str(source.hub or source.url))
        module = source.build_random()
        _load_in_order(module, read_weights_file(packaged).tensors, packaged)
        return LoadedNetwork(module.eval(), str(packaged))
    path = Path(weights).expanduser()
    file = read_weights_file(path, weights_key)
    module, notes = _load_file(source, file, path)
    shown = f"{path} ({file.key})" if file.key else str(path)
    said = tuple(f'weights "{path}": {note}' for note in (*file.notes, *notes))
    return LoadedNetwork(module.eval(), shown, said)


def digest_tensors(tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256, in hex, of tensors with their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}:".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_file(source: NetworkSource, file: WeightsFile, path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a network with the tensors of a file, and what was left out of it."""
    module = source.build_random()
    own = module.state_dict()
    heads = tuple(f"{head}." for head in find_classifier(module, source.backbone))
    try:
        matched = match_tensors(file.tensors, own, heads)
    except WeightsError as error:
        # timm's own files may need timm's own reader: other names, or positions for another image size.
        converted = _convert(source, file.tensors, own, heads, path) if source.backbone.startswith(TIMM) else None
        if converted is None:
            raise WeightsError(f'weights "{path}" do not fit {source.backbone}: the file {error}') from error
        return converted, ()
    _fill(module, _checked(matched.tensors, own, path))
    beside = [name for name in matched.left_out if not name.endswith("num_batches_tracked")]
    return module, (f"left out, as {source.backbone} doesn't use them: {few(beside)}",) if beside else ()


def _convert(
    source: NetworkSource,
    given: dict[str, torch.Tensor],
    own: dict[str, torch.Tensor],
    heads: tuple[str, ...],
    path: Path,
) -> nn.Module | None:
    """Return a network as its library reads a file's tensors; None where it has no way, or this is another network."""
    prefix = find_prefix(given, own, heads)
    bare = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    tensors = _checked(bare, own, path)
    for name, tensor in own.items():
        if name.startswith(heads) and (name not in tensors or tensors[name].shape != tensor.shape):
            tensors[name] = tensor  # a classifier of other classes; it is replaced
    return source.build_from_tensors(tensors)


def _checked(tensors: dict[str, torch.Tensor], own: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    try:
        return check_values(tensors, own)
    except WeightsError as error:
        raise WeightsError(f'weights "{path}": the file {error}') from error


def _load_in_order(module: nn.Module, given: dict[str, torch.Tensor], path: Path) -> None:
    """Load tensors whose names are another implementation's, but whose order is the network's."""
    own = module.state_dict()
    if len(own) != len(given):
        raise WeightsError(f'weights "{path}": {len(given)} tensors, where {LITE0} has {len(own)}')
    tensors = dict(zip(own, given.values(), strict=True))
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise WeightsError(f'weights "{path}": {name} has shape {list(tensor.shape)}, not {list(own[name].shape)}')
    _fill(module, tensors)


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Copy tensors of the right names and shapes into a network, whatever version of its code they were saved by."""
    own = module.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)

"""Which tensor of a file belongs to which of a network's, whatever the program that saved it put before their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from frostline.errors import WeightsError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Matched", "check_values", "few", "find_prefix", "match_tensors"]

_WRAPPERS = {"module", "model", "backbone", "encoder", "net", "network", "_orig_mod"}
"""What wraps a network in training programs: its tensors' names begin with these, also one after the other."""

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""The second classifiers of GoogLeNet and Inception, which only serve to train them from nothing."""

_FEW = 3

_CLASSIFIERS = {"fc", "head", "heads", "classifier", "last_linear"}

# Names that torchvision's own files have and its networks had: old, new, and which networks have the new ones.
_RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2", re.compile(r"denselayer\d+\.norm1\.")),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0.", re.compile(r"encoder_layer_\d+\.mlp\.0\.")),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3.", re.compile(r"encoder_layer_\d+\.mlp\.3\.")),
)


@dataclass(frozen=True)
class Matched:
    """A file's tensors by the network's names, the beginning that was taken off them, and what was left out."""

    tensors: dict[str, torch.Tensor]
    prefix: str
    left_out: tuple[str, ...]


def match_tensors(
    given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], heads: tuple[str, ...]
) -> Matched:
    """Return a file's tensors by a network's own names.

    The classifier (``heads`` begin its names) may be absent or of other classes: it is replaced. So may whole-number
    buffers, such as ``num_batches_tracked`` and index tables, which keep the network's own. What the file has beside
    the network is left out; what it has more within the network, or less, makes it another network's.

    Raises:
        WeightsError: it is; the message has the names, a few of each kind, without saying which file.
    """
    given = _rename(given, own)
    wanted = _wanted(own, heads)
    prefix = find_prefix(given, own, heads)
    inside = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    fits = {name for name, tensor in own.items() if name in inside and inside[name].shape == tensor.shape}
    headless = not any(name in fits for name in own if name.startswith(heads))
    needless = {
        name
        for name in inside
        if (name.startswith(heads) and name not in fits)
        or (name not in own and name.startswith(_AUXILIARY))
        or (name not in own and name.endswith("num_batches_tracked"))
        or (name not in own and headless and name.split(".")[0] in _CLASSIFIERS)
    }
    missing = [name for name in wanted if name not in inside]
    unknown = [name for name in inside if name not in own and name not in needless]
    if missing or unknown:
        what = f"lacks {few(missing)}" if missing else f"has {few(unknown)}, which the network lacks"
        # Where much is missing it is another network, and similar names mean nothing.
        raise WeightsError(what + (closest(missing[0], unknown) if 0 < len(missing) <= _FEW else ""))
    other = [
        f"{name} has shape {list(inside[name].shape)}, not {list(own[name].shape)}"
        for name in own
        if name in inside and name not in fits and name not in needless
    ]
    if other:
        raise WeightsError(f"holds tensors of other shapes: {few(other, '; ')}")
    left_out = [name for name in given if not name.startswith(prefix)] + [prefix + name for name in sorted(needless)]
    tensors = {name: tensor for name, tensor in inside.items() if name not in needless}
    return Matched(tensors, prefix, tuple(left_out))


def find_prefix(given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], heads: tuple[str, ...]) -> str:
    """Return what a file has before a network's names: the beginning with which it has most of them.

    Raises:
        WeightsError: it has the whole network under several.
    """
    names, counts = set(_wanted(own, heads)), {"": 0}
    for name in given:
        start = 0
        while start >= 0:
            if name[start:] in names:
                counts[name[:start]] = counts.get(name[:start], 0) + 1
            start = name.find(".", start) + 1 or -1
    whole = [prefix for prefix, count in counts.items() if count == len(names)]
    usual = [prefix for prefix in whole if set(prefix.split(".")[:-1]) <= _WRAPPERS]
    if len(whole) > 1 and len(usual) != 1:
        keys = ", ".join(f'"{prefix.removesuffix(".")}"' for prefix in whole if prefix)
        raise WeightsError(f"holds the network several times ({keys}): choose one of these as weights_key")
    return (usual if len(whole) > 1 else whole or [max(counts, key=lambda prefix: counts[prefix])])[0]


def check_values(tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors in the network's own kinds of numbers: halves and doubles become float32.

    Raises:
        WeightsError: some are quantised, sparse, or hold NaN or infinite values; the message names a few.
    """
    values: dict[str, torch.Tensor] = {}
    odd: list[str] = []
    endless: list[str] = []
    for name, tensor in tensors.items():
        kind = own[name].dtype if name in own else torch.float32 if tensor.is_floating_point() else tensor.dtype
        if not _has_numbers(tensor, kind):
            odd.append(f"{name} ({str(tensor.dtype).removeprefix('torch.')})")
            continue
        values[name] = tensor.detach().to(kind)
        if kind.is_floating_point and not bool(values[name].isfinite().all()):
            endless.append(name)
    if odd:
        raise WeightsError(f"holds quantised, sparse or otherwise packed tensors: {few(odd)}; save them as float32")
    if endless:
        raise WeightsError(f"holds NaN or infinite values: {few(endless)}; use one from before training diverged")
    return values


def few(names: Iterable[str], between: str = ", ") -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    return between.join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _wanted(own: Mapping[str, torch.Tensor], heads: tuple[str, ...]) -> list[str]:
    """Return the names of what a file must have: all numbers but the classifier's."""
    return [name for name, tensor in own.items() if tensor.is_floating_point() and not name.startswith(heads)]


def _has_numbers(tensor: torch.Tensor, wanted: torch.dtype) -> bool:
    if tensor.is_quantized or tensor.layout != torch.strided or tensor.is_complex() or tensor.is_meta:
        return False
    # A single byte holds no usable number without a scale that is kept elsewhere.
    return not wanted.is_floating_point or (tensor.is_floating_point() and tensor.element_size() > 1)


def _rename(given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    rules = [(old, new) for old, new, has in _RENAMED if any(has.search(name) for name in own)]
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in given.items():
        for old, new in rules:
            name = old.sub(new, name)
        renamed[name] = tensor
    return renamed

"""Files of weights as people have them: tensors by name, out of whatever was saved with them. Their code never runs."""

from __future__ import annotations

import argparse
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from frostline.errors import WeightsError, closest
from frostline.models._weights_at_hand import WEIGHTS_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WeightsFile", "read_weights_file"]

PLAIN_KEYS = ("state_dict", "model", "model_state_dict", "net", "network", "model_state", "weights", "params", "module")
"""Under which training programs keep the weights as they were trained."""

EMA_KEYS = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "ema_model", "params_ema", "model_ema_state_dict")
"""Under which they keep the exponential moving average of the weights."""

# What checkpoints hold beside tensors that only carries values: options, and scores as NumPy's numbers.
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # as NumPy 1 wrote it
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]
_DEEPEST = 4
_NO_CODE = (
    "which Frostline never runs; where it was made, save the tensors alone: "
    'torch.save(model.state_dict(), "weights.pth")'
)


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of a file by name, the key under which they are in it (empty for all of it), and what to say."""

    tensors: dict[str, torch.Tensor]
    key: str = ""
    notes: tuple[str, ...] = field(default=())


def read_weights_file(path: Path, key: str | None = None) -> WeightsFile:
    """Return one set of tensors of a file, on the CPU.

    Args:
        path: of any of the suffixes of ``WEIGHTS_SUFFIXES``.
        key: which set it is, in a file that holds several: ``model_ema``, or how its names begin, ``student.backbone``;
            left out, the plain weights.

    Raises:
        WeightsError: the file is absent, of another kind, damaged, needs code to be read, has no such key, or holds
            several sets of tensors none of which is known to be the plain one.
    """
    if not path.name.endswith(WEIGHTS_SUFFIXES):
        raise WeightsError(f'weights "{path}": must be "default", "none", or a file ending in {_either()}')
    if not path.is_file():
        raise WeightsError(f'weights "{path}": there is no such file')
    content = _read(path)
    tables = dict(_tables(content))
    if not tables:
        raise WeightsError(f'weights "{path}": holds no tensors by name, so it is not a state_dict')
    if key is not None:
        return WeightsFile(_under(key, tables, path), key)
    chosen = _choose(tables, path)
    averages = [name for name in tables if name != chosen and _is_average(name)]
    notes = [f'the tensors under "{chosen}" are used'] if len(tables) > 1 else []
    if _is_average(chosen):
        notes = [f'the tensors under "{chosen}", which are averaged (EMA), are used: the file has no plain ones']
    elif averages:
        notes.append(f'averaged ones (EMA) are under "{averages[0]}": weights_key = "{averages[0]}" uses them')
    return WeightsFile(tables[chosen], chosen, tuple(notes))


def _read(path: Path) -> object:
    with path.open("rb") as file:
        head = file.read(64)
    kinds = {
        b"": "is empty",
        b"version https://git-lfs": "is a Git LFS pointer, not the file itself: run git lfs pull",
        b"<": "is a web page, not the file itself: download it again",
    }
    for beginning, what in kinds.items():
        if head.lstrip().startswith(beginning) and (beginning or not head):
            raise WeightsError(f'weights "{path}": {what}')
    try:
        if head[8:9] == b"{":  # whatever its name says, this is how safetensors begins
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")  # about old formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own errors for a damaged file, and torch's are many
        reason = _reason(str(error), is_pickle=head.startswith(b"\x80"))
        raise WeightsError(f'weights "{path}": {reason}') from error


def _reason(text: str, is_pickle: bool) -> str:
    """Return why a file can't be read: torch's own texts have colours, several lines, and advice to run its code."""
    if "TorchScript" in text:
        return f"is a TorchScript archive, which holds code, {_NO_CODE}"
    unknown = re.search(r"GLOBAL `?([\w.]+)", text) or re.search(r"Trying to load unsupported \w+ ([\w.]+)", text)
    if unknown:
        return f"can't be read without code ({unknown[1]}), {_NO_CODE}"
    if "Unsupported operand" in text and is_pickle:
        return f"is a pickle that may need code to be read, {_NO_CODE}"
    return "can't be read as tensors by name: it is damaged, cut off, or another kind of file"


def _tables(value: object, path: str = "", depth: int = 0) -> list[tuple[str, dict[str, torch.Tensor]]]:
    """Return every set of tensors by name, innermost dictionaries first, each with the keys that lead to it."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return []
    found: list[tuple[str, dict[str, torch.Tensor]]] = []
    for key, inner in value.items():
        if isinstance(key, str) and not key.startswith("optim") and isinstance(inner, dict):
            found += _tables(inner, f"{path}.{key}" if path else key, depth + 1)
    tensors = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, torch.Tensor)}
    # Beside whole sets a few tensors are what the program counted; a few within a set are something of a layer's.
    if len(tensors) > max((len(inner) for _, inner in found), default=0):
        return [(path, tensors)]
    return found


def _choose(tables: dict[str, dict[str, torch.Tensor]], path: Path) -> str:
    """Return the key of the plain weights."""
    plain = [name for name in tables if name.split(".")[0] in PLAIN_KEYS and not _is_average(name)]
    others = [name for name in tables if not _is_average(name)]
    for candidates in (plain, others, list(tables)):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            break
    keys = ", ".join(f'"{name}"' for name in candidates[:6])
    raise WeightsError(
        f'weights "{path}": holds several sets of tensors ({keys}): choose one, such as weights_key = "{candidates[0]}"'
    )


def _under(key: str, tables: dict[str, dict[str, torch.Tensor]], path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors whose whole names, keys and all, begin with a key."""
    whole = {f"{table}.{name}" if table else name: t for table, found in tables.items() for name, t in found.items()}
    chosen = {name[len(key) + 1 :]: tensor for name, tensor in whole.items() if name.startswith(f"{key}.")}
    if chosen:
        return chosen
    known = sorted({*filter(None, tables), *(name.split(".")[0] for name in whole)})
    listed = ", ".join(known[:8]) + (", .." if len(known) > 8 else "")
    raise WeightsError(f'weights "{path}": has no weights_key "{key}"{closest(key, known)} (it has {listed})')


def _is_average(name: str) -> bool:
    parts = name.split(".")
    return any(part in EMA_KEYS for part in parts)


def _either() -> str:
    return f"{', '.join(WEIGHTS_SUFFIXES[:-1])} or {WEIGHTS_SUFFIXES[-1]}"

"""Checkpoints: what training changed, and the optimizer's state, in one safetensors file, complete or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from frostline.errors import TrainingError
from frostline.files import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Checkpoint", "load_checkpoint", "load_tensors", "pack_tensors", "save_checkpoint", "save_tensors"]


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch: changed parameters and buffers by name, optimizer and scheduler as their own dicts."""

    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any] | None


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors to a safetensors file that is complete or absent; DiskFullError where it can't be written."""
    save_file(path, pack_tensors(tensors, metadata))


def pack_tensors(tensors: dict[str, torch.Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Return the contents of a safetensors file.

    The metadata becomes JSON under one key: safetensors writes several keys in random order, and equal contents
    must give equal files.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, {"frostline": json.dumps(metadata)})


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; numbers that aren't tensors go to the file's metadata as JSON, which keeps every bit."""
    tensors = {f"model/{name}": tensor for name, tensor in checkpoint.model.items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in checkpoint.optimizer["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{index}/{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    metadata = {
        "optimizer": {"state": plain, "param_groups": checkpoint.optimizer["param_groups"]},
        "scheduler": checkpoint.scheduler,
    }
    save_tensors(path, tensors, metadata)


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    """Read back what save_tensors wrote, tensors and metadata; TrainingError names a missing or damaged file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads(file.metadata()["frostline"])
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: this checkpoint can't be read ({error}); remove it to train that trajectory anew"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint back; TrainingError names a file that is missing or damaged."""
    tensors, metadata = load_tensors(path)
    optimizer = metadata["optimizer"]
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in optimizer["state"].items()}
    model = {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition("/")
        if kind == "model":
            model[name] = tensor
        else:
            index, _, field = name.partition("/")
            state.setdefault(int(index), {})[field] = tensor
    full = {"state": state, "param_groups": optimizer["param_groups"]}
    return Checkpoint(model, full, metadata["scheduler"])

"""The new classifier for K classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from frostline.streams import stream_seed

if TYPE_CHECKING:
    from frostline.study import Head

__all__ = ["HiddenHead", "build_head"]


class HiddenHead(nn.Sequential):
    """A classifier of several layers: Linear, ReLU and Dropout for each hidden size, then Linear; [B,D] to [B,K]."""


def build_head(head: Head, n_features: int, n_classes: int, seed: int) -> nn.Module:
    """Return a new classifier, [B,D] to [B,K], initialised as torch does but from its own stream.

    Args:
        head: hidden sizes and the dropout after each.
        n_features: D.
        n_classes: K.
        seed: of the recipe; torch's global generator is neither read nor moved.

    A head without hidden layers is a ``nn.Linear`` itself, so that its parameters keep the usual names.
    """
    generator = torch.Generator().manual_seed(stream_seed("head", seed))
    sizes = [n_features, *head.hidden, n_classes]
    layers: list[nn.Module] = []
    for i in range(len(sizes) - 1):
        last = i == len(sizes) - 2
        layers.append(_linear(sizes[i], sizes[i + 1], generator))
        if not last:
            layers += [nn.ReLU(), nn.Dropout(head.dropout)]
    return layers[0] if len(layers) == 1 else HiddenHead(*layers)


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer as ``nn.Linear`` initialises it, drawn from a generator of our own."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(n_in)
    with torch.no_grad():
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer

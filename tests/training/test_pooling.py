"""Pooling with deterministic gradients has the numbers of torch's adaptive pooling."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from frostline.training import _pooling


@pytest.mark.parametrize("size", [(7, 7), (1, 1), (14, 7), (21, 28), (9, 9)])
@pytest.mark.parametrize("output", [7, (7, 7), (None, 7), 1, (1, 1)])
def test_values_and_gradients_are_those_of_adaptive_pooling(size: tuple[int, int], output: Any) -> None:
    """With 9 by 9 for 7 the windows differ, and torch's own computes them."""
    torch.manual_seed(0)
    maps = torch.rand(2, 3, *size)
    adaptive = nn.Sequential(nn.AdaptiveAvgPool2d(output))
    own = copy.deepcopy(adaptive)
    _pooling.make_pooling_deterministic(own)
    results = []
    for module in (adaptive, own, copy.deepcopy(own)):
        given = maps.clone().requires_grad_()
        pooled = module(given)
        (pooled * torch.linspace(0, 1, pooled.numel()).view_as(pooled)).sum().backward()
        results.append((pooled.detach(), given.grad))
    for pooled, gradient in results[1:]:
        torch.testing.assert_close(pooled, results[0][0])
        torch.testing.assert_close(gradient, results[0][1])


def test_evaluation_has_the_bits_of_adaptive_pooling() -> None:
    maps = torch.rand(2, 3, 14, 14)
    adaptive = nn.AdaptiveAvgPool2d(7)
    expected = adaptive(maps)
    _pooling.make_pooling_deterministic(adaptive)
    assert torch.equal(adaptive(maps), expected)

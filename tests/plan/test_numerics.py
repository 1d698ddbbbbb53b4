"""The rules that decide last bits: from network, recipe and kind of device alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.plan.networks import facts

from frostline.plan import choose_layout, choose_threads, pass_batch_size


@pytest.mark.parametrize(
    ("device", "machine", "narrow", "layout"),
    [
        ("cpu", "x86_64", False, "channels_last"),
        ("cpu", "AMD64", False, "channels_last"),
        ("cpu", "x86_64", True, "contiguous"),
        ("cpu", "arm64", False, "contiguous"),
        ("cuda", "x86_64", False, "contiguous"),
        ("mps", "arm64", False, "contiguous"),
    ],
)
def test_the_layout(device: str, machine: str, narrow: bool, layout: str) -> None:
    assert choose_layout(replace(facts(), narrow_strides=narrow), device, machine) == layout


@pytest.mark.parametrize(
    ("operations", "available", "threads"),
    [
        (0, 2, 1),
        (1.9e9, 2, 1),
        (2e9, 2, 2),
        (1e15, 1, 1),
        (1e15, 6, 6),
        (1e15, 16, 16),
        (5e9, 6, 4),
        (5e9, 16, 4),
        (5.9e9, 6, 4),
        (6e9, 6, 6),
    ],
)
def test_the_threads(operations: float, available: int, threads: int) -> None:
    assert choose_threads(operations, available) == threads


def test_the_batch_of_a_pass() -> None:
    assert [pass_batch_size(device) for device in ("cpu", "cuda", "mps")] == [8, 64, 64]

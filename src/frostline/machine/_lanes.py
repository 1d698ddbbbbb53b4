"""Measures how much longer training takes when several processes share the processor."""

from __future__ import annotations

import copy
import statistics
import threading
import time
from typing import TYPE_CHECKING

import torch

from frostline.training import in_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from frostline.plan import Layout

__all__ = ["lane_numbers", "lane_seconds"]

MEASURED_SECONDS = 0.6


def lane_numbers(threads: int) -> tuple[int, ...]:
    """Return the numbers of processes worth looking at: powers of two that leave each a thread."""
    return tuple(n for n in (2, 4, 8, 16, 32, 64, 128) if n <= threads)


def lane_seconds(
    tail: nn.Module, shapes: Sequence[tuple[int, ...]], layout: Layout, n_images: int, n_lanes: int
) -> float:
    """Return the seconds for one image of a forward and backward pass in each of several lanes at once.

    Lanes are threads of this process here, which have been measured as fast as processes; each has its own network and
    its share of the threads.
    """
    threads = torch.get_num_threads()
    barrier = threading.Barrier(n_lanes)
    times: list[float] = []
    failures: list[BaseException] = []

    def work(own: nn.Module) -> None:
        try:
            torch.set_num_threads(max(1, threads // n_lanes))
            inputs = in_layout(tuple(torch.rand(n_images, *shape) for shape in shapes), layout)
            labels = torch.zeros(n_images, dtype=torch.long)
            _step(own, inputs, labels)
            barrier.wait()
            begun = time.perf_counter()
            while time.perf_counter() - begun < MEASURED_SECONDS:
                started = time.perf_counter()
                _step(own, inputs, labels)
                times.append(time.perf_counter() - started)
        except BaseException as error:  # raised by whoever measures
            failures.append(error)
            barrier.abort()

    tail.train()
    lanes = [threading.Thread(target=work, args=(copy.deepcopy(tail),)) for _ in range(n_lanes)]
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    finally:
        torch.set_num_threads(threads)
    if failures:
        raise failures[0]
    return statistics.median(times) / n_images


def _step(tail: nn.Module, inputs: tuple[torch.Tensor, ...], labels: torch.Tensor) -> None:
    tail.zero_grad(set_to_none=True)
    loss: torch.Tensor = torch.nn.functional.cross_entropy(tail(*inputs), labels)
    torch.autograd.backward(loss)

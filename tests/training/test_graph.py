"""A replayed step has the bits of the step itself; a stand-in for CUDA's graph records what it is to carry out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import torch

from frostline.training._graph import EAGER_STEPS, Replayed

if TYPE_CHECKING:
    from collections.abc import Iterator


class Work:
    """Adds what it is given to a sum; while a graph records it, nothing is carried out."""

    def __init__(self) -> None:
        self.sum, self.n_direct, self.recorded = torch.zeros(3), 0, list[torch.Tensor]()
        self.recording = False

    def step(self, rows: torch.Tensor, rate: torch.Tensor) -> None:
        if self.recording:
            self.recorded = [rows, rate]
            return
        self.n_direct += 1
        self.sum += (rows * rate).sum(dim=0)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work()

    class Graph:
        def replay(self) -> None:
            rows, rate = made.recorded
            made.sum += (rows * rate).sum(dim=0)

    @contextmanager
    def record(graph: Graph, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        made.recording = True
        yield
        made.recording = False

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return made


def batches(sizes: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(size, 3, generator=generator), torch.rand(1, generator=generator)) for size in sizes]


SIZES = [4, 4, 4, 4, 4, 2, 4, 4, 2]
"""The last batch of an epoch is smaller."""


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_replayed_steps_are_the_steps(work: Work, device: str) -> None:
    given, direct = batches(SIZES), Work()
    replayed = Replayed(work.step, torch.device(device))
    for rows, rate in given:
        direct.step(rows, rate)
        replayed(rows, rate)
        assert torch.equal(work.sum, direct.sum)
    n_other = sum(size != 4 for size in SIZES[EAGER_STEPS:])
    assert work.n_direct == (EAGER_STEPS + n_other if device == "cuda" else len(SIZES))


def test_what_cannot_be_recorded_is_carried_out(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(graph: object, capture_error_mode: str) -> Iterator[None]:
        work.recording = True
        yield
        work.recording = False
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    given, direct = batches(SIZES), Work()
    replayed = Replayed(work.step, torch.device("cuda"))
    for rows, rate in given:
        direct.step(rows, rate)
        replayed(rows, rate)
    assert torch.equal(work.sum, direct.sum)
    assert work.n_direct == len(SIZES)

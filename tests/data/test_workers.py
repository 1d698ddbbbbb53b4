"""Threads for decoding: order kept, errors raised, and nothing goes on after one."""

from __future__ import annotations

import threading

import pytest

from frostline.data._workers import map_in_threads


@pytest.mark.parametrize("n", [0, 1, 2, 31, 1000])
def test_results_come_in_the_order_of_the_items(n: int) -> None:
    assert map_in_threads(lambda x: x * x, range(n)) == [x * x for x in range(n)]


def test_after_an_error_what_has_not_begun_never_begins() -> None:
    done: list[int] = []
    gate = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            raise ValueError("item 0 is bad")
        gate.wait(0.001)
        done.append(item)
        return item

    with pytest.raises(ValueError, match="item 0 is bad"):
        map_in_threads(work, range(5000))
    assert len(done) < 2500

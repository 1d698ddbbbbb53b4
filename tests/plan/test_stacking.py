"""What goes into which stack of heads."""

from __future__ import annotations

import pytest

from frostline.plan import SeedHeads, divide_heads, stack_lanes
from frostline.study import Optimizer

SGD, ADAM = Optimizer(name="sgd"), Optimizer(name="adam")


def heads(*optimizers: Optimizer, likeness: str = "alike", n_val: int = 100, dropout: bool = False) -> SeedHeads:
    return SeedHeads(likeness, optimizers, n_val, dropout)


def test_seeds_that_are_alike_are_one_stack() -> None:
    assert divide_heads([heads(ADAM), heads(ADAM)], 10, lanes=1) == [{0: [0], 1: [0]}]
    assert divide_heads([heads(ADAM), heads(ADAM)], 10, lanes=2) == [{0: [0]}, {1: [0]}]


def test_heads_that_are_stepped_together_stand_together() -> None:
    assert divide_heads([heads(SGD, ADAM, SGD)], 10, lanes=1) == [{0: [1, 0, 2]}]


@pytest.mark.parametrize(
    "other",
    [
        heads(ADAM, likeness="another"),
        heads(ADAM, n_val=99),
        heads(SGD),
        heads(Optimizer(name="adam", weight_decay=0.1)),
        heads(ADAM, ADAM),
    ],
)
def test_seeds_that_differ_are_not(other: SeedHeads) -> None:
    assert len(divide_heads([heads(ADAM), other], 10, lanes=1)) == 2


def test_dropout_keeps_seeds_apart_and_lets_them_take_turns() -> None:
    seeds = [heads(ADAM, dropout=True), heads(ADAM, dropout=True)]
    assert stack_lanes(seeds, 8) == 1
    assert len(divide_heads(seeds, 10, lanes=1)) == 2


@pytest.mark.parametrize(("n_heads", "n_val", "lanes", "sizes"), [(128, 100, 1, [64, 64]), (5, 10**6, 1, [3, 2])])
def test_a_stack_holds_what_fits(n_heads: int, n_val: int, lanes: int, sizes: list[int]) -> None:
    stacks = divide_heads([heads(*[ADAM] * n_heads, n_val=n_val)], 10, lanes)
    assert [len(stack[0]) for stack in stacks] == sizes


def test_every_head_is_in_one_stack_whatever_the_lanes() -> None:
    seeds = [heads(*[SGD, ADAM] * n) for n in (4, 4, 1, 7, 40)]
    for lanes in range(1, 9):
        placed = sorted(
            (seed, i) for stack in divide_heads(seeds, 10, lanes) for seed, own in stack.items() for i in own
        )
        assert placed == [(seed, i) for seed, each in enumerate(seeds) for i in range(len(each.optimizers))]
    assert stack_lanes([heads(ADAM)], 8) == 1
    assert stack_lanes(seeds, 2) == 2

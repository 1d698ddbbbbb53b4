"""How heads on stored activations are divided into stacks: what a stack may hold, and what goes into which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from frostline.study import Optimizer

__all__ = ["ROWS_AT_ONCE", "SeedHeads", "divide_heads", "stack_lanes", "way_to_step"]

MOST_HEADS = 64
"""Heads of one stack: more don't make a product faster, and their optimizer's state leaves the processor's caches."""

MOST_LOGIT_BYTES = 128 * 1024 * 1024
"""What the validation logits of a stack may take in memory."""

ROWS_AT_ONCE = 4096
"""Rows that a stack reads in one go, a few megabytes: each read costs as much as several steps of a small stack."""


@dataclass(frozen=True)
class SeedHeads:
    """Heads of one seed, which see the same rows in the same order.

    ``likeness`` is what heads of several seeds must have in common to be one stack, beside the ways they are stepped
    in; those with dropout are no such heads, as it draws from one stream. ``concurrent`` tells whether several threads
    may read their rows at once.
    """

    likeness: Hashable
    optimizers: tuple[Optimizer, ...]
    n_val: int
    dropout: bool
    concurrent: bool = True


def stack_lanes(seeds: Sequence[SeedHeads], n_threads: int) -> int:
    """Return how many stacks are trained side by side, a thread each; those with dropout or one reader take turns."""
    if any(heads.dropout or not heads.concurrent for heads in seeds):
        return 1
    return max(1, min(n_threads, sum(len(heads.optimizers) for heads in seeds)))


def way_to_step(optimizer: Optimizer) -> tuple[str, float, bool, float]:
    """Return what heads have in common that are stepped together: everything but the learning rate."""
    return optimizer.name, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay


def divide_heads(seeds: Sequence[SeedHeads], n_classes: int, lanes: int) -> list[dict[int, list[int]]]:
    """Return the stacks, each with its heads by seed: indices into ``seeds`` and into a seed's ``optimizers``.

    Heads of a seed that are stepped in the same way stand together; seeds of one stack have the same ways.
    """
    fair = -(-sum(len(heads.optimizers) for heads in seeds) // lanes)
    stacks: list[dict[int, list[int]]] = []
    open_: dict[Hashable, dict[int, list[int]]] = {}
    for index, heads in enumerate(seeds):
        ways = [way_to_step(optimizer) for optimizer in heads.optimizers]
        order = sorted(range(len(ways)), key=ways.__getitem__)
        most = max(1, min(MOST_HEADS, fair, MOST_LOGIT_BYTES // (4 * max(heads.n_val, 1) * n_classes)))
        n_parts = -(-len(order) // most)
        for number in range(n_parts):
            own = order[number::n_parts]
            key = (heads.likeness, heads.n_val, tuple(ways[i] for i in own))
            stack = open_.pop(key, None)
            if stack is None or index in stack:
                stack = {}
                stacks.append(stack)
            stack[index] = own
            if (len(stack) + 1) * len(own) <= most and not heads.dropout:
                open_[key] = stack
    return stacks

"""Grids: a list where one value belongs stands for one arm for each of its values."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from frostline.study._problem import KeyPath

__all__ = ["Node", "count_choices", "cover", "expand", "grid_faults"]

# Where a list is one value; a list of lists is a grid there.
_LISTS = {("phases",), ("head", "hidden")}


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value of a study and where it came from, which it remembers however grids and defaults move it."""

    path: KeyPath
    value: Any  # a plain value, dict[str, Node] or list[Node]

    @classmethod
    def build(cls, value: object, path: KeyPath) -> Node:
        """Return the tree of a value."""
        if isinstance(value, dict):
            return cls(path, {str(key): cls.build(item, (*path, str(key))) for key, item in value.items()})
        if isinstance(value, list):
            return cls(path, [cls.build(item, (*path, index)) for index, item in enumerate(value)])
        return cls(path, value)

    def without(self, dropped: Collection[KeyPath]) -> Node:
        """Return the tree without the values at some paths."""
        if isinstance(self.value, dict):
            kept = {key: node.without(dropped) for key, node in self.value.items() if node.path not in dropped}
            return Node(self.path, kept)
        if isinstance(self.value, list):
            return Node(self.path, [node.without(dropped) for node in self.value if node.path not in dropped])
        return self

    def plain(self) -> Any:
        """Return the value without the paths."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def expand(node: Node, place: tuple[str, ...] = ()) -> Iterator[Node]:
    """Yield the tree once for every combination of its grids' values, the grid written last varying fastest."""
    if isinstance(node.value, dict):
        keys = list(node.value)
        choices = [list(expand(node.value[key], (*place, key))) for key in keys]
        for combination in itertools.product(*choices):
            yield Node(node.path, dict(zip(keys, combination, strict=True)))
    elif _is_grid(node, place):
        for item in node.value:
            yield from _expand_item(item, place)
    elif isinstance(node.value, list):
        for items in itertools.product(*[list(_expand_item(item, place)) for item in node.value]):
            yield Node(node.path, list(items))
    else:
        yield node


def cover(node: Node, place: tuple[str, ...] = ()) -> list[Node]:
    """Return few trees in which every value of every grid stands at least once."""
    if isinstance(node.value, dict):
        choices = {key: cover(item, (*place, key)) for key, item in node.value.items()}
        length = max((len(items) for items in choices.values()), default=1)
        rows = range(length if all(choices.values()) else 0)
        return [
            Node(node.path, {key: items[min(row, len(items) - 1)] for key, items in choices.items()}) for row in rows
        ]
    if _is_grid(node, place):
        return [tree for item in node.value for tree in _cover_item(item, place)]
    if isinstance(node.value, list):
        columns = [_cover_item(item, place) for item in node.value]
        rows = range(max((len(column) for column in columns), default=1))
        return [Node(node.path, [column[min(row, len(column) - 1)] for column in columns]) for row in rows]
    return [node]


def count_choices(node: Node, place: tuple[str, ...] = ()) -> int:
    """Return how many trees ``expand`` yields, without making them."""
    if isinstance(node.value, dict):
        return math.prod(count_choices(item, (*place, key)) for key, item in node.value.items())
    if isinstance(node.value, list):
        counts = [_count_item(item, place) for item in node.value]
        return sum(counts) if _is_grid(node, place) else math.prod(counts)
    return 1


def grid_faults(node: Node, place: tuple[str, ...] = ()) -> Iterator[tuple[Node, str]]:
    """Yield the empty lists, which would leave no arm, and the values that a grid has twice."""
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            yield from grid_faults(item, (*place, key))
    elif isinstance(node.value, list):
        if _is_grid(node, place):
            if not node.value:
                yield node, "is an empty list, which leaves no arm: give at least one value"
            seen: dict[str, int] = {}
            for index, item in enumerate(node.value):
                first = seen.setdefault(repr(item.plain()), index)
                if first != index:
                    yield item, f"is given twice in this list, first at position {first}"
        for item in node.value:
            if not isinstance(item.value, list):
                yield from grid_faults(item, place)


def _is_grid(node: Node, place: tuple[str, ...]) -> bool:
    if not isinstance(node.value, list):
        return False
    return place not in _LISTS or any(isinstance(item.value, list) for item in node.value)


def _expand_item(item: Node, place: tuple[str, ...]) -> Iterator[Node]:
    # A list within a list where no list belongs stays as it is: its model will reject it.
    return expand(item, place) if _is_expandable(item, place) else iter([item])


def _cover_item(item: Node, place: tuple[str, ...]) -> list[Node]:
    return cover(item, place) if _is_expandable(item, place) else [item]


def _count_item(item: Node, place: tuple[str, ...]) -> int:
    return count_choices(item, place) if _is_expandable(item, place) else 1


def _is_expandable(item: Node, place: tuple[str, ...]) -> bool:
    return not isinstance(item.value, list) or (place in _LISTS and not _is_grid(item, place))

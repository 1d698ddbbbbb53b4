"""A study's networks of its own: functions by name, as text wherever another process can find them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from frostline.study._fit import Finding, fit
from frostline.study._grid import Node
from frostline.study._problem import format_value
from frostline.study._values import NetworkName, network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

from pydantic import create_model

__all__ = ["check_network_table", "describe_function", "reference_of"]

_Name = create_model("_Name", name=(NetworkName, "network"))


def check_network_table(node: Node) -> Iterator[Finding]:
    """Yield what is wrong with a study's table of networks."""
    if not isinstance(node.value, dict):
        message = 'must be a table of names and functions, such as {mine = "py:my_networks:build"}'
        yield Finding(node.path, message, format_value(node.plain()))
        return
    for name, item in node.value.items():
        for finding in fit(Node(item.path, {"name": Node((*item.path, "name"), name)}), _Name).findings:
            yield Finding(item.path, f"a network's name {finding.message}", at_key=True)
        try:
            network(item.plain())
        except PydanticCustomError as error:
            yield Finding(item.path, error.message(), format_value(item.plain()))


def reference_of(function: Callable[..., Any]) -> str | None:
    """Return where another process finds a function, ``py:MODULE:FUNCTION``; None where only this one has it.

    Such are lambdas, functions within functions, and what a notebook or a script that is being run defines.
    """
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    value: Any = sys.modules.get(module or "")
    if module == "__main__" or value is None:
        return None
    for part in path.split("."):
        value = getattr(value, part, None)
    return f"py:{module}:{path}" if value is function else None


def describe_function(function: Callable[..., Any]) -> str:
    """Return what stands for a function that only this process has, where the function can't be written."""
    return f"function {getattr(function, '__qualname__', type(function).__name__)}"

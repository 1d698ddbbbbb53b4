"""The outcomes of ``python -m benchmarks.backbones`` as a page of the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["format_page"]

BEFORE = Path(__file__).with_name("backbones_before.json")
"""Outcomes of the version before networks with heads of other kinds, constants and functional dropout were cut."""


def format_page(results: dict[str, dict[str, Any]]) -> str:
    """Return the page; ``results`` are outcomes by the name of the backbone, each with its group."""
    before: dict[str, dict[str, Any]] = json.loads(BEFORE.read_text())
    groups: dict[str, dict[str, dict[str, Any]]] = {"families": {}, "frozen backbones": {}, "torchvision": {}}
    for name, outcome in results.items():
        groups.get(outcome["group"], groups["families"])[name] = outcome
    lines = [
        "# Which backbones can be cut",
        "",
        "Written by `python -m benchmarks.backbones`; `--only PATTERN` tries some of them again. Each network has",
        "random weights and the smallest images that it takes. At two or three cuts, its prefix and tail together",
        "return the same bits as the whole network, and a step of training changes nothing before the frost line. A",
        "network that can't be cut is trained uncut. *Cuts* counts the places where training may start, besides `all`;",
        "*before* is version 6d8f393.",
    ]
    titles = {
        "families": "A small network of each of timm's families",
        "frozen backbones": "Usual frozen backbones from timm",
        "torchvision": "All of torchvision's classifiers",
    }
    for group, outcomes in groups.items():
        then = {name: before[name] for name in outcomes if name in before}
        lines += [
            "",
            f"## {titles[group]}",
            "",
            f"{_count(outcomes)} of {len(outcomes)} are cut; before, {_count(then)} of {len(then)} were.",
            "",
            "| network | parameters | pixels | cuts | before |",
            "|---|---:|---:|---|---|",
        ]
        lines += [_format_row(name, outcome, before.get(name)) for name, outcome in outcomes.items()]
    return "\n".join(lines) + "\n"


def _count(outcomes: dict[str, dict[str, Any]]) -> int:
    return sum(1 for outcome in outcomes.values() if outcome["n_cuts"] and not outcome["failure"])


def _format_row(name: str, outcome: dict[str, Any], before: dict[str, Any] | None) -> str:
    millions = f"{outcome['parameters'] / 1e6:.1f} M" if outcome["parameters"] else ""
    then = "" if before is None else _format_outcome(before)
    return f"| `{name}` | {millions} | {outcome['image_size']} | {_format_outcome(outcome)} | {then} |"


def _format_outcome(outcome: dict[str, Any]) -> str:
    if outcome["failure"]:
        return f"fails: {outcome['failure']}".replace("|", "\\|")
    return str(outcome["n_cuts"]) if outcome["n_cuts"] else str(outcome["problem"]).replace("|", "\\|")

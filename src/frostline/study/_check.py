"""Checking a study as it was asked, and working out its arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from frostline.study._arm import Arm
from frostline.study._data import Data
from frostline.study._fit import Finding, fit
from frostline.study._grid import Node, count_choices, cover, expand, grid_faults
from frostline.study._hints import LEVELS, unknown_key
from frostline.study._names import derive_name, name_parts, varying_parts
from frostline.study._networks import check_network_table
from frostline.study._problem import KeyPath, format_value
from frostline.study._recipe import PHASE_KEYS, Recipe
from frostline.study._values import ArmName, StudyName

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_ARMS", "Checked", "check_values"]

MOST_ARMS = 10_000
"""The most arms a study may have."""

_StudyName = create_model("_StudyName", name=(StudyName, "study"))
_ArmName = create_model("_ArmName", name=(ArmName, "arm"))


@dataclass
class Checked:
    """What a study's values come to: its parts, or what is wrong with them."""

    data: Data | None = None
    arms: dict[str, Arm] = field(default_factory=dict)  # by name
    by_recipe: dict[Recipe, Arm] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class _Entry:
    """One of a study's ``[[arms]]``: its own settings, those with the defaults, and its given name."""

    path: KeyPath
    own: dict[str, Node]
    merged: Node
    name: str | None


def check_values(values: dict[str, Any]) -> Checked:
    """Return a study's arms, in the order of its file, or everything that is wrong with it."""
    checked = Checked()
    root = Node.build(values, ()).value
    for key, node in root.items():
        if key not in LEVELS["study"]:
            message = unknown_key("study", key, node.plain())
            checked.findings.append(Finding(node.path, message, format_value(node.plain()), at_key=True))
    if "name" in root:
        checked.findings.extend(fit(Node((), {"name": root["name"]}), _StudyName).findings)
    _check_data(root.get("data"), checked)
    if "networks" in root:
        checked.findings.extend(check_network_table(root["networks"]))
    defaults = _check_defaults(root.get("defaults"), checked)
    entries = list(_check_entries(root.get("arms"), defaults, checked))
    n_arms = sum(count_choices(entry.merged) for entry in entries)
    if n_arms > MOST_ARMS:
        message = f"the grids make {_approximately(n_arms)} arms; at most {MOST_ARMS:,} are allowed: shorten some lists"
        checked.findings.append(Finding(("arms",), message, at_key=True))
    for entry in entries:
        _check_entry(entry, checked, whole=n_arms <= MOST_ARMS)
    checked.findings = list(dict.fromkeys(checked.findings))
    return checked


def _check_data(node: Node | None, checked: Checked) -> None:
    if node is None:
        message = 'is missing: say where the images come from, such as [data] with source = "digits"'
        checked.findings.append(Finding(("data",), message))
        return
    fitted = fit(node, Data)
    checked.data = fitted.model
    checked.findings.extend(fitted.findings)


def _check_defaults(node: Node | None, checked: Checked) -> dict[str, Node]:
    if node is None:
        return {}
    settings = _settings(node, checked)
    # Alone, because arms may override them and never show what is wrong. What goes together is for each arm to see.
    for key, value in settings.items():
        for tree in cover(Node(node.path, {key: value}))[:MOST_ARMS]:
            checked.findings.extend(f for f in fit(tree, Recipe).findings if f.path[:2] == value.path)
    return settings


def _check_entries(node: Node | None, defaults: dict[str, Node], checked: Checked) -> Iterator[_Entry]:
    if node is None or node.value == []:
        checked.findings.append(Finding(("arms",), "is empty: a study needs at least one [[arms]]", at_key=True))
        return
    if not isinstance(node.value, list):
        message = "must be a list of tables: write [[arms]], in double brackets, above each"
        checked.findings.append(Finding(node.path, message, format_value(node.plain()), at_key=True))
        return
    for item in node.value:
        own = _settings(item, checked, named=True)
        name = own.pop("name", None)
        findings = fit(Node(item.path, {"name": name}), _ArmName).findings if name else ()
        checked.findings.extend(findings)
        kept = dict(defaults)
        if "phases" in own:
            kept.pop("train_from", None)
        elif "train_from" in own:
            kept.pop("phases", None)
        merged = {key: value for key, value in kept.items() if key not in own} | own
        if "seed" in merged:  # seeds vary fastest, wherever they are written
            merged["seed"] = merged.pop("seed")
        yield _Entry(item.path, own, Node(item.path, merged), name.plain() if name and not findings else None)


def _settings(node: Node, checked: Checked, named: bool = False) -> dict[str, Node]:
    """Return a table's recipe settings, without unknown keys, empty lists and repetitions, which are reported."""
    if not isinstance(node.value, dict):
        checked.findings.append(Finding(node.path, "must be a table of recipe settings", format_value(node.plain())))
        return {}
    more = ("name",) if named else ()
    dropped: set[KeyPath] = set()
    for key, item in node.value.items():
        if key not in (*LEVELS["recipe"], *more):
            unknown = unknown_key("recipe", key, item.plain(), known=more)
            message = "names an arm: write it in one of [[arms]]" if key == "name" else unknown
            checked.findings.append(Finding(item.path, message, format_value(item.plain()), at_key=True))
            dropped.add(item.path)
        elif key != "name":
            for faulty, message in grid_faults(item, (key,)):
                checked.findings.append(Finding(faulty.path, message, format_value(faulty.plain())))
                dropped.add(faulty.path)
    kept: dict[str, Node] = node.without(dropped).value
    return kept


def _check_entry(entry: _Entry, checked: Checked, whole: bool) -> None:
    """Add the arms of an entry, or what is wrong with it; not whole, each value is looked at, but no combinations."""
    recipes: list[Recipe] = []
    findings: list[Finding] = []
    for tree in expand(entry.merged) if whole else cover(entry.merged)[:MOST_ARMS]:
        fitted = fit(tree, Recipe)
        findings.extend(fitted.findings)
        if fitted.model is not None:
            recipes.append(fitted.model)
    if not findings:
        findings.extend(_useless(entry, recipes))
    checked.findings.extend(findings)
    if not findings and whole:
        _add_arms(entry, recipes, checked)


def _useless(entry: _Entry, recipes: list[Recipe]) -> Iterator[Finding]:
    """Yield the settings an arm was given that none of its recipes uses."""
    phases = entry.merged.value.get("phases")
    for key in PHASE_KEYS[1:]:
        if phases is not None and key in entry.own and all(key in phase for phase in _phase_keys(phases)):
            yield Finding(entry.own[key].path, "is not used: every phase has its own", at_key=True)
    views = entry.own.get("views")
    if views is not None and views.plain() != 1 and all(recipe.augmentation == "none" for recipe in recipes):
        message = 'needs an augmentation: set augmentation = "flip" or "crop-flip"'
        yield Finding(views.path, message, format_value(views.plain()))


def _phase_keys(node: Node) -> Iterator[Any]:
    """Yield the keys of each phase in a list of phases, or of lists of them."""
    for item in node.value:
        if isinstance(item.value, list):
            yield from _phase_keys(item)
        else:
            yield item.value


def _add_arms(entry: _Entry, recipes: list[Recipe], checked: Checked) -> None:
    varying = varying_parts(recipes) if entry.name else ()
    for recipe in recipes:
        if entry.name:
            name = " ".join([entry.name, *(text for key, text in name_parts(recipe).items() if key in varying)])
        else:
            name = derive_name(recipe)
        same = checked.by_recipe.get(recipe)
        if same and same.name != name:
            message = f'is the same as "{same.name}" under another name, "{name}"; keep one of the two'
            checked.findings.append(Finding(entry.path, message))
        elif not same and name in checked.arms:
            message = f'makes a second arm named "{name}": names tell arms apart, so give this one another'
            checked.findings.append(Finding(entry.path, message))
        elif not same:
            # Its parts are checked already, and there may be thousands.
            checked.arms[name] = checked.by_recipe[recipe] = Arm.model_construct(name=name, recipe=recipe)


def _approximately(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"about 10^{number.bit_length() * 30103 // 100000}"

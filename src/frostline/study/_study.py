"""A study: images, and the arms that are trained on them."""

from __future__ import annotations

import hashlib
import json
import numbers
import os
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, PrivateAttr

from frostline.errors import StudyError
from frostline.study._arm import Arm
from frostline.study._check import Checked, check_values
from frostline.study._data import Data  # noqa: TC001 - pydantic reads it
from frostline.study._emit import emit_study
from frostline.study._networks import describe_function, reference_of
from frostline.study._problem import Problem, format_key, format_problems
from frostline.study._settings import Settings
from frostline.study._toml import DEEPEST, is_too_deep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Study"]


class Study(Settings):
    """Images, and the arms to train on them, as they were asked: ``defaults`` and ``arms`` may hold grids.

    In Python as in a study file: ``Study(data=Data(source="digits"), arms=[{"train_from": ["head", "all"]}])``. Tables
    may be dictionaries or the models themselves. Raises StudyError with every problem there is.
    """

    name: str
    data: Data
    networks: dict[str, str]
    defaults: dict[str, Any]
    arms: list[dict[str, Any]]
    _expanded: tuple[Arm, ...] = PrivateAttr(default=())
    _functions: dict[str, Callable[..., Any]] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        *,
        data: Data | Mapping[str, Any],
        arms: Sequence[Mapping[str, Any] | BaseModel],
        defaults: Mapping[str, Any] | None = None,
        networks: Mapping[str, str | Callable[..., Any]] | None = None,
        name: str = "study",
    ) -> None:
        given = {
            "name": name,
            "data": data,
            "networks": {} if networks is None else networks,
            "defaults": {} if defaults is None else defaults,
            "arms": arms,
        }
        values = _plain(given, DEEPEST)
        if is_too_deep(values):
            problem = Problem(None, None, None, "", f"tables or lists are nested more than {DEEPEST} deep")
            raise StudyError(str(problem), [problem])
        checked = check_values(values)
        if checked.findings:
            problems = [Problem(None, None, None, format_key(f.path), f.message, f.given) for f in checked.findings]
            raise StudyError(format_problems(problems), problems)
        functions = _functions_only_here(values["networks"])
        super().__init__(**{**values, "networks": _as_text(values["networks"])})
        self._functions = functions
        self._expanded = tuple(checked.arms.values())

    @classmethod
    def from_checked(cls, values: Mapping[str, Any], checked: Checked) -> Self:
        """Return the study of values that were checked already and have nothing wrong with them."""
        study = cls.model_construct(
            name=values["name"],
            data=checked.data,
            networks=values.get("networks", {}),
            defaults=values.get("defaults", {}),
            arms=values["arms"],
        )
        study._expanded = tuple(checked.arms.values())
        return study

    def expand(self) -> tuple[Arm, ...]:
        """Return the arms, at least one: grids in the order they are written, seeds varying fastest.

        Arms that ask for the same thing are one arm, where it is first asked for.
        """
        return self._expanded

    @property
    def own_networks(self) -> dict[str, str | Callable[..., Any]]:
        """The study's own networks by name: ``py:MODULE:FUNCTION``, or the function where only this process has it."""
        return {**self.networks, **self._functions}

    @property
    def digest(self) -> str:
        """The hex digest of the data and the arms: equal for studies that ask for the same, whatever their names.

        Of own networks it covers where their functions are, not their code: a run records that beside it.
        """
        arms = [[arm.name, arm.recipe.key()] for arm in self._expanded]
        used = {arm.recipe.backbone for arm in self._expanded}
        asked = {"data": self.data.model_dump(mode="json"), "arms": arms}
        networks = {name: text for name, text in self.networks.items() if name in used}
        text = json.dumps({**asked, "networks": networks} if networks else asked, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the study as the text of a study file, with its overrides in it: reading it gives an equal study.

        Raises:
            StudyError: a network is a function that only this process has, which no file can name.
        """
        if self._functions:
            name, function = next(iter(self._functions.items()))
            raise StudyError(
                f"networks.{name} is a {describe_function(function)} that only this process has: write it in a module "
                f'and give "py:MODULE:FUNCTION"'
            )
        data = {"source": self.data.source, **self.data.model_dump(exclude_defaults=True)}
        return emit_study(self.name, data, self.networks, self.defaults, self.arms)

    def __hash__(self) -> int:
        return hash(self.digest)


def _functions_only_here(networks: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    return {name: given for name, given in networks.items() if not isinstance(given, str) and not reference_of(given)}


def _as_text(networks: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: given if isinstance(given, str) else reference_of(given) or describe_function(given)
        for name, given in networks.items()
    }


def _plain(value: Any, depth: int) -> Any:
    """Return a value with models and tuples in it as a study file would have them, copied; beyond a depth, as it is."""
    if isinstance(value, BaseModel):
        if isinstance(value, Arm):
            return {"name": value.name, **_plain(value.recipe, depth)}
        return _plain(value.model_dump(exclude_unset=True, exclude_none=True), depth)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # NumPy's numbers, which are no Python numbers but may well be in a grid.
    if isinstance(value, numbers.Integral) and not isinstance(value, int):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, int | float):
        return float(value)
    if depth and isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    return value

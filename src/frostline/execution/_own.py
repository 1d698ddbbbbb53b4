"""A study's own networks: known while it runs, and known again in another process."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from frostline.models import PY, find_own, use_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from frostline.study import Study

__all__ = ["Portable", "describe_code", "is_only_here", "knows_networks", "make_portable"]

P = ParamSpec("P")
R = TypeVar("R")


def knows_networks(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function of a study, its first argument, within which the study's own networks have their names."""

    @wraps(function)
    def knowing(*args: P.args, **kwargs: P.kwargs) -> R:
        study: Any = args[0] if args else kwargs["study"]
        with use_networks(study.own_networks, _backbones(study)):
            return function(*args, **kwargs)

    return knowing


@dataclass(frozen=True)
class Portable:
    """What another process needs to build a study's own networks; those that only this process has are not in it.

    ``networks`` are ``py:MODULE:FUNCTION`` by name; ``imports`` are modules that register networks with timm.
    """

    networks: dict[str, str]
    backbones: tuple[str, ...]
    imports: tuple[str, ...]

    @contextmanager
    def known(self) -> Iterator[None]:
        """Have the networks known in this process until the block ends."""
        for module in self.imports:
            importlib.import_module(module)
        with use_networks(self.networks, self.backbones):
            yield


def make_portable(study: Study) -> Portable:
    """Return what another process needs of a study whose networks are known here."""
    backbones = _backbones(study)
    own = [each for each in map(find_own, backbones) if each is not None and each.registered and each.reference]
    imports = dict.fromkeys(str(each.reference).removeprefix(PY).partition(":")[0] for each in own)
    return Portable(dict(study.networks), backbones, tuple(imports))


def is_only_here(backbone: str) -> bool:
    """Return whether a backbone is an own network whose function no other process can import."""
    own = find_own(backbone)
    return own is not None and own.reference is None


def describe_code(study: Study) -> dict[str, str]:
    """Return the digest of the code of each of a study's own networks."""
    own = {backbone: find_own(backbone) for backbone in _backbones(study)}
    return {backbone: each.code for backbone, each in own.items() if each is not None}


def _backbones(study: Study) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arm.recipe.backbone for arm in study.expand()))

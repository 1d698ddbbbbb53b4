"""A named recipe."""

from __future__ import annotations

from frostline.study._recipe import Recipe  # noqa: TC001 - pydantic reads it
from frostline.study._settings import Settings
from frostline.study._values import Text  # noqa: TC001

__all__ = ["Arm"]


class Arm(Settings):
    """A recipe and the name that a study's tables give it, unique within the study."""

    name: Text
    recipe: Recipe
